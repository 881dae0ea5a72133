from __future__ import annotations

import cv2
import numpy as np
from edgebnn_face.region import cells, inside

TRIANGLE = [(0.1, 0.1), (0.9, 0.2), (0.4, 0.8)]
CONCAVE = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.5, 0.3), (0.1, 0.9)]


def test_without_polygons_everything_counts() -> None:
    assert inside([], np.zeros((3, 2))).tolist() == [True] * 3
    assert cells([], 4, 3) is None


def test_inside_is_what_opencv_says() -> None:
    points = np.random.default_rng(0).random((3000, 2))
    for polygon in (TRIANGLE, TRIANGLE[::-1], CONCAVE):
        contour = np.array(polygon, np.float32)
        expected = [cv2.pointPolygonTest(contour, (float(x), float(y)), False) > 0 for x, y in points]
        assert (inside([polygon], points) == expected).mean() > 0.999  # but for OpenCV's float32


def test_polygons_are_joined() -> None:
    left, right = [(0, 0), (0.3, 0), (0.3, 1), (0, 1)], [(0.7, 0), (1, 0), (1, 1), (0.7, 1)]
    points = np.array([(0.1, 0.5), (0.5, 0.5), (0.9, 0.5)])
    assert inside([left, right], points).tolist() == [True, False, True]
    assert inside([left, left], points).tolist() == [True, False, False]
    assert inside([left], np.zeros((0, 2))).shape == (0,)


def test_cells_of_a_grid() -> None:
    mask = cells([[(0, 0), (0.5, 0), (0.5, 1), (0, 1)]], 4, 3)
    assert mask is not None and mask.tolist() == [[True, True, False, False]] * 3
