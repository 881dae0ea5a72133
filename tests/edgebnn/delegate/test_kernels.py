"""Every kernel variant of the registry against numpy, on sizes around vector widths and on random ones."""

from __future__ import annotations

import ctypes
import platform
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn import bits
from tests.edgebnn.delegate.kernel_library import FAMILIES, NO_LIMIT, Convolution, bconv2d, library, pointer, variants

AROUND = (1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 160, 256, 257)


def oracle_x(shape: Convolution, filters: np.ndarray, images: np.ndarray) -> np.ndarray:
    """x of kernels/bconv2d/bconv2d.h, straight from its formula on +-1 values (int64, NHWC)."""
    s = shape
    inside = 1.0 - 2.0 * bits.unpack(images, s.channels_in)
    weights = 1.0 - 2.0 * bits.unpack(filters, s.channels_in // s.groups)
    x = np.zeros((s.batches, s.out_height, s.out_width, s.channels_out))
    group_in, group_out = s.channels_in // s.groups, s.channels_out // s.groups
    for y in range(s.out_height):
        for u in range(s.out_width):
            for i in range(s.filter_height):
                for j in range(s.filter_width):
                    row = y * s.stride_height - s.pad_top + i * s.dilation_height
                    column = u * s.stride_width - s.pad_left + j * s.dilation_width
                    if 0 <= row < s.in_height and 0 <= column < s.in_width:
                        pixel = inside[:, row, column]
                    else:
                        pixel = np.full((s.batches, s.channels_in), 0.0 if s.zero_padding else 1.0)
                    for g in range(s.groups):
                        out = slice(g * group_out, (g + 1) * group_out)
                        dot = pixel[:, g * group_in : (g + 1) * group_in] @ weights[out, i, j].T
                        x[:, y, u, out] += group_in - dot
    return x.astype(np.int64)


def oracle(x: np.ndarray, form: str, clamp: tuple[int, int], a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    if form == "bits":
        return bits.pack(x > t)
    clamped = np.clip(x, *clamp).astype(np.float32)
    y = (clamped * a).astype(np.float32) + b
    if form == "float32":
        return y
    away = np.where(y < 0, -np.floor(-y.astype(np.float64) + 0.5), np.floor(y.astype(np.float64) + 0.5))
    return np.clip(away, -128, 127).astype(np.int8)


def random_words(rng: np.random.Generator, shape: tuple[int, ...], channels: int) -> np.ndarray:
    return bits.pack(rng.random((*shape, channels)) < rng.random())


def check(shape: Convolution, form: str, *, seed: int, clamp: tuple[int, int] = NO_LIMIT, threads: int = 1) -> int:
    """Compare all variants with numpy; how many took the shape."""
    rng = np.random.default_rng(seed)
    s = shape
    images = random_words(rng, (s.batches, s.in_height, s.in_width), s.channels_in)
    filters = random_words(rng, (s.channels_out, s.filter_height, s.filter_width), s.channels_in // s.groups)
    depth = s.filter_height * s.filter_width * s.channels_in // s.groups
    multiplier = rng.normal(size=s.channels_out).astype(np.float32)
    multiplier[rng.random(s.channels_out) < 0.3] = 0.25  # exact halves in int8 outputs
    bias = rng.normal(scale=depth**0.5, size=s.channels_out).astype(np.float32).round(1)
    thresholds = rng.integers(0, 2 * depth + 1, s.channels_out).astype(np.int32)
    x = oracle_x(s, filters, images)
    expected = oracle(x, form, clamp, multiplier, bias, thresholds)
    taken = 0
    for index, name in variants("bconv2d"):
        got = bconv2d(
            index,
            s,
            form,
            filters=filters,
            images=images,
            multiplier=multiplier,
            bias=bias,
            thresholds=thresholds,
            clamp=clamp,
            threads=threads,
        )
        if got is None:
            continue
        taken += 1
        np.testing.assert_array_equal(got, expected, err_msg=f"{name} {shape} {form}")
    return taken


def test_registry_starts_with_reference_and_portable() -> None:
    for family in FAMILIES:
        assert [name for _, name in variants(family)][:2] == ["reference", "portable"]


@pytest.mark.parametrize("form", ["float32", "int8", "bits"])
@pytest.mark.parametrize("channels_in", AROUND)
def test_bconv2d_channels_in(channels_in: int, form: str) -> None:
    shape = Convolution(in_height=4, in_width=5, channels_in=channels_in, channels_out=40).same()
    assert check(shape, form, seed=channels_in) >= 2


@pytest.mark.parametrize("form", ["float32", "int8", "bits"])
@pytest.mark.parametrize("channels_out", AROUND)
def test_bconv2d_channels_out(channels_out: int, form: str) -> None:
    shape = Convolution(in_height=4, in_width=5, channels_in=64, channels_out=channels_out).same()
    assert check(shape, form, seed=channels_out) >= 2


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65])
def test_bconv2d_pixels(pixels: int) -> None:
    shape = Convolution(in_height=1, in_width=pixels, filter_height=1, channels_out=72).same()
    assert check(shape, "float32", seed=pixels, threads=2) >= 2


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_bconv2d_random(data: st.DataObject) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    groups = data.draw(st.sampled_from([1, 1, 2, 3]))
    shape = Convolution(
        batches=draw(1, 2),
        in_height=draw(1, 7),
        in_width=draw(1, 9),
        channels_in=draw(1, 140) if groups == 1 else 32 * groups * draw(1, 2),
        channels_out=groups * draw(1, 70),
        filter_height=draw(1, 4),
        filter_width=draw(1, 4),
        groups=groups,
        stride_height=draw(1, 3),
        stride_width=draw(1, 3),
        dilation_height=draw(1, 2),
        dilation_width=draw(1, 2),
        zero_padding=draw(0, 1),
    )
    fits = all(
        (getattr(shape, f"filter_{a}") - 1) * getattr(shape, f"dilation_{a}") < getattr(shape, f"in_{a}")
        for a in ("height", "width")
    )
    valid = fits and data.draw(st.booleans())
    shape = shape.valid() if valid else shape.same()
    depth = shape.filter_height * shape.filter_width * shape.channels_in // groups
    clamp = data.draw(st.sampled_from([NO_LIMIT, (0, depth), (depth - 6, depth), (depth - 1, depth + 1)]))
    form = data.draw(st.sampled_from(["float32", "int8", "bits"]))
    assert check(shape, form, seed=draw(0, 2**31), clamp=clamp, threads=draw(1, 3)) >= 2


def test_bconv2d_deep_rows_overflow_no_accumulator() -> None:
    """All bits differ: sums reach the row's length, near and beyond what 16 bits hold."""
    for channels in (65_504, 65_536, 131_072):
        shape = Convolution(in_height=1, in_width=3, channels_in=channels, filter_height=1, filter_width=1).same()
        images = np.full((1, 1, 3, channels // 32), -1, np.int32)
        filters = np.zeros((8, 1, 1, channels // 32), np.int32)
        one, zero = np.ones(8, np.float32), np.zeros(8, np.float32)
        for index, name in variants("bconv2d"):
            got = bconv2d(index, shape, "float32", filters=filters, images=images, multiplier=one, bias=zero)
            assert got is None or (got == 2 * channels).all(), name


def test_bconv2d_far_dilation_of_a_small_input() -> None:
    """Padding beyond all proportion: an expanded input would be a million pixels wide."""
    for zero_padding in (0, 1):
        far = Convolution(dilation_height=500_000, dilation_width=1_000_000, zero_padding=zero_padding).same()
        assert check(far, "float32", seed=zero_padding) >= 2


def test_bconv2d_zero_padding_of_a_long_filter() -> None:
    """As many sets of missing taps as output pixels: the corrections must not cost more than the convolution."""
    n = 6000
    long = Convolution(in_height=1, in_width=n, channels_out=1, filter_height=1, filter_width=n, zero_padding=1).same()
    images = filters = np.zeros((1, 1, n, 1), np.int32)
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    got = bconv2d(1, long, "float32", filters=filters, images=images, multiplier=one, bias=zero)
    assert got is not None
    first = np.arange(n) - long.pad_left
    inside = np.minimum(n, n - first) - np.maximum(0, -first)
    np.testing.assert_array_equal(got[0, 0, :, 0], 32 * (n - inside))


def test_bconv2d_one_hot_bits() -> None:
    """Each single input bit must meet its own weight bit: the bit order is the contract's."""
    channels = 96
    images = bits.pack(np.eye(channels, dtype=bool).reshape(1, 1, channels, channels))
    filters = bits.pack(np.eye(channels, dtype=bool).reshape(channels, 1, 1, channels))
    shape = Convolution(
        in_height=1, in_width=channels, channels_in=channels, channels_out=channels, filter_height=1, filter_width=1
    ).same()
    one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    for index, name in variants("bconv2d"):
        got = bconv2d(index, shape, "float32", filters=filters, images=images, multiplier=one, bias=zero)
        assert got is not None
        np.testing.assert_array_equal(got[0, 0], 4 * (1 - np.eye(channels)), err_msg=name)


def quantize(index: int, values: np.ndarray, zero_point: int = 0) -> np.ndarray | None:
    rows, channels = values.shape
    out = np.zeros((rows, bits.words(channels)), np.int32)
    kind = {"float32": 0, "int8": 1, "bool": 2}[values.dtype.name]
    status = library().edgebnn_quantize(
        index, kind, pointer(values), zero_point, ctypes.c_size_t(rows), channels, pointer(out)
    )
    return out if status == 0 else None


@pytest.mark.parametrize("channels", AROUND)
def test_quantize(channels: int) -> None:
    rng = np.random.default_rng(channels)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1, -1], np.float32)
    floats = rng.choice(special, (5, channels))
    octets = rng.integers(-128, 128, (5, channels)).astype(np.int8)
    for index, name in variants("quantize"):
        got = quantize(index, floats)
        if got is None:
            continue
        np.testing.assert_array_equal(got, bits.pack(floats < 0), err_msg=name)
        np.testing.assert_array_equal(quantize(index, floats < 0), bits.pack(~(floats < 0)), err_msg=name)
        for zero_point in (-1000, -129, -128, -127, -1, 0, 5, 127, 128, 1000):
            expected = bits.pack(octets.astype(int) < zero_point)
            np.testing.assert_array_equal(quantize(index, octets, zero_point), expected, err_msg=name)


@pytest.mark.parametrize("channels", AROUND)
def test_dequantize(channels: int) -> None:
    negative = np.random.default_rng(channels).random((3, channels)) < 0.5
    packed = bits.pack(negative)
    for index, name in variants("dequantize"):
        floats, octets = np.zeros((3, channels), np.float32), np.zeros((3, channels), np.int8)
        size = ctypes.c_size_t(3)
        if library().edgebnn_dequantize(index, 0, pointer(packed), size, channels, 0, 0, pointer(floats)) != 0:
            continue
        library().edgebnn_dequantize(index, 1, pointer(packed), size, channels, 50, -70 & 0xFF, pointer(octets))
        np.testing.assert_array_equal(floats, np.where(negative, -1, 1), err_msg=name)
        np.testing.assert_array_equal(octets, np.where(negative, -70, 50), err_msg=name)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    words=st.integers(1, 9),
    seed=st.integers(0, 2**31),
)
def test_bmaxpool(
    size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int], words: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(-(2**31), 2**31, (2, *size, words)).astype(np.int32) | rng.integers(
        -(2**31), 2**31, (2, *size, words)
    ).astype(np.int32)
    out = [-(-n // s) for n, s in zip(size, stride, strict=True)]
    pad = [max((o - 1) * s + w - n, 0) // 2 for n, o, s, w in zip(size, out, stride, window, strict=True)]
    expected = np.full((2, *out, words), -1, np.int32)
    for y in range(out[0]):
        for x in range(out[1]):
            top, left = y * stride[0] - pad[0], x * stride[1] - pad[1]
            seen = images[:, max(top, 0) : top + window[0], max(left, 0) : left + window[1]]
            expected[:, y, x] = np.bitwise_and.reduce(seen, axis=(1, 2))
    shape = (ctypes.c_int * 12)(2, *size, words, *out, *window, *stride, *pad)
    for index, name in variants("bmaxpool"):
        got = np.zeros_like(expected)
        if library().edgebnn_bmaxpool(index, shape, pointer(images), pointer(got)) == 0:
            np.testing.assert_array_equal(got, expected, err_msg=name)


@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="expected x86_64: other machines name their features otherwise"
)
def test_x86_variants_run_where_linux_reports_their_features() -> None:
    needs = {"x86_avx2": {"avx2"}, "x86_avx512": {"avx512f", "avx512bw", "avx512vl", "avx512_vpopcntdq"}}
    line = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    reported = set(line.partition(":")[2].split())
    row, word = np.zeros(32, np.float32), np.zeros(1, np.uint32)
    runs = {
        name
        for index, name in variants("quantize")
        if library().edgebnn_quantize(index, 0, pointer(row), 0, ctypes.c_size_t(1), 32, pointer(word)) == 0
    }
    x86 = {name for _, name in variants("quantize") if name.startswith("x86_")}
    assert x86 == set(needs)
    assert runs & x86 == {name for name in x86 if needs[name] <= reported}
