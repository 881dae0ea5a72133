from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edgebnn.bits import WORD, pack, pack_planes, planes_dot, popcount_dot, unpack, words

bits = arrays(
    np.bool_,
    array_shapes(min_dims=1, max_dims=3, max_side=8).flatmap(lambda s: st.integers(1, 100).map(lambda c: (*s[:-1], c))),
)


@given(bits)
def test_unpack_undoes_pack(negative: np.ndarray) -> None:
    packed = pack(negative)
    assert packed.dtype == np.int32 and packed.shape == (*negative.shape[:-1], words(negative.shape[-1]))
    np.testing.assert_array_equal(unpack(packed, negative.shape[-1]), negative)


@pytest.mark.parametrize("channel", range(70))
def test_each_channel_is_one_bit(channel: int) -> None:
    one_hot = np.zeros(70, np.bool_)
    one_hot[channel] = True
    packed = pack(one_hot).view(np.uint32)
    expected = np.zeros(3, np.uint32)
    expected[channel // WORD] = np.uint32(1) << np.uint32(channel % WORD)
    np.testing.assert_array_equal(packed, expected)


def test_padding_bits_are_zero() -> None:
    np.testing.assert_array_equal(pack(np.ones((2, 33), np.bool_)).view(np.uint32), [[0xFFFFFFFF, 1]] * 2)


@given(st.integers(1, 130).flatmap(lambda c: st.tuples(arrays(np.bool_, (3, c)), arrays(np.bool_, (3, c)))))
def test_the_dot_product_is_that_of_the_signs(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    expected = (np.where(a, -1, 1) * np.where(b, -1, 1)).sum(axis=-1)
    np.testing.assert_array_equal(popcount_dot(pack(a), pack(b), a.shape[-1]), expected)


def test_the_dot_product_broadcasts() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (5, 1, 40)).astype(bool), rng.integers(0, 2, (1, 7, 40)).astype(bool)
    dot = popcount_dot(pack(a), pack(b), 40)
    np.testing.assert_array_equal(dot, (np.where(a, -1, 1) * np.where(b, -1, 1)).sum(axis=-1))


def test_views_pack_like_copies() -> None:
    negative = np.random.default_rng(1).integers(0, 2, (6, 50)).astype(bool)[::2, ::-1]
    packed = pack(negative)
    np.testing.assert_array_equal(packed, pack(negative.copy()))
    np.testing.assert_array_equal(unpack(packed[::-1], 50), negative[::-1])


def test_word_counts() -> None:
    assert [words(channels) for channels in (0, 1, 31, 32, 33, 64, 65)] == [0, 1, 1, 1, 2, 2, 3]
    assert pack(np.zeros((2, 0), np.bool_)).shape == (2, 0) and unpack(np.zeros((2, 0), np.int32), 0).shape == (2, 0)


@given(st.integers(1, 70).flatmap(lambda c: st.tuples(arrays(np.uint8, (4, 1, c)), arrays(np.bool_, (3, c)))))
def test_eight_planes_are_the_scaled_pixels_exactly(pair: tuple[np.ndarray, np.ndarray]) -> None:
    x, negative = pair
    signs = np.where(negative, -1, 1)
    dot = planes_dot(pack_planes(x), pack(negative), x.shape[-1])
    np.testing.assert_array_equal(dot, ((2 * x.astype(np.int64) - 255) * signs).sum(axis=-1))
    scaled = ((x - 127.5) / 127.5 * signs).sum(axis=-1)  # what the float first layer computes
    np.testing.assert_allclose(dot / 255, scaled, rtol=0, atol=1e-12 * x.shape[-1])


@pytest.mark.parametrize("n", range(8))
def test_each_bit_is_one_plane(n: int) -> None:
    planes = pack_planes(np.array([[1 << n]], np.uint8))
    np.testing.assert_array_equal(unpack(planes, 1)[:, 0, 0], np.arange(8) != n)
