"""Nights as features and stages, simulated or from people, and the pieces of them that a training step learns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgebnn.data.nights import GridNight, simulate_night
from edgebnn.data.sleep_accel import read_sleep_accel
from edgebnn.errors import DataError
from edgebnn.evaluation.sleep.nights import N1, UNSCORED, WAKE, Stages
from edgebnn.runtime.sleep_features import COUNT, all_features

NEAR_WAKE = 5
"""Sleep within so many epochs of an awakening counts as restless."""
SHOWN_PROBLEMS = 20

Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NightExamples:
    """Nights: features (n, COUNT) and stages (n,) of each."""

    features: Sequence[Features]
    stages: Sequence[Stages]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.stages)


def simulate_examples(count: int, *, seed: int, first: int = 0) -> NightExamples:
    """The simulated nights `first` to `first + count` of a seed."""
    nights = [simulate_night(np.random.default_rng((seed, number))) for number in range(first, first + count)]
    return _prepare(nights)


def read_examples(folders: Sequence[Path]) -> tuple[NightExamples, NightExamples]:
    """(train, val) of folders in the layout of sleep-accel; every fifth person, in the order of the names, is val.

    A person whose files cannot be used is reported on stderr and skipped. DataError when too few are left.
    """
    nights, problems = [], []
    for folder in folders:
        found, wrong = read_sleep_accel(folder)
        nights += found
        problems += wrong
    for problem in problems[:SHOWN_PROBLEMS]:
        print(f"edgebnn: {problem}", file=sys.stderr)
    if len(problems) > SHOWN_PROBLEMS:
        print(f"edgebnn: {len(problems)} people skipped", file=sys.stderr)
    if len(nights) < 2:
        shown = ", ".join(map(str, folders))
        raise DataError(f"expected the nights of two or more people in {shown}, found {len(nights)}")
    held_out = nights[::5]
    return _prepare([night for number, night in enumerate(nights) if number % 5]), _prepare(held_out)


def _prepare(nights: Sequence[GridNight]) -> NightExamples:
    return NightExamples([all_features(night.activity) for night in nights], [night.stage for night in nights])


def restlessness(stage: Stages) -> npt.NDArray[np.int64]:
    """1 for restless sleep, 0 for other sleep, UNSCORED else (n,).

    Restless is N1, and sleep within NEAR_WAKE epochs of wake, before or after.
    """
    wake = np.flatnonzero(stage == WAKE)
    near = np.zeros(len(stage), np.bool_)
    for shift in range(-NEAR_WAKE, NEAR_WAKE + 1):
        near[np.clip(wake + shift, 0, len(stage) - 1)] = True
    return np.where(stage <= WAKE, UNSCORED, ((stage == N1) | near).astype(np.int64))


def crops_at(
    examples: NightExamples, step: int, *, size: int, window: int, answers: int, seed: int
) -> tuple[Features, npt.NDArray[np.int64]]:
    """Features (size, 1, window - 1 + answers, COUNT) and stages (size, answers): a function of seed and step.

    What lies before a night is zeros, what lies behind it is unscored.
    """
    random = np.random.default_rng((seed, step))
    features = np.zeros((size, 1, window - 1 + answers, COUNT), np.float32)
    stages = np.full((size, answers), UNSCORED, np.int64)
    for place, chosen in enumerate(random.integers(0, len(examples), size)):
        rows, labels = examples.features[chosen], examples.stages[chosen]
        start = int(random.integers(0, max(len(labels) - answers, 0) + 1))
        put_piece(features[place, 0], rows, start=start, window=window)
        piece = labels[start : start + answers]
        stages[place, : len(piece)] = piece
    return features, stages


def put_piece(out: Features, rows: Features, *, start: int, window: int) -> None:
    """Write into `out` (window - 1 + answers, COUNT) what answers from the epoch `start` on need; zeros elsewhere."""
    before = start - (window - 1)
    piece = rows[max(before, 0) : before + len(out)]
    at = max(-before, 0)
    out[at : at + len(piece)] = piece
