"""Every variant of the float kernels around binary convolutions against numpy, bit for bit."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn import bits
from tests.edgebnn.delegate.kernel_library import Convolution, bconv2d, library, pointer, variants

AROUND = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130)
OPEN = (-np.inf, np.inf)
FORMS = ("none", "add", "subtract", "multiply", "divide", "scale_negative")
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 3e38, -3e38], np.float32)


def floats(rng: np.random.Generator, *shape: int, special: float = 0.05) -> np.ndarray:
    values = rng.normal(size=shape).astype(np.float32)
    return np.where(rng.random(shape) < special, rng.choice(SPECIAL, shape), values)


def clamped(y: np.ndarray, clamp: tuple[float, float]) -> np.ndarray:
    low, high = np.float32(clamp[0]), np.float32(clamp[1])
    y = np.where(y < low, low, y)
    return np.where(y > high, high, y)


def limits(clamp: tuple[float, float]) -> Any:
    return (ctypes.c_float * 2)(*clamp)


def elementwise_oracle(form: str, x: np.ndarray, o: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return {
            "none": lambda: x,
            "add": lambda: x + o,
            "subtract": lambda: x - o,
            "multiply": lambda: x * o,
            "divide": lambda: x / o,
            "scale_negative": lambda: np.where(x < 0, x * o, x),
        }[form]()


@pytest.mark.parametrize("clamp", [OPEN, (0.0, np.inf), (-1.0, 1.0), (0.0, 6.0)])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_elementwise(form: str, per_channel: bool, clamp: tuple[float, float]) -> None:
    rng = np.random.default_rng(5)
    for channels in AROUND:
        for rows in (1, 2, 5):
            x = floats(rng, rows, channels)
            o = floats(rng, channels) if per_channel else floats(rng, rows, channels)
            expected = clamped(elementwise_oracle(form, x, o), clamp)
            for index, name in variants("elementwise"):
                for place in ("elsewhere", "in", "operand"):
                    a, b = x.copy(), o.copy()
                    out = {"elsewhere": np.full(rows * channels + 8, 7, np.float32), "in": a, "operand": b}[place]
                    if place == "operand" and (per_channel or form == "none"):
                        continue
                    status = library().edgebnn_elementwise(
                        index,
                        FORMS.index(form),
                        int(per_channel),
                        None if form == "none" else pointer(b),
                        limits(clamp),
                        pointer(a),
                        ctypes.c_size_t(rows),
                        channels,
                        pointer(out),
                    )
                    if status != 0:
                        continue
                    got = out.ravel()[: rows * channels].reshape(rows, channels)
                    np.testing.assert_array_equal(got, expected, err_msg=f"{name} {channels} {place}")
                    assert place != "elsewhere" or (out[rows * channels :] == 7).all(), "wrote behind its output"


def pool_oracle(x: np.ndarray, shape: tuple[int, ...], average: bool) -> np.ndarray:
    batches, height, width, channels, out_height, out_width, fh, fw, sh, sw, top, left = shape
    out = np.zeros((batches, out_height, out_width, channels), np.float32)
    for y in range(out_height):
        for u in range(out_width):
            places = [(y * sh - top + i, u * sw - left + j) for j in range(fw) for i in range(fh)]  # column by column
            inside = [0 <= v < height and 0 <= w < width for v, w in places]
            elements = [x[:, v, w] for (v, w), in_map in zip(places, inside, strict=True) if in_map]
            there = {place for place, in_map in zip(places, inside, strict=True) if in_map}
            with np.errstate(all="ignore"):
                if average:
                    out[:, y, u] = mean(x, places, inside, elements)
                    continue
                out[:, y, u] = largest([x[:, v, w] for (v, w) in sorted(places) if (v, w) in there])
    return out


def largest(elements: list[np.ndarray]) -> np.ndarray:
    value = elements[0]
    for element in elements[1:]:
        value = np.where(element > value, element, value)
    return value


def mean(x: np.ndarray, places: list[tuple[int, int]], inside: list[bool], elements: list[np.ndarray]) -> np.ndarray:
    if len(places) <= 9:
        zero = np.zeros_like(elements[0])
        e = [x[:, v, w] if in_map else zero for (v, w), in_map in zip(places, inside, strict=True)]
        e += [zero] * (9 - len(e))
        total = ((e[2] + e[3]) + (e[4] + e[5])) + (((e[0] + e[1]) + e[8]) + (e[6] + e[7]))
    else:
        total = elements[0]
        for element in elements[1:]:
            total = total + element
    return total * (np.float32(1) / np.float32(len(elements)))


def check_pool(x: np.ndarray, shape: tuple[int, ...], average: bool, clamp: tuple[float, float]) -> None:
    expected = clamped(pool_oracle(x, shape, average), clamp)
    lines = shape[0] * shape[4]
    for index, name in variants("pool"):
        out = np.full(expected.size + 8, 7, np.float32)
        split = lines // 2  # lines may come in parts
        for first, count in ((0, split), (split, lines - split)):
            status = library().edgebnn_pool(
                index, (ctypes.c_int * 12)(*shape), int(average), limits(clamp), pointer(x), first, count, pointer(out)
            )
        if status == 0:
            np.testing.assert_array_equal(out[: expected.size].reshape(expected.shape), expected, err_msg=name)
            assert (out[expected.size :] == 7).all(), "wrote behind its output"


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("channels", AROUND)
def test_pool_channels(channels: int, average: bool) -> None:
    x = floats(np.random.default_rng(channels), 2, 5, 6, channels)
    check_pool(x, (2, 5, 6, channels, 5, 6, 3, 3, 1, 1, 1, 1), average, OPEN)
    check_pool(x, (2, 5, 6, channels, 2, 3, 2, 2, 2, 2, 0, 0), average, (0.0, 1.0))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_pool_random(data: st.DataObject) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    batches, height, width, channels = draw(1, 2), draw(1, 8), draw(1, 8), draw(1, 40)
    filters, strides = (draw(1, 5), draw(1, 5)), (draw(1, 3), draw(1, 3))
    outs = -(-height // strides[0]), -(-width // strides[1])
    pads = [
        max((out - 1) * stride + size - extent, 0) // 2
        for out, stride, size, extent in zip(outs, strides, filters, (height, width), strict=True)
    ]
    x = floats(np.random.default_rng(draw(0, 2**31)), batches, height, width, channels)
    check_pool(x, (batches, height, width, channels, *outs, *filters, *strides, *pads), data.draw(st.booleans()), OPEN)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 9), st.integers(0, 2**31))
def test_concat(widths: list[int], outer: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ins = [floats(rng, outer, width) for width in widths]
    expected = np.concatenate(ins, axis=1)
    sizes = (ctypes.c_size_t * len(ins))(*widths)
    pointers = (ctypes.c_void_p * len(ins))(*(array.ctypes.data for array in ins))
    for index, name in variants("move"):
        out = np.full(expected.size + 8, 7, np.float32)
        if library().edgebnn_concat(index, ctypes.c_size_t(outer), len(ins), sizes, pointers, pointer(out)) == 0:
            np.testing.assert_array_equal(out[: expected.size].reshape(expected.shape), expected, err_msg=name)
            assert (out[expected.size :] == 7).all(), "wrote behind its output"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(0, 3)), min_size=4, max_size=4))
def test_pad(axes: list[tuple[int, int, int]]) -> None:
    x = floats(np.random.default_rng(0), *(size for size, _, _ in axes))
    expected = np.pad(x, [(before, after) for _, before, after in axes])
    shape = (ctypes.c_int * 12)(*(axis[i] for i in range(3) for axis in axes))
    for index, name in variants("move"):
        out = np.full(expected.size + 8, 7, np.float32)
        if library().edgebnn_pad(index, shape, pointer(x), pointer(out)) == 0:
            np.testing.assert_array_equal(out[: expected.size].reshape(expected.shape), expected, err_msg=name)
            assert (out[expected.size :] == 7).all(), "wrote behind its output"


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("channels", AROUND)
def test_resize(channels: int, nearest: bool) -> None:
    rng = np.random.default_rng(channels)
    batches, height, width, out_height, out_width = 2, 3, 4, 7, 5
    x = floats(rng, batches, height, width, channels, special=0)
    low = np.concatenate([np.sort(rng.integers(0, height, out_height)), np.sort(rng.integers(0, width, out_width))])
    limit = np.repeat([height - 1, width - 1], [out_height, out_width])
    high = np.minimum(low + 1, limit).astype(np.int32)
    low, weight = low.astype(np.int32), rng.random(out_height + out_width).astype(np.float32)
    rows, columns = slice(0, out_height), slice(out_height, None)
    wy, wx = weight[rows, None, None], weight[columns, None]
    taken = [[x[:, a[rows]][:, :, b[columns]] for b in (low, high)] for a in (low, high)]
    top, bottom = (left + (right - left) * wx for left, right in taken)
    expected = taken[0][0] if nearest else top + (bottom - top) * wy
    shape = (ctypes.c_int * 6)(batches, height, width, channels, out_height, out_width)
    for index, name in variants("move"):
        out = np.full(expected.size + 8, 7, np.float32)
        arrays = [pointer(array) for array in (low, high, weight, x, out)]
        if library().edgebnn_resize(index, shape, int(nearest), *arrays) == 0:
            np.testing.assert_array_equal(out[: expected.size].reshape(expected.shape), expected, err_msg=name)
            assert (out[expected.size :] == 7).all(), "wrote behind its output"


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_convolution_with_its_pass(data: st.DataObject) -> None:
    """conv + residual, clamped, then signs, with every choice of what is kept: the same as one step after the other."""

    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    shape = Convolution(
        batches=draw(1, 2),
        in_height=draw(1, 9),
        in_width=draw(1, 12),
        channels_in=draw(1, 70),
        channels_out=draw(1, 140),
        filter_height=draw(1, 3),
        filter_width=draw(1, 3),
        stride_height=draw(1, 2),
        stride_width=draw(1, 2),
        zero_padding=draw(0, 1),
    ).same()
    s, rng = shape, np.random.default_rng(draw(0, 2**31))
    images = bits.pack(rng.random((s.batches, s.in_height, s.in_width, s.channels_in)) < 0.5)
    filters = bits.pack(rng.random((s.channels_out, s.filter_height, s.filter_width, s.channels_in)) < 0.5)
    affine = [rng.normal(size=s.channels_out).astype(np.float32) for _ in range(2)]
    residual = floats(rng, s.batches, s.out_height, s.out_width, s.channels_out, special=0)
    keep_values, keep_sums, in_place = (data.draw(st.booleans()) for _ in range(3))
    clamp, threads = data.draw(st.sampled_from([OPEN, (-1.0, 1.0)])), draw(1, 3)
    for index, name in variants("bconv2d"):
        expected_values = bconv2d(
            index, s, "float32", filters=filters, images=images, multiplier=affine[0], bias=affine[1]
        )
        if expected_values is None:
            continue
        expected = clamped(expected_values + residual, clamp)
        other = residual.copy()
        values = np.full_like(expected, 7) if keep_values else None
        sums = (other if in_place else np.full_like(expected, 7)) if keep_sums else None
        words = np.zeros((*expected.shape[:3], bits.words(s.channels_out)), np.int32)
        status = library().edgebnn_bconv2d_pass(
            index,
            s.numbers(),
            *map(pointer, (*affine, filters, images, other)),
            limits(clamp),
            *map(pointer, (values, sums, words)),
            threads,
        )
        assert status == 0
        np.testing.assert_array_equal(words, bits.pack(expected < 0), err_msg=name)
        if values is not None:
            np.testing.assert_array_equal(values, expected_values, err_msg=name)
        if sums is not None:
            np.testing.assert_array_equal(sums, expected, err_msg=name)
