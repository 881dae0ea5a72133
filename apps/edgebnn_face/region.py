"""The part of the picture that counts: polygons in fractions of its width and height."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Polygon = Sequence[tuple[float, float]]


def inside(polygons: Sequence[Polygon], points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether each of `points` (N, 2) lies in one of the polygons (even-odd rule): (N,). Without polygons all do.

    Both in the same units; a point on an edge may belong to either side.
    """
    if not polygons:
        return np.ones(len(points), bool)
    within = np.zeros(len(points), bool)
    x, y = points[:, 0], points[:, 1]
    for polygon in polygons:
        crossings = np.zeros(len(points), np.int64)
        for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
            spans = (y1 > y) != (y2 > y)
            crossings += spans & ((x2 - x1) * (y - y1) * np.sign(y2 - y1) > (x - x1) * abs(y2 - y1))
        within |= crossings % 2 == 1
    return within


def cells(polygons: Sequence[Polygon], width: int, height: int) -> npt.NDArray[np.bool_] | None:
    """Which cells of a grid have their centre inside: (height, width); None without polygons."""
    if not polygons:
        return None
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return inside(polygons, np.stack([x.ravel(), y.ravel()], axis=1)).reshape(height, width)
