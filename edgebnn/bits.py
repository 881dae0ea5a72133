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
