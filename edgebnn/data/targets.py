"""What each cell of an anchor-free detector should say about a crop.

A target is float32 (cells, 6), the cells of all levels one after another, row by row:
positive (0/1), weight (0/1), box x1, y1, x2, y2 in crop pixels. Loss is counted where the weight is 1; the box
matters where positive is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Range:
    """A level: its stride and the faces it learns, by longer side in input pixels, at_least <= side < below."""

    stride: int
    at_least: float
    below: float


def cell_centres(width: int, height: int, strides: Sequence[int]) -> Array:
    """Centres of all cells, (cells, 2) as x, y input pixels: ((column + 0.5) * stride, (row + 0.5) * stride)."""
    parts = []
    for stride in strides:
        y, x = np.mgrid[0 : height // stride, 0 : width // stride]
        parts.append((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride)
    centres: Array = np.concatenate(parts).astype(np.float32)
    return centres


def assign(boxes: Array, ignore: npt.NDArray[np.bool_], width: int, height: int, ranges: Sequence[Range]) -> Array:
    """Target of a crop with boxes (n, 4) as x1, y1, x2, y2, of which those marked `ignore` (n,) are masked.

    A cell is positive for a face of its level's range when its centre lies inside the face and within one stride of
    the face's centre in x and in y; among several faces the smallest takes it. Cells within one stride but outside of
    the face, and cells inside an ignored box, weigh nothing.
    """
    centres = cell_centres(width, height, [level.stride for level in ranges])
    target = np.zeros((len(centres), 6), np.float32)
    target[:, 1] = 1
    if not len(boxes):
        return target
    counts = [(width // level.stride) * (height // level.stride) for level in ranges]
    stride = np.repeat([level.stride for level in ranges], counts).astype(np.float32)[:, None]
    at_least = np.repeat([level.at_least for level in ranges], counts)[:, None]
    below = np.repeat([level.below for level in ranges], counts)[:, None]
    x, y = centres[:, :1], centres[:, 1:]
    x1, y1, x2, y2 = boxes.T
    inside = (x > x1) & (x < x2) & (y > y1) & (y < y2)
    near = (np.abs(x - (x1 + x2) / 2) < stride) & (np.abs(y - (y1 + y2) / 2) < stride)
    side = np.maximum(x2 - x1, y2 - y1)
    ours = near & (side >= at_least) & (side < below) & ~ignore
    target[(ours & ~inside).any(axis=1) | (inside & ignore).any(axis=1), 1] = 0
    area = np.where(ours & inside, (x2 - x1) * (y2 - y1), np.inf)
    best = area.argmin(axis=1)
    positive = np.isfinite(area[np.arange(len(area)), best])
    target[positive, 0] = 1
    target[positive, 1] = 1
    target[positive, 2:] = boxes[best[positive]]
    return target
