"""Accuracy of a network in training, on the validation split at the export size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebnn.card import Decode, Preprocess
from edgebnn.data.pictures import Labelled, Pictures
from edgebnn.evaluation.average_precision import Scored, average_precision, best_threshold, judge
from edgebnn.evaluation.detector import Letterboxed, find, prepare

LEAST_SIZES_PX = (12, 24, 48)
MIN_SCORE = 0.02


@dataclass(frozen=True)
class Prepared:
    """One validation picture as the network sees it, and its truth."""

    picture: Letterboxed
    truth: Labelled


def prepare_all(pictures: Pictures, how: Preprocess) -> list[Prepared]:
    """Every picture as the network sees it."""
    return [Prepared(prepare(pictures.image(i), how), item) for i, item in enumerate(pictures.items)]


def validate(
    network: Callable[[npt.NDArray[np.float32]], Mapping[str, Any]],
    prepared: Sequence[Prepared],
    preprocess: Preprocess,
    how: Decode,
    *,
    batch: int = 8,
) -> dict[str, float]:
    """AP50 at each least size, and the score with the best F1 at 24 px, with its recall and precision.

    `network` maps float32 (batch, h, w, 3) to the outputs by name. Pictures of one shape come together, where the input
    turns.
    """
    scored = []
    for part in _batches(prepared, batch):
        # A smaller last batch would have the network compiled again: fill it up.
        images = np.zeros((batch, *part[0].picture.image.shape), np.float32)
        images[: len(part)] = [one.picture.image for one in part]
        outputs = network((images - np.float32(preprocess.mean)) / np.float32(preprocess.std))
        maps = {name: np.asarray(value) for name, value in outputs.items()}
        for row, one in enumerate(part):
            own = {name: value[row] for name, value in maps.items()}
            boxes, scores = find(own, how, one.picture, min_score=MIN_SCORE)
            scored.append(Scored(one.truth.boxes, one.truth.ignore, boxes, scores))
    metrics = {f"ap50_{least}": average_precision(judge(scored, least_px=least)) for least in LEAST_SIZES_PX}
    threshold, recall, precision = best_threshold(judge(scored, least_px=24))
    return metrics | {"best_score": threshold, "recall": recall, "precision": precision}


def _batches(prepared: Sequence[Prepared], batch: int) -> Iterator[Sequence[Prepared]]:
    for _, same in groupby(sorted(prepared, key=_shape), key=_shape):
        pictures = list(same)
        yield from (pictures[start : start + batch] for start in range(0, len(pictures), batch))


def _shape(one: Prepared) -> tuple[int, ...]:
    return one.picture.image.shape
