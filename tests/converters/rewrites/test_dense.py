from __future__ import annotations

from collections.abc import Callable
from typing import Any

import larq as lq
import pytest
import tensorflow as tf
from edgebnn_convert.rewrites.signs import is_sign
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.inspection.graph import Network
from tests.converters.rewrites.models import both, conv, dense, layers, through

side = st.integers(1, 5)


@settings(deadline=None, max_examples=15)
@given(shape=st.tuples(side, side, st.integers(1, 40)), units=st.integers(1, 9), bias=st.booleans())
def test_a_map_in_front_of_flatten(shape: tuple[int, int, int], units: int, bias: bool) -> None:
    found = both(through(layers.Flatten(), dense(units, use_bias=bias), shape=shape))
    assert found.changes[0].text == f"QuantDense to {shape[0]}x{shape[1]} QuantConv2D"
    assert found.kinds == ["QuantConv2D", "Unfold"]
    found.assert_equal()


@settings(deadline=None, max_examples=10)
@given(shape=st.lists(side, min_size=0, max_size=2), inputs=st.integers(1, 70), relu=st.booleans())
def test_vectors_series_and_maps(shape: list[int], inputs: int, relu: bool) -> None:
    model = through(dense(7, activation="relu" if relu else None, use_bias=True), shape=(*shape, inputs))
    found = both(model)
    assert "QuantConv2D" in found.kinds and "QuantDense" not in found.kinds
    found.assert_equal()


@pytest.mark.parametrize("kernel", ["magnitude_aware_sign", "approx_sign", "swish_sign"])
def test_kernel_quantizers(kernel: str) -> None:
    found = both(through(layers.Flatten(), dense(5, kernel_quantizer=kernel), shape=(3, 4, 5)))
    assert found.done == ["binary dense"]
    found.assert_close()


@pytest.mark.parametrize(
    "options",
    [
        {"input_quantizer": None},
        {"kernel_quantizer": None},
        {"kernel_quantizer": lq.quantizers.SteTern()},
        {"input_quantizer": "ste_heaviside"},
        {"input_quantizer": tf.sign},
    ],
    ids=str,
)
def test_what_lce_could_not_keep_binary_stays(options: dict[str, Any]) -> None:
    assert both(through(dense(5, **options), shape=(60,))).changes == ()


def test_signs_are_found_by_trying() -> None:
    for quantizer in (lq.quantizers.SteSign(), lq.math.sign, lambda x: tf.where(x >= 0, 1.0, -1.0)):
        assert is_sign(quantizer)
    random = lambda x: tf.where(x >= tf.random.uniform(tf.shape(x), -1, 1), 1.0, -1.0)  # noqa: E731
    for quantizer in (None, tf.sign, tf.abs, random, lq.quantizers.SteTern(), lq.quantizers.DoReFa(1), tf.reduce_sum):
        assert not is_sign(quantizer)


def test_a_perceptron_becomes_a_chain_of_bits(verified: Callable[[Any], Network]) -> None:
    """The paper's binary MLP: every normalization follows its layer onto the map."""
    stack = [layers.Flatten(), lq.layers.QuantDense(64, kernel_quantizer="ste_sign", use_bias=False)]
    for units in (64, 48, 10):
        stack += [layers.BatchNormalization(), layers.Dropout(0.2), dense(units)]
    model = through(*stack, layers.BatchNormalization(), shape=(8, 8, 1), rising=False)
    found = both(model)
    assert found.done == ["idle layers"] + 3 * ["binary dense"]
    found.assert_close()
    assert found.kinds.count("Unfold") == 2
    names = [operator.name for operator in verified(model).main.operators]
    assert names.count("LceBconv2d") == 3 and names.count("LceQuantize") == 1
    assert names.count("FULLY_CONNECTED") == 1, "weights without signs in front are a float layer"


def test_a_map_goes_on_in_bits(verified: Callable[[Any], Network]) -> None:
    model = through(
        conv(32),
        layers.BatchNormalization(),
        layers.Flatten(),
        dense(16),
        layers.BatchNormalization(),
        layers.Activation("softmax"),
        shape=(6, 6, 32),
        rising=False,
    )
    names = [operator.name for operator in verified(model).main.operators]
    assert names[:3] == ["LceQuantize", "LceBconv2d", "LceBconv2d"]
    assert "LceDequantize" not in names and "FULLY_CONNECTED" not in names


def test_one_layer_in_two_places_stays_one() -> None:
    left, right = tf.keras.Input((12,), name="left"), tf.keras.Input((12,), name="right")
    shared = dense(6)
    found = both(tf.keras.Model([left, right], [shared(left), shared(right)]))
    assert found.kinds.count("QuantConv2D") == 1 and found.done == 2 * ["binary dense"]
    found.assert_equal()
