from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.errors import InputError
from edgebnn.runtime.preprocess import apply_table, input_table, letterbox, to_frame

sides = st.integers(1, 700)
targets = st.integers(16, 200)


@given(width=sides, height=sides, to_width=targets, to_height=targets, pad=st.integers(0, 255))
@settings(max_examples=100, deadline=None)
def test_letterbox_keeps_the_aspect_and_pads_evenly(
    width: int, height: int, to_width: int, to_height: int, pad: int
) -> None:
    grey = 255 - pad if abs(255 - 2 * pad) > 20 else 0
    frame = np.full((height, width, 3), grey, np.uint8)
    image, scale, (dx, dy) = letterbox(frame, to_width, to_height, pad)
    assert image.shape == (to_height, to_width, 3) and image.dtype == np.uint8
    inside = (image == grey).all(axis=2)
    assert ((image == pad).all(axis=2) | inside).all()
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert len(columns) == to_width or len(rows) == to_height
    for first, count, side, shift, whole in (
        (columns[0], len(columns), width, dx, to_width),
        (rows[0], len(rows), height, dy, to_height),
    ):
        assert abs(first - (whole - count - first)) <= 1
        odd = 1 if scale <= 0.5 else 0  # so much of the last row or column may be left out
        assert abs(count - side * scale) <= max(0.5, 1 - side * scale) + odd
        assert abs(shift - first) <= 0.5 and abs(shift + side * scale - first - count) <= 0.5 + odd


@given(data=st.data(), width=st.integers(20, 700), height=st.integers(20, 700), to=st.tuples(targets, targets))
@settings(max_examples=100, deadline=None)
def test_to_frame_undoes_letterbox(data: st.DataObject, width: int, height: int, to: tuple[int, int]) -> None:
    _, scale, shift = letterbox(np.zeros((height, width, 3), np.uint8), *to, 0)
    x1 = data.draw(st.floats(0, width - 2, width=32))
    y1 = data.draw(st.floats(0, height - 2, width=32))
    x2, y2 = (x1 + width) / 2 + 1, (y1 + height) / 2 + 1
    in_image = np.array([x1, y1, x2, y2]).reshape(2, 2) * scale + shift
    boxes, kept = to_frame(in_image.reshape(1, 4).astype(np.float32), scale, shift, width=width, height=height)
    assert kept.tolist() == [0]
    np.testing.assert_allclose(
        boxes[0], [x1, y1, min(x2, width) - x1, min(y2, height) - y1], atol=1e-3 * max(1, 1 / scale)
    )


@given(
    boxes=st.lists(st.tuples(*[st.floats(-1e9, 1e9, width=32)] * 4), max_size=8),
    width=sides,
    height=sides,
    scale=st.floats(1e-3, 100),
)
def test_to_frame_stays_inside(boxes: list[tuple[float, ...]], width: int, height: int, scale: float) -> None:
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    found, kept = to_frame(corners, scale, (3.5, 0.0), width=width, height=height)
    assert found.dtype == np.float32 and found.shape == (len(kept), 4)
    x, y, w, h = found.astype(np.float64).T
    assert (x >= 0).all() and (y >= 0).all() and (x + w <= width).all() and (y + h <= height).all()
    assert (w > 0).all() and (h > 0).all()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1), (8000, 6000), (64, 64), (40000, 3)])
def test_degenerate_frames(width: int, height: int) -> None:
    image, scale, shift = letterbox(np.full((height, width, 3), 200, np.uint8), 64, 64, 114)
    assert image.shape == (64, 64, 3) and (image == 200).any()
    whole = (np.array([[0, 0], [width, height]]) * scale + shift).reshape(1, 4).astype(np.float32)
    boxes, _ = to_frame(whole, scale, shift, width=width, height=height)
    np.testing.assert_allclose(boxes[0], [0, 0, width, height], rtol=1e-4, atol=1e-3)


def test_letterbox_of_a_marked_pixel() -> None:
    """A bright block lands where the returned geometry says."""
    frame = np.zeros((120, 200, 3), np.uint8)
    frame[60:80, 100:120] = 255
    image, scale, (dx, dy) = letterbox(frame, 100, 100, 0)
    ys, xs = np.nonzero(image[..., 0] > 127)
    assert (xs.min(), xs.max() + 1) == pytest.approx((100 * scale + dx, 120 * scale + dx), abs=0.51)
    assert (ys.min(), ys.max() + 1) == pytest.approx((60 * scale + dy, 80 * scale + dy), abs=0.51)


