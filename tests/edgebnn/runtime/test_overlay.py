from __future__ import annotations

import numpy as np
import pytest

from edgebnn.runtime.detections import Detections
from edgebnn.runtime.overlay import draw


def found(*boxes: tuple[float, ...]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.full(len(boxes), 0.5, np.float32), np.zeros(len(boxes), np.int64)
    )


@pytest.mark.parametrize("size", [(1, 1), (30, 20), (512, 512), (3000, 4000)])
def test_any_box_on_any_picture(size: tuple[int, int]) -> None:
    height, width = size
    picture = np.full((height, width, 3), 90, np.uint8)
    drawn = draw(
        picture, found((0, 0, width, height), (width / 2, height / 2, width / 2, height / 2), (0, 0, 0.1, 0.1))
    )
    assert drawn.shape == picture.shape and drawn.dtype == np.uint8
    assert (picture == 90).all() and (drawn != 90).any()


def test_nothing_to_draw() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    drawn = draw(picture, found())
    np.testing.assert_array_equal(drawn, picture)
    assert not np.shares_memory(drawn, picture)


def test_the_line_is_on_the_edge() -> None:
    drawn = draw(np.zeros((200, 200, 3), np.uint8), found((50, 60, 80, 90)))
    assert (drawn[60 + 45, [50, 130]] == (60, 230, 60)).all() and (drawn[150, 90] == (60, 230, 60)).all()
    assert (drawn[100, 90] == 0).all()
