"""The mathematics of the quantizers: ours, and those of Larq that docs/bnn.md lists."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)
from edgebnn.quantizers import StochasticSign, hard_sigmoid, set_draws

import larq as lq  # isort: skip
import tensorflow as tf

X = np.concatenate([np.linspace(-2, 2, 81), [0.0, -0.0, 1.0, -1.0, np.nextafter(1, 2), -1e-30]]).astype(np.float32)


def gradient(quantizer, x: np.ndarray, upstream: np.ndarray, **how: object) -> tuple[np.ndarray, np.ndarray]:
    """Value at x and the gradient of sum(upstream * value)."""
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        value = quantizer(variable, **how)
        loss = tf.reduce_sum(value * upstream)
    return value.numpy(), np.asarray(tf.convert_to_tensor(tape.gradient(loss, variable)))


def upstream() -> np.ndarray:
    return np.random.default_rng(0).normal(size=X.shape).astype(np.float32)


def sign(x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, 1.0, -1.0)


def test_hard_sigmoid_is_the_papers() -> None:
    np.testing.assert_allclose(hard_sigmoid(tf.constant(X)), np.maximum(0, np.minimum(1, (X + 1) / 2)), atol=1e-7)


@pytest.mark.parametrize("name", ["ste_sign", "approx_sign", "swish_sign", "stochastic_sign"])
def test_the_sign_of_zero_is_plus_one(name: str) -> None:
    quantizer = lq.quantizers.get(name)
    np.testing.assert_array_equal(quantizer(tf.constant(X)), sign(X))
    assert quantizer(tf.constant([0.0, -0.0])).numpy().tolist() == [1, 1]


GRADIENTS = {
    "ste_sign": lambda x: np.abs(x) <= 1,
    "stochastic_sign": lambda x: np.abs(x) <= 1,
    "approx_sign": lambda x: np.where(np.abs(x) <= 1, 2 - 2 * np.abs(x), 0),
    "swish_sign": lambda x: 5 * (2 - 5 * x * np.tanh(2.5 * x)) / (1 + np.cosh(5 * x)),
    "ste_heaviside": lambda x: np.abs(x) <= 1,
    "ste_tern": lambda x: np.abs(x) <= 1,
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_the_gradient_is_the_listed_one(name: str) -> None:
    g = upstream()
    _, got = gradient(lq.quantizers.get(name), X, g)
    np.testing.assert_allclose(got, g * GRADIENTS[name](X.astype(np.float64)), rtol=1e-4, atol=1e-6)


def test_swish_sign_is_the_slope_of_its_surrogate() -> None:
    """SignSwish 2 sigmoid(b x) (1 + b x (1 - sigmoid(b x))) - 1 (Darabi et al. 2018), differentiated numerically."""
    x = np.linspace(-1.5, 1.5, 61)

    def surrogate(x: np.ndarray) -> np.ndarray:
        s = 1 / (1 + np.exp(-5 * x))
        return 2 * s * (1 + 5 * x * (1 - s)) - 1

    slope = (surrogate(x + 1e-5) - surrogate(x - 1e-5)) / 2e-5
    np.testing.assert_allclose(GRADIENTS["swish_sign"](x), slope, atol=1e-6)


def test_magnitude_aware_sign_scales_value_and_gradient_by_the_mean() -> None:
    kernel = np.random.default_rng(1).uniform(-1.2, 1.2, (3, 3, 4, 5)).astype(np.float32)
    g = np.random.default_rng(2).normal(size=kernel.shape).astype(np.float32)
    value, got = gradient(lq.quantizers.get("magnitude_aware_sign"), kernel, g)
    mean = np.abs(kernel).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(value, mean * sign(kernel), rtol=1e-6)
    np.testing.assert_allclose(got, g * mean * (np.abs(kernel) <= 1), rtol=1e-5)


def test_dorefa_of_one_bit() -> None:
    """Activations: 0 or 1, gradient where 0 <= x <= 1. Weights: +-1, gradient of tanh(w) / max|tanh|."""
    g = upstream()
    value, got = gradient(lq.quantizers.DoReFa(1), X, g)
    np.testing.assert_array_equal(value, np.round(np.clip(X, 0, 1)))
    np.testing.assert_allclose(got, g * ((X >= 0) & (X <= 1)), atol=1e-6)
    value, got = gradient(lq.quantizers.DoReFa(1, mode="weights"), X, g)
    clear = np.abs(X) > 1e-6
    np.testing.assert_array_equal(value[clear], np.sign(X)[clear])
    np.testing.assert_allclose(got, g * (1 - np.tanh(X) ** 2) / np.abs(np.tanh(X)).max(), rtol=1e-4)


def test_plus_one_comes_with_the_probability_of_the_hard_sigmoid() -> None:
    levels, draws = np.linspace(-1.5, 1.5, 25), 40_000
    x = tf.constant(np.repeat(levels[:, None], draws, axis=1), tf.float32)
    drawn = StochasticSign(seed=3)(x, training=True).numpy()
    assert set(np.unique(drawn)) == {-1, 1}
    p = np.clip((levels + 1) / 2, 0, 1)
    share = (drawn == 1).mean(axis=1)
    deviation = np.sqrt(p * (1 - p) / draws)
    assert (np.abs(share - p) <= 5 * deviation + 1e-12).all(), np.abs(share - p) / np.maximum(deviation, 1e-9)
    assert (share[levels <= -1] == 0).all() and (share[levels >= 1] == 1).all()


def test_inference_is_deterministic_and_draws_nothing() -> None:
    quantizer = StochasticSign()
    for how in ({"training": False}, {}):
        np.testing.assert_array_equal(quantizer(tf.constant(X), **how), sign(X))
    assert int(quantizer.draws) == 0


@pytest.mark.parametrize("training", [False, True])
def test_the_gradient_passes_where_x_is_within_one(training: bool) -> None:
    g = upstream()
    _, got = gradient(StochasticSign(), X, g, training=training)
    np.testing.assert_array_equal(got, np.where(np.abs(X) <= 1, g, 0))


def test_training_may_be_a_tensor() -> None:
    quantizer = StochasticSign()
    run = tf.function(lambda training: quantizer(tf.zeros(1000), training=training))
    assert set(run(tf.constant(True)).numpy()) == {-1, 1} and set(run(tf.constant(False)).numpy()) == {1}


def test_draws_are_a_function_of_seed_and_count() -> None:
    x = tf.zeros(2000)

    def draw(seed: int, start: int, count: int) -> list[np.ndarray]:
        quantizer = StochasticSign(seed)
        quantizer.build(x.shape)
        quantizer.draws.assign(start)
        return [quantizer(x, training=True).numpy() for _ in range(count)]

    whole = draw(1, 0, 6)
    for one, other in zip(draw(1, 3, 3), whole[3:], strict=True):
        np.testing.assert_array_equal(one, other)
    for other in (whole[1], draw(2, 0, 1)[0]):
        assert abs(np.mean(whole[0] * other)) < 0.12  # uncorrelated: 5 standard deviations of 2,000 products


def network() -> tf.keras.Model:
    options = {"use_bias": False, "kernel_constraint": "weight_clip"}
    return tf.keras.Sequential(
        [
            lq.layers.QuantDense(32, kernel_quantizer=StochasticSign(7, shared=True), input_shape=(16,), **options),
            lq.layers.QuantDense(4, input_quantizer="stochastic_sign", kernel_quantizer=StochasticSign(8), **options),
        ]
    )


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_network_comes_back_from_its_file(tmp_path: Path, ending: str) -> None:
    one = network()
    x = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    one(x, training=True)
    one.save(tmp_path / f"network.{ending}")
    other = tf.keras.models.load_model(tmp_path / f"network.{ending}", compile=False)
    np.testing.assert_array_equal(one(x), other(x))
    quantizers = [layer.kernel_quantizer for layer in other.layers]
    assert [(one.seed, one.shared) for one in quantizers] == [(7, True), (8, False)]
    assert other.layers[1].input_quantizer.precision == 1


def test_weights_fit_a_network_of_plain_signs_and_draws_are_set_apart() -> None:
    one = network()
    x = tf.ones((5, 16))
    assert len(one.get_weights()) == 2
    first = [one(x, training=True).numpy() for _ in range(4)]
    assert len({out.tobytes() for out in first}) > 1
    set_draws(one, 2)
    np.testing.assert_array_equal(one(x, training=True), first[2])
