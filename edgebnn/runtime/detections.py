"""Detections as arrays, and the decoding of an anchor-free detector's maps into them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edgebnn.card import Decode

Array = npt.NDArray[np.float32]
LEAST, MOST = np.array([[-80, *[-10] * 4], [80, *[10] * 4]], np.float32)
"""Limits of a cell's numbers, whose exponentials are then finite."""


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

    def scaled(self, horizontal: float, vertical: float) -> Detections:
        """The same in a frame that is so many times wider and higher."""
        factors = np.array([horizontal, vertical, horizontal, vertical], np.float32)
        return Detections(self.boxes * factors, self.scores, self.classes)


def decode(maps: Mapping[str, Array], how: Decode, *, min_score: float) -> tuple[Array, Array]:
    """Output maps by name, each (1, h, w, 5) or (h, w, 5), to boxes (N, 4) as x1, y1, x2, y2 and scores (N,).

    Coordinates are input pixels of the model; after NMS, best score first, at most `how.max_detections`. A cell whose
    numbers are not finite is no detection.
    """
    # A hair below the threshold, which the scores themselves then decide: float32 rounds both.
    logit = np.float32(math.log(min_score / (1 - min_score)) - 1e-3)
    grids = [maps[level.output].reshape(-1, *maps[level.output].shape[-2:]) for level in how.levels]
    every = np.concatenate([grid.reshape(-1, 5) for grid in grids])
    cells = np.flatnonzero(every[:, 0] >= logit)
    centre, reach = _cells(
        tuple((*grid.shape[:2], level.stride, level.scale) for grid, level in zip(grids, how.levels, strict=True))
    )
    found = every[cells]
    if not np.isfinite(found).all():
        finite = np.isfinite(found).all(axis=1)
        found, cells = found[finite], cells[finite]
    # In place, and no call that is not needed: with few faces the calls of numpy are most of the time.
    np.maximum(found, LEAST, out=found)
    np.minimum(found, MOST, out=found)
    np.exp(found, out=found)
    scores = found[:, 0] / (1 + found[:, 0])
    good = scores >= np.float32(min_score)
    if not good.all():
        scores, found, cells = scores[good], found[good], cells[good]
    distance = found[:, 1:] * reach[cells]
    centre = centre[cells]
    boxes = np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], axis=1)
    kept = nms(boxes, scores, iou=how.nms_iou, limit=how.max_detections)
    return boxes[kept], scores[kept]


@lru_cache(maxsize=16)
def _cells(levels: tuple[tuple[int, int, float, float], ...]) -> tuple[Array, Array]:
    """Of all cells of levels (rows, columns, stride, scale): centres (N, 2) and units of distance (N, 1) in pixels."""
    centres, reaches = [], []
    for rows, columns, stride, scale in levels:
        y, x = np.indices((rows, columns), np.float32).reshape(2, -1)
        centres.append((np.stack([x, y], axis=1) + np.float32(0.5)) * np.float32(stride))
        reaches.append(np.full((rows * columns, 1), stride * scale, np.float32))
    return np.concatenate(centres), np.concatenate(reaches)


def nms(boxes: Array, scores: Array, *, iou: float, limit: int) -> npt.NDArray[np.int64]:
    """Greedy non-maximum suppression of boxes (N, 4) as x1, y1, x2, y2: at most `limit` indices, best score first.

    A box goes when its IoU with a better one that stays is above `iou`; equal scores keep their order. Boxes have an
    area, scores are positive.
    """
    import cv2  # here, so that networks without boxes load without it

    corners_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corners_sizes.tolist(), scores.tolist(), 0.0, iou)
    return np.asarray(kept, np.int64).reshape(-1)[:limit]
