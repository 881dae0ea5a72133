from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.models.shift_norm import ShiftBatchNormalization, ap2

import tensorflow as tf  # isort: skip


def power(x: np.ndarray) -> np.ndarray:
    """sign(x) 2^round(log2 |x|) in float64."""
    x = np.asarray(x, np.float64)
    with np.errstate(divide="ignore"):
        return np.where(x == 0, 0, np.sign(x) * np.exp2(np.round(np.log2(np.abs(x)))))


def test_ap2_is_the_nearest_power_of_two_by_exponent() -> None:
    random = np.random.default_rng(0)
    special = [0, -0.0, 1, -1, 1.4142135, 1.4142137, 0.70710677, 0.7071068, 3, -5e-30, 2.0**-126, 1e38, 255, -256]
    x = np.concatenate([special, random.normal(size=20_000) * 10.0 ** random.uniform(-30, 30, 20_000)])
    x = x.astype(np.float32)
    np.testing.assert_array_equal(ap2(tf.constant(x)), power(x))


def layer(x: np.ndarray) -> tuple[ShiftBatchNormalization, np.ndarray, np.ndarray]:
    norm = ShiftBatchNormalization(momentum=0.75, epsilon=1e-4)
    norm.build(x.shape)
    random = np.random.default_rng(1)
    gamma, beta = random.normal(0, 2, x.shape[-1]), random.normal(0, 1, x.shape[-1])
    norm.gamma.assign(gamma)
    norm.beta.assign(beta)
    return norm, norm.gamma.numpy().astype(np.float64), norm.beta.numpy().astype(np.float64)


@pytest.mark.parametrize("shape", [(50, 7), (4, 3, 5, 6)])
def test_training_follows_algorithm_3(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)
    norm, gamma, beta = layer(x)
    axes = tuple(range(len(shape) - 1))
    mean = x.astype(np.float64).mean(axes)
    centred = x - mean
    variance = (centred * power(centred)).mean(axes)
    expected = centred * power(1 / np.sqrt(variance + 1e-4)) * power(gamma) + beta
    np.testing.assert_allclose(norm(x, training=True), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(norm.moving_mean, 0.25 * mean, rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, 0.75 + 0.25 * variance, rtol=1e-4)


def test_the_gradient_takes_ap2_for_the_identity() -> None:
    x = np.random.default_rng(0).normal(1, 2, (40, 5)).astype(np.float32)
    g = np.random.default_rng(2).normal(size=x.shape)
    norm, gamma, _ = layer(x)
    with tf.GradientTape() as tape:
        variable = tf.Variable(x)
        loss = tf.reduce_sum(norm(variable, training=True) * tf.constant(g, tf.float32))
    by_x, by_gamma, by_beta = tape.gradient(loss, [variable, norm.gamma, norm.beta])
    centred = x - x.astype(np.float64).mean(0)
    variance = (centred * power(centred)).mean(0) + 1e-4
    scale = power(variance**-0.5) * power(gamma)
    by_scale = (g * centred).sum(0)
    by_variance = by_scale * power(gamma) * -0.5 * variance**-1.5
    by_centred = g * scale + by_variance * (power(centred) + centred) / len(x)
    np.testing.assert_allclose(by_x, by_centred - by_centred.mean(0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(by_gamma, by_scale * power(variance**-0.5), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(by_beta, g.sum(0), rtol=1e-4, atol=1e-4)


def test_inference_is_one_power_of_two_and_one_offset() -> None:
    x = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    norm, gamma, beta = layer(x)
    mean, variance = np.linspace(-2, 2, 5), np.linspace(0.1, 9, 5)
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)
    scale = power(1 / np.sqrt(variance + 1e-4)) * power(gamma)
    assert (np.log2(np.abs(scale)) % 1 == 0).all()
    np.testing.assert_allclose(norm(x), (x - mean) * scale + beta, rtol=1e-4, atol=1e-5)
