"""Figures of merit: epochs told right, and alarms that find the sleeper awake or in N1."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from edgebnn.evaluation.sleep.nights import N1, WAKE, Floats, Stages

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SleepWakeScores:
    """Of epochs; nan where nothing can be said, for instance specificity without a wake epoch."""

    epochs: int
    accuracy: float
    sensitivity: float
    """share of the sleep epochs found"""
    specificity: float
    """share of the wake epochs found"""
    kappa: float
    """Cohen's"""
    f1_wake: float


def score_sleep_wake(awake: Bools, said: Bools) -> SleepWakeScores:
    """`awake` (n,) is the truth, `said` (n,) what is judged."""
    hit, false = float((awake & said).sum()), float((~awake & said).sum())
    missed, quiet = float((awake & ~said).sum()), float((~awake & ~said).sum())
    return SleepWakeScores(
        epochs=len(awake),
        accuracy=_share(hit + quiet, len(awake)),
        sensitivity=_share(quiet, quiet + false),
        specificity=_share(hit, hit + missed),
        kappa=cohens_kappa(awake, said),
        f1_wake=_share(2 * hit, 2 * hit + false + missed),
    )


def cohens_kappa(truth: npt.NDArray[np.generic], said: npt.NDArray[np.generic]) -> float:
    """Agreement beyond chance of two labellings (n,) (Cohen 1960); nan when both know one label only."""
    classes, numbers = np.unique(np.concatenate([truth, said]), return_inverse=True)
    count = len(truth)
    if len(classes) < 2:
        return float("nan")
    table = np.zeros((len(classes), len(classes)))
    np.add.at(table, (numbers[:count], numbers[count:]), 1)
    expected = float((table.sum(axis=0) * table.sum(axis=1)).sum()) / count**2
    return (float(table.trace()) / count - expected) / (1 - expected)


@dataclass(frozen=True)
class AlarmScores:
    """Of alarms that rang on scored epochs."""

    alarms: int
    light_share: float
    """rang in wake or N1"""
    minutes_early: float
    """mean time between ring and deadline"""


def score_alarms(stages: Stages, early_s: Floats) -> AlarmScores:
    """`stages` (n,) of the epochs in which n alarms rang, how long before the deadlines; unscored ones do not count."""
    scored = stages >= 0
    light = np.isin(stages[scored], (WAKE, N1))
    minutes = early_s[scored] / 60
    return AlarmScores(
        alarms=int(scored.sum()),
        light_share=float(light.mean()) if light.size else float("nan"),
        minutes_early=float(minutes.mean()) if light.size else float("nan"),
    )


def rounded(scores: SleepWakeScores | AlarmScores) -> dict[str, float | int | None]:
    """For JSON: shares and minutes to four places, None for nan."""
    return {k: (v if isinstance(v, int) else None if np.isnan(v) else round(v, 4)) for k, v in asdict(scores).items()}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
