from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.inspection.graph import Network
from tests.converters.rewrites.models import both, conv, layers, through


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 34)),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    step=st.sampled_from([(1, 1), (2, 1), (3, 1), (1, 2)]),
    pad=st.sampled_from([-1, 0, 1]),
)
def test_any_same_padding(shape: tuple[int, int, int], size: tuple[int, int], step: tuple[int, int], pad: int) -> None:
    found = both(
        through(conv(5, size, strides=step[0], dilation_rate=step[1], padding="same", pad_values=pad), shape=shape)
    )
    layer = next(layer for layer in found.model.layers if "conv" in layer.name and hasattr(layer, "pad_values"))
    assert layer.pad_values in (0, 1), "LCE makes a float convolution of -1"
    found.assert_equal()


@pytest.mark.parametrize(
    ("size", "stride", "side", "valid"),
    [(1, 1, 5, True), (1, 2, 5, True), (2, 2, 6, True), (2, 2, 5, False), (3, 1, 5, False)],
)
def test_padding_that_never_happens(size: int, stride: int, side: int, valid: bool) -> None:
    found = both(through(conv(4, size, strides=stride, padding="same"), shape=(side, side, 8)))
    assert found.model.layers[-1].padding == ("valid" if valid else "same")
    assert bool(found.left) == (not valid)
    found.assert_equal()


def test_zeros_in_front_of_a_sign_are_ones(verified: Callable[[Any], Network]) -> None:
    model = through(conv(32, 1), layers.BatchNormalization(), layers.ZeroPadding2D(1), conv(32), shape=(5, 5, 32))
    found = both(model)
    assert found.done == ["padding"]
    found.assert_close()
    assert [operator.name for operator in verified(model).main.operators] == ["LceQuantize", "LceBconv2d", "LceBconv2d"]


@pytest.mark.parametrize("padding", [2, ((0, 1), (1, 1)), ((1, 0), (1, 1))])
def test_other_zeros_stay(padding: Any) -> None:
    found = both(through(layers.ZeroPadding2D(padding), conv(8), shape=(5, 5, 8)))
    assert found.changes == ()


def test_minus_one_becomes_binary(verified: Callable[[Any], Network]) -> None:
    model = through(
        conv(32, padding="same", pad_values=-1), layers.BatchNormalization(), shape=(6, 5, 32), rising=False
    )
    assert {"PADV2", "LceQuantize", "LceBconv2d"} == {operator.name for operator in verified(model).main.operators}
