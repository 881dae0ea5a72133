from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.inspection.graph import Network
from tests.converters.rewrites.models import both, conv, layers, settle, through


def pooled(
    next_layer: Any, *, rising: bool, seed: int = 0, pool: Any = None, shape: Any = (11, 10, 8), **options: Any
) -> Any:
    stack = [conv(16, **options), pool or layers.MaxPool2D(2), layers.BatchNormalization(), next_layer]
    return through(*stack, shape=(11, 10, 8), rising=rising, seed=seed)


@settings(deadline=None, max_examples=15)
@given(
    rising=st.booleans(),
    seed=st.integers(0, 99),
    pool=st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from(["same", "valid"])),
    after=st.sampled_from([("valid", 0), ("same", 0)]),
    activation=st.sampled_from([None, "relu", "hard_tanh"]),
)
def test_any_pooling(
    rising: bool, seed: int, pool: tuple[int, int, str], after: tuple[str, int], activation: Any
) -> None:
    model = pooled(
        conv(8, 2, padding=after[0], pad_values=after[1]),
        rising=rising,
        seed=seed,
        pool=layers.MaxPool2D(pool[0], pool[1], padding=pool[2]),
        activation=activation,
        use_bias=seed % 2 == 0,
    )
    found = both(model, seed)
    assert "pooling" in found.done
    kinds = found.kinds
    assert kinds.index("BatchNormalization") < kinds.index("MaxPooling2D")
    found.assert_equal()


def test_exact_zeros_of_negated_channels() -> None:
    """Without statistics the normalization of a sum is 0 whenever the sum is, and sign(0) is +1."""
    model = through(conv(16, 1), layers.MaxPool2D(2), layers.BatchNormalization(), conv(8, 1), shape=(4, 4, 2))
    norm = model.layers[3]
    norm.gamma.assign(np.where(np.arange(16) % 2, -1.0, 1.0))
    norm.beta.assign(np.zeros(16))
    norm.moving_mean.assign(np.zeros(16))
    norm.moving_variance.assign(np.ones(16))
    kernel = model.layers[4].kernel.latent_variable
    kernel.assign(np.where(np.arange(16)[:, None] < 4, 0, kernel.numpy()))  # latent weights of 0 count as +1
    found = both(model)
    assert "8 of 16 gammas are negative" in found.changes[-1].text and found.done == ["pooling"]
    found.assert_equal()
    sums = model.layers[1](np.random.default_rng(0).normal(size=(3, 4, 4, 2)).astype(np.float32))
    assert (model.layers[3](model.layers[2](sums)).numpy() == 0).any(), "the case is there"


@pytest.mark.parametrize(
    ("following", "reason"),
    [
        (lambda: conv(8, padding="same", pad_values=1), "pads with 1"),
        (lambda: conv(8, groups=2), "has groups"),
        (lambda: layers.Conv2D(8, 1), "is no binary convolution"),
        (lambda: layers.Activation("relu"), "is no binary convolution"),
    ],
)
def test_falling_channels_that_stay(following: Callable[[], Any], reason: str) -> None:
    found = both(pooled(following(), rising=False))
    assert found.done == [] and reason in found.left[0]
    found.assert_equal()


def test_falling_channels_behind_a_float_convolution_stay() -> None:
    model = through(
        layers.Conv2D(16, 3), layers.MaxPool2D(2), layers.BatchNormalization(), conv(8), shape=(9, 9, 3), rising=False
    )
    found = both(model)
    assert "zeros of its values are not known" in found.left[0]


def test_a_float_convolution_takes_the_normalization_in(verified: Callable[[Any], Network]) -> None:
    model = through(layers.Conv2D(16, 3), layers.MaxPool2D(2), layers.BatchNormalization(), shape=(9, 9, 3))
    assert both(model).done == ["pooling"]
    assert [operator.name for operator in verified(model).main.operators] == ["CONV_2D", "MAX_POOL_2D"]


def test_a_pooled_value_with_two_users_stays() -> None:
    x = tf.keras.Input((8, 8, 8), name="x")
    y = layers.MaxPool2D(2)(conv(8)(x))
    found = both(settle(tf.keras.Model(x, layers.add([y, layers.BatchNormalization()(y)]))))
    assert found.changes == ()


@pytest.mark.parametrize("rising", [True, False])
def test_the_papers_order_pools_bits(rising: bool, verified: Callable[[Any], Network]) -> None:
    """Convolution, pooling, batch normalization, hard tanh, sign."""
    model = through(
        conv(32),
        layers.MaxPool2D(2),
        layers.BatchNormalization(),
        layers.Activation("hard_tanh"),
        conv(32),
        shape=(10, 10, 32),
        rising=rising,
    )
    names = [operator.name for operator in verified(model).main.operators]
    assert names == ["LceQuantize", "LceBconv2d", "LceBMaxPool2d", "LceBconv2d"]
