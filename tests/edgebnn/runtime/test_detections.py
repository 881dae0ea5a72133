from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgebnn.card import Decode, Level
from edgebnn.runtime.detections import Detections, decode, nms

HOW = Decode(levels=(Level(output="a", stride=8, scale=2), Level(output="b", stride=16, scale=4)))

corner = st.integers(-20, 20)
box = st.tuples(corner, corner, st.integers(1, 20), st.integers(1, 20))


def iou(a: tuple[int, ...], b: tuple[int, ...]) -> Fraction:
    """Of boxes as x, y, width, height."""
    width = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    height = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    union = a[2] * a[3] + b[2] * b[3] - width * height
    return Fraction(width * height, union)


@given(
    found=st.lists(st.tuples(box, st.integers(1, 8)), max_size=30),
    threshold=st.sampled_from([Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)]),
    limit=st.integers(1, 30),
)
@settings(max_examples=300, deadline=None)
def test_nms_is_the_greedy_loop(found: list[tuple[tuple[int, ...], int]], threshold: Fraction, limit: int) -> None:
    kept: list[int] = []
    for i in sorted(range(len(found)), key=lambda i: -found[i][1]):
        if len(kept) < limit and all(iou(found[i][0], found[k][0]) <= threshold for k in kept):
            kept.append(i)
    boxes = np.array([(x, y, x + w, y + h) for (x, y, w, h), _ in found], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in found], np.float32)
    assert nms(boxes, scores, iou=float(threshold), limit=limit).tolist() == kept


def empty_maps() -> dict[str, np.ndarray]:
    maps = {"a": np.zeros((1, 8, 8, 5), np.float32), "b": np.zeros((1, 4, 4, 5), np.float32)}
    for grid in maps.values():
        grid[..., 0] = -100
    return maps


def test_nothing_found() -> None:
    boxes, scores = decode(empty_maps(), HOW, min_score=0.01)
    assert boxes.shape == (0, 4) and scores.shape == (0,) and boxes.dtype == scores.dtype == np.float32


def test_a_cell_becomes_the_box_around_its_centre() -> None:
    maps = empty_maps()
    maps["a"][0, 2, 3] = [2, *np.log([0.5, 1, 1.5, 2])]
    boxes, scores = decode(maps, HOW, min_score=0.5)
    x, y, unit = 3.5 * 8, 2.5 * 8, 8 * 2
    np.testing.assert_allclose(boxes, [[x - 0.5 * unit, y - unit, x + 1.5 * unit, y + 2 * unit]], rtol=1e-6)
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-2))], rtol=1e-6)


def test_every_level_counts_and_maps_may_lack_the_batch() -> None:
    maps = empty_maps()
    maps["a"][0, 0, 0, 0], maps["b"][0, 3, 3, 0] = 1, 3
    flat = {name: grid[0] for name, grid in maps.items()}
    for boxes, scores in (decode(maps, HOW, min_score=0.5), decode(flat, HOW, min_score=0.5)):
        np.testing.assert_allclose(boxes[0], [56 - 64, 56 - 64, 56 + 64, 56 + 64])
        np.testing.assert_allclose(boxes[1], [4 - 16, 4 - 16, 4 + 16, 4 + 16])
        assert scores[0] > scores[1]


any_float = st.floats(width=32) | st.sampled_from([float("nan"), float("inf"), float("-inf"), 2.0**127, -(2.0**127)])


@given(
    a=arrays(np.float32, (1, 8, 8, 5), elements=any_float, fill=st.just(np.float32(-9))),
    b=arrays(np.float32, (1, 4, 4, 5), elements=any_float, fill=st.nothing()),
    min_score=st.floats(0, 1, exclude_min=True, exclude_max=True),
)
@settings(max_examples=100, deadline=None)
def test_any_output_decodes_to_finite_boxes(a: np.ndarray, b: np.ndarray, min_score: float) -> None:
    boxes, scores = decode({"a": a, "b": b}, HOW, min_score=min_score)
    assert np.isfinite(boxes).all() and (boxes[:, 2:] >= boxes[:, :2]).all()
    assert (scores >= np.float32(min_score)).all() and (scores <= 1).all()
    assert (np.diff(scores) <= 0).all()


def test_limit_and_order() -> None:
    how = HOW.model_copy(update={"max_detections": 3})
    maps = empty_maps()
    maps["a"][0, ::2, ::2, 0] = np.arange(16).reshape(4, 4)
    maps["a"][..., 1:] = -3
    boxes, scores = decode(maps, how, min_score=0.4)
    assert len(boxes) == 3 and scores.tolist() == sorted(scores.tolist(), reverse=True)
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2, [[52, 52], [36, 52], [20, 52]], rtol=1e-5)


@pytest.mark.parametrize("min_score", [1e-300, 1e-12, 0.5, 1 - 1e-12])
def test_extreme_thresholds(min_score: float) -> None:
    maps = empty_maps()
    maps["b"][..., 0] = 80
    boxes, _ = decode(maps, HOW, min_score=min_score)
    assert len(boxes) >= 1


def test_detections_have_a_length() -> None:
    assert len(Detections(np.zeros((2, 4), np.float32), np.zeros(2, np.float32), np.zeros(2, np.int64))) == 2
