"""The bit contract in numpy: the oracle of every kernel.

A binarized value is one bit: 0 stands for +1, 1 for -1 (the sign bit). 32 channels make one int32 word along the
last axis, channel c in bit c % 32 of word c // 32; a last word that is not full is padded with 0 bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WORD = 32


def words(channels: int) -> int:
    """Number of int32 words that hold `channels` bits."""
    return -(-channels // WORD)


def pack(negative: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Bool (..., C), True where the value is -1, to int32 (..., words(C))."""
    channels = negative.shape[-1]
    padded = np.zeros((*negative.shape[:-1], words(channels) * WORD), np.uint8)
    padded[..., :channels] = negative
    return np.packbits(padded, axis=-1, bitorder="little").view("<i4").astype(np.int32)


def unpack(packed: npt.NDArray[np.int32], channels: int) -> npt.NDArray[np.bool_]:
    """int32 (..., words(channels)) to bool (..., channels), True where the value is -1."""
    octets = np.ascontiguousarray(packed).astype("<i4").view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=channels, bitorder="little").astype(np.bool_)


def popcount_dot(a: npt.NDArray[np.int32], b: npt.NDArray[np.int32], channels: int) -> npt.NDArray[np.int64]:
    """Dot product of +-1 vectors along the last axis: channels - 2 * popcount(a ^ b). Padding bits must be equal."""
    differing = np.unpackbits(np.ascontiguousarray(a ^ b).view(np.uint8), axis=-1).sum(axis=-1, dtype=np.int64)
    dot: npt.NDArray[np.int64] = channels - 2 * differing
    return dot


def pack_planes(x: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """The bit planes of uint8 (..., C) as packed signs (8, ..., words(C)): plane n has +1 where bit n of x is set."""
    return np.stack([pack((x >> n) & 1 == 0) for n in range(8)])


def planes_dot(planes: npt.NDArray[np.int32], b: npt.NDArray[np.int32], channels: int) -> npt.NDArray[np.int64]:
    """(2 x - 255) . b of 8-bit x and a +-1 vector: the sum of 2^n popcount_dot(planes[n], b).

    That is the paper's first layer (Courbariaux et al. 2016, algorithm 5, where planes count from 1): with b_n = +-1
    for bit n of x, the sum of 2^n b_n is 2 x - 255, which is 255 times the pixel scaled to -1..1 by mean = std = 127.5.
    """
    dots = [popcount_dot(plane, b, channels) << n for n, plane in enumerate(planes)]
    dot: npt.NDArray[np.int64] = np.sum(dots, axis=0)
    return dot
