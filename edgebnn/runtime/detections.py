"""Detections as arrays, and the decoding of an anchor-free detector's maps into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebnn.card import Decode

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Detections:
    """N detections of one frame, best score first.

    boxes: float32 (N, 4) as x, y, width, height in frame pixels; scores: float32 (N,) in 0..1;
    classes: int64 (N,), indices into the card's classes.
    """

    boxes: Array
    scores: Array
    classes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.scores)


def decode(maps: Mapping[str, Array], how: Decode, *, min_score: float) -> tuple[Array, Array]:
    """Output maps by name, each (1, h, w, 5) or (h, w, 5), to boxes (N, 4) as x1, y1, x2, y2 and scores (N,).

    Coordinates are input pixels of the model; after NMS, best score first, at most `how.max_detections`. A cell whose
    numbers are not finite is no detection.
    """
    logit = np.float32(np.log(min_score / (1 - min_score)))
    boxes, logits = [], []
    for level in how.levels:
        grid = maps[level.output].reshape(-1, *maps[level.output].shape[-2:])
        score = grid[..., 0]
        y, x = np.nonzero(score >= logit)
        distance = np.exp(np.clip(grid[y, x, 1:], -10, 10)) * np.float32(level.stride * level.scale)
        centre = (np.stack([x, y], axis=-1).astype(np.float32) + np.float32(0.5)) * np.float32(level.stride)
        boxes.append(np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], axis=-1))
        logits.append(score[y, x])
    every = np.concatenate(boxes).astype(np.float32)
    scores = (1 / (1 + np.exp(-np.concatenate(logits)))).astype(np.float32)
    kept = nms(every, scores, iou=how.nms_iou, limit=how.max_detections)
    return every[kept], scores[kept]


def nms(boxes: Array, scores: Array, *, iou: float, limit: int) -> npt.NDArray[np.int64]:
    """Greedy non-maximum suppression of boxes (N, 4) as x1, y1, x2, y2: indices kept, best score first."""
    order = np.argsort(-scores, kind="stable")
    area = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    kept: list[int] = []
    while len(order) and len(kept) < limit:
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=-1)
        union = area[best] + area[rest] - shared
        order = rest[shared <= iou * union]
    return np.array(kept, np.int64)
