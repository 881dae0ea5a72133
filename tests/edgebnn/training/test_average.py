from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

import edgebnn.legacy_keras  # noqa: F401
from edgebnn.training.average import WeightAverage

import tensorflow as tf  # isort: skip

VALUES = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)


def network() -> tf.keras.Model:
    return tf.keras.Sequential([tf.keras.layers.BatchNormalization(input_shape=(3,))])


def go(average: WeightAverage, values: np.ndarray) -> None:
    for value in values:
        average.network.set_weights([value + shift for shift in range(4)])
        average.update()


def expected(values: np.ndarray, steps: int) -> np.ndarray:
    mean = values[:steps].mean(axis=0, dtype=np.float64)
    for value in values[steps:]:
        mean += (value - mean) / steps
    return mean


@pytest.mark.parametrize("steps", [2, 4, 9, 20])
def test_a_mean_that_becomes_exponential(steps: int) -> None:
    average = WeightAverage(network(), steps)
    go(average, VALUES)
    for shift, weight in enumerate(average.weights):
        np.testing.assert_allclose(weight, expected(VALUES, steps) + shift, atol=1e-6)


def test_it_goes_on_exactly() -> None:
    whole, first, second = (WeightAverage(network(), 4) for _ in range(3))
    go(whole, VALUES)
    go(first, VALUES[:5])
    second.restore(first.weights, first.count)
    go(second, VALUES[5:])
    for one, other in zip(whole.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one, other)