def test_shrinking_averages() -> None:
    frame = np.zeros((640, 640, 3), np.uint8)
    frame[::2] = 200
    image, _, _ = letterbox(frame, 64, 64, 0)
    assert np.abs(image.astype(int) - 100).max() <= 1


def test_views_are_frames() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    expected, _, _ = letterbox(np.ascontiguousarray(frame[::-1, :, ::-1]), 32, 32, 9)
    image, _, _ = letterbox(frame[::-1, :, ::-1], 32, 32, 9)
    np.testing.assert_array_equal(image, expected)
    frame.flags.writeable = False
    letterbox(frame, 32, 32, 9)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        [[[0, 0, 0]]],
        None,
    ],
)
def test_what_is_no_frame(frame: object) -> None:
    with pytest.raises(InputError, match="expected"):
        letterbox(frame, 32, 32, 0)  # type: ignore[arg-type]


def test_tables() -> None:
    image = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    out = np.empty(image.shape, np.float32)
    apply_table(image, input_table(np.float32, 127.5, 127.5), out)
    np.testing.assert_array_equal(out, (image.astype(np.float32) - np.float32(127.5)) / np.float32(127.5))
    quantised = np.empty(image.shape, np.int8)
    apply_table(image, input_table(np.int8, 128, 64, scale=1 / 64, zero_point=-1), quantised)
    np.testing.assert_array_equal(quantised, np.clip(image.astype(int) - 129, -128, 127))
    unsigned = np.empty(image.shape, np.uint8)
    apply_table(image, input_table(np.uint8, 0, 255, scale=1 / 255, zero_point=0), unsigned)
    np.testing.assert_array_equal(unsigned, image)


@pytest.mark.parametrize(("side", "input_side"), [(40, 32), (61, 32), (11, 32), (64, 32), (32, 32), (480, 416)])
def test_interpolation_is_opencvs_exact_one(side: int, input_side: int) -> None:
    frame = np.random.default_rng(2).integers(0, 256, (side, side, 3), dtype=np.uint8)
    image, _, _ = letterbox(frame, input_side, input_side, 0)
    size = (input_side, input_side)
    np.testing.assert_array_equal(image, cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR_EXACT))


def test_of_a_frame_that_is_halved_the_odd_rows_and_columns_are_left_out() -> None:
    frame = np.random.default_rng(3).integers(0, 256, (131, 263, 3), dtype=np.uint8)
    for got, expected in zip(letterbox(frame, 64, 64, 9), letterbox(frame[:128, :260], 64, 64, 9), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (641, 479), (1001, 703), (4056, 3040), (700, 650)])
def test_a_large_frame_is_shrunk_in_place_and_without_aliases(width: int, height: int) -> None:
    """Blobs keep their places to a quarter of a pixel; lines thinner than a pixel become even grey."""
    scale = min(320 / width, 320 / height)
    y, x = np.indices((height, width), np.float32)
    for across, down in ((0.2, 0.3), (0.5, 0.5), (0.9, 0.8)):
        at = width * across, height * down
        blob = 250 * np.exp(-((x + 0.5 - at[0]) ** 2 + (y + 0.5 - at[1]) ** 2) * scale**2 / 18)
        image, fitted, (dx, dy) = letterbox(np.repeat(blob.astype(np.uint8)[..., None], 3, axis=2), 320, 320, 0)
        grey = image[..., 0].astype(np.float64)
        rows, columns = np.indices(grey.shape) + 0.5
        seen = (columns * grey).sum() / grey.sum(), (rows * grey).sum() / grey.sum()
        np.testing.assert_allclose(seen, (at[0] * fitted + dx, at[1] * fitted + dy), atol=0.25)
    if scale < 0.25:
        lines = np.zeros((height, width, 3), np.uint8)
        lines[:, ::2] = 200
        image, _, (_, dy) = letterbox(lines, 320, 320, 0)
        inside = image[int(dy) + 2 : 318 - int(dy), 2:318].astype(np.float64)
        assert abs(inside.mean() - 100) < 2 and inside.std() < 12
