from __future__ import annotations

from collections.abc import Callable
from typing import Any

import larq as lq
import numpy as np
import pytest
import tensorflow as tf

from edgebnn.inspection.graph import Network
from tests.converters.rewrites.models import both, conv, layers, through

SAME_SIGN = {
    "hard_tanh": lambda: layers.Activation("hard_tanh"),
    "leaky_tanh": lambda: layers.Activation("leaky_tanh"),
    "tanh": lambda: layers.Activation("tanh"),
    "softsign": lambda: layers.Activation("softsign"),
    "leaky": lambda: layers.LeakyReLU(0.1),
    "prelu": lambda: layers.PReLU(alpha_initializer=tf.keras.initializers.Constant(0.3), shared_axes=[1, 2]),
    "relu with a slope": lambda: layers.ReLU(negative_slope=0.2),
}
OTHER_SIGN = {
    "relu": lambda: layers.ReLU(),
    "relu6": lambda: layers.ReLU(6.0),
    "activation relu": lambda: layers.Activation("relu"),
    "sigmoid": lambda: layers.Activation("sigmoid"),
    "elu": lambda: layers.ELU(),
    "shifted": lambda: layers.ReLU(negative_slope=0.2, threshold=0.5),
    "prelu with slopes of both signs": lambda: layers.PReLU(alpha_initializer="random_normal", shared_axes=[1, 2]),
    "abs": lambda: layers.Activation(tf.abs),
}


@pytest.mark.parametrize("name", SAME_SIGN)
def test_what_keeps_the_sign_goes(name: str) -> None:
    model = through(
        layers.BatchNormalization(), SAME_SIGN[name](), layers.MaxPool2D(), conv(8, 1), shape=(4, 4, 8), rising=False
    )
    found = both(model)
    assert found.done == ["activation before sign"]
    assert found.kinds == ["BatchNormalization", "MaxPooling2D", "QuantConv2D"]
    found.assert_equal()


@pytest.mark.parametrize("name", OTHER_SIGN)
def test_what_changes_the_sign_stays(name: str) -> None:
    model = through(layers.BatchNormalization(), OTHER_SIGN[name](), conv(8, 1), shape=(4, 4, 8))
    assert both(model).changes == ()


@pytest.mark.parametrize("quantizer", [lq.quantizers.SteTern(), lq.quantizers.SteHeaviside(), None], ids=str)
def test_only_signs_count(quantizer: Any) -> None:
    model = through(layers.Activation("hard_tanh"), conv(8, 1, input_quantizer=quantizer), shape=(4, 4, 8))
    assert both(model).changes == ()


def test_a_second_user_keeps_the_activation() -> None:
    x = tf.keras.Input((4, 4, 8), name="x")
    y = layers.Activation("hard_tanh")(x)
    assert both(tf.keras.Model(x, layers.add([y, conv(8, 1)(y)]))).changes == ()
    assert both(tf.keras.Model(x, [y, conv(8, 1)(y)])).changes == ()


def test_an_activation_inside_a_convolution_and_before_a_sign_layer() -> None:
    model = through(
        layers.Conv2D(8, 3, activation="hard_tanh"), lq.quantizers.SteSign(), layers.Conv2D(3, 1), shape=(5, 5, 2)
    )
    found = both(model)
    assert found.done == ["activation before sign"]
    assert found.model.layers[1].activation is tf.keras.activations.linear
    found.assert_equal()


def test_the_papers_order_is_passed_on_in_bits(verified: Callable[[Any], Network]) -> None:
    """Convolution, batch normalization, hard tanh, sign."""
    same = {"padding": "same", "pad_values": 1}
    model = through(
        conv(32, **same),
        layers.BatchNormalization(),
        layers.Activation("hard_tanh"),
        layers.Dropout(0.5),
        conv(32, **same),
        shape=(6, 6, 32),
        rising=False,
    )
    assert both(model).done == ["idle layers", "activation before sign"]
    network = verified(model)
    assert [operator.name for operator in network.main.operators] == ["LceQuantize", "LceBconv2d", "LceBconv2d"]


def test_zero_stays_positive() -> None:
    values = np.array([-0.0, 0.0, -1e-30, 1e-30, -1.0, 1.0, -5, 5], np.float32).reshape(1, 1, 1, 8)
    for make in SAME_SIGN.values():
        both(through(make(), conv(4, 1), shape=(1, 1, 8)), arrays={"x": values}).assert_equal()
