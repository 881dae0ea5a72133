"""The grid itself: it covers what it must, keeps the golden condition, and its two oracles agree."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from edgebnn import bits

from . import grid, judge, lce, oracle
from .graph import ACTIVATION

PADDINGS = ("SAME0", "SAME1", "VALID")
REQUIRED = {
    *(f"LceQuantize in={kind}" for kind in ("float32", "int8", "bool")),
    *(f"LceQuantize rank={rank}" for rank in (1, 2, 3, 4, 5)),
    *(f"LceDequantize out={kind}" for kind in ("float32", "int8", "bool")),
    *(f"LceBMaxPool2d {tag}" for tag in ("SAME", "VALID", "size=2x2", "size=3x3", "size=2x3", "stride=1x1")),
    *(f"LceBconv2d {padding} out={kind}" for padding, kind in product(PADDINGS, grid.TYPES)),
    *(f"LceBconv2d {name} out={kind}" for name, kind in product(ACTIVATION, ("float32", "int8"))),
    *(f"LceBconv2d stride={a}x{b}" for a, b in grid.STRIDES),
    *(f"LceBconv2d dilation={a}x{b}" for a, b in grid.DILATIONS),
    *(f"LceBconv2d filter={a}x{b}" for a, b in grid.FILTERS),
    *(f"LceBconv2d groups={groups}" for groups in (1, 2, 3, 4)),
    *(f"LceBconv2d channels_in={channels}" for channels in (*grid.CHANNELS, 512)),
    *(f"LceBconv2d channels_out={channels}" for channels in grid.CHANNELS),
    *(f"LceBconv2d batch={batch}" for batch in (1, 2, 3)),
    "LceBconv2d filter larger than image",
    "ADD",
    "MUL",
    "RELU",
    "MAX_POOL_2D",
}


def test_covers_every_feature() -> None:
    covered = frozenset[str]().union(*(grid.case(name).features for name in grid.CASES))
    assert len(grid.CASES) >= 200
    assert not REQUIRED - covered


@pytest.mark.parametrize("name", grid.CASES)
def test_no_value_near_zero_in_front_of_a_sign(name: str) -> None:
    case = grid.case(name)
    if name in grid.EXACT_ZEROS:
        pytest.skip("has exact zeros on purpose")
    for values in oracle.signed_values(case.graph, oracle.trace(case.graph, case.inputs)):
        assert np.abs(values).min() >= 1e-3 * np.ptp(values)


@pytest.mark.skipif(lce.extension() is None, reason="larq-compute-engine is not installed")
@pytest.mark.parametrize("name", grid.CASES)
def test_oracles_agree(name: str) -> None:
    answers = judge.expected(grid.case(name))
    if "LCE" not in answers:
        pytest.skip("no kernel of LCE computes this as defined")
    assert not judge.difference(answers["LCE"], answers["numpy"])


@pytest.mark.skipif(lce.extension() is None, reason="larq-compute-engine is not installed")
@pytest.mark.parametrize("channels", [1, 32, 33, 100])
def test_bit_order_one_hot(channels: int) -> None:
    """Channel c of LCE's LceQuantize lies in bit c % 32 of word c // 32, as `bits.pack` has it."""
    shape = (2, 3, 2, channels)
    case = grid._quantize_only(f"one-hot-{channels}", shape=shape, type="float32")
    for channel in range(channels):
        one_hot = np.zeros(shape, np.bool_)
        one_hot[..., channel] = True
        (packed,) = lce.run(judge.model(case), [np.where(one_hot, np.float32(-1), np.float32(1))])
        assert np.array_equal(packed, bits.pack(one_hot))
