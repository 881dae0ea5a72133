import numpy as np
import pytest

from edgebnn.card import Decode, Level, Preprocess
from edgebnn.evaluation.detector import find, prepare

HOW = Decode(levels=tuple(Level(output=f"s{s}", stride=s, scale=1.5) for s in (8, 16)))
FRAME = Preprocess(width=64, height=96)


def write_face(maps: dict[str, np.ndarray], stride: int, corners: tuple[float, ...], logit: float) -> None:
    """Put a face with the corners x1, y1, x2, y2 into the cell at its centre: the inverse of decoding."""
    x1, y1, x2, y2 = corners
    column, row = int((x1 + x2) / 2 / stride), int((y1 + y2) / 2 / stride)
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    maps[f"s{stride}"][row, column] = [logit, *np.log(np.array([x - x1, y - y1, x2 - x, y2 - y]) / stride / 1.5)]


def empty_maps(width: int = 64, height: int = 96) -> dict[str, np.ndarray]:
    return {f"s{s}": np.full((height // s, width // s, 5), -9, np.float32) for s in (8, 16)}


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize(("width", "height"), [(64, 96), (128, 96), (40, 96), (200, 300), (120, 100)])
def test_boxes_come_back_in_picture_pixels(width: int, height: int, turns: bool) -> None:
    picture = prepare(np.zeros((height, width, 3), np.uint8), FRAME.model_copy(update={"turns": turns}))
    assert picture.image.shape == ((64, 96, 3) if turns and width > height else (96, 64, 3))
    truth = np.array([[0.2, 0.3, 0.5, 0.4], [0.6, 0.05, 0.3, 0.3]]) * [width, height, width, height]
    maps = empty_maps(picture.image.shape[1], picture.image.shape[0])
    for (x, y, w, h), stride, logit in zip(truth.tolist(), (16, 8), (1.0, 3.0), strict=True):
        corners = np.array([x, y, x + w, y + h]) * picture.scale + np.tile(picture.shift, 2)
        write_face(maps, stride, tuple(corners.tolist()), logit)
    boxes, scores = find(maps, HOW, picture, min_score=0.5)
    np.testing.assert_allclose(boxes, truth[::-1], atol=1e-2, rtol=1e-4)
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-1))], rtol=1e-5)


def test_boxes_are_clipped_to_the_picture() -> None:
    picture = prepare(np.zeros((96, 64, 3), np.uint8), FRAME)
    maps = empty_maps()
    write_face(maps, 8, (-20, -10, 30, 40), 2.0)
    boxes, _ = find(maps, HOW, picture, min_score=0.5)
    np.testing.assert_allclose(boxes, [[0, 0, 30, 40]], atol=1e-2)
