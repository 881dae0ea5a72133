from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import tensorflow as tf

from edgebnn.models import MODELS, ShiftBatchNormalization
from edgebnn.training.health import Doctor, LayerHealth, binary_layers, diagnose, signs_of

HEALTHY: dict[str, Any] = {
    "layer": "conv",
    "weights": 100,
    "flips": 0.01,
    "saturated": 0.1,
    "constant": 0.0,
    "small_gammas": 0.0,
    "histogram": (5,) * 20,
}


@pytest.fixture(scope="module")
def network() -> Any:
    """(8, 8, 4) -> two binary convolutions with batch normalization, the second behind a pooling."""
    image = x = tf.keras.Input((8, 8, 4))
    for name in ("first", "second"):
        x = lq.layers.QuantConv2D(
            8, 3, name=name, input_quantizer="ste_sign", kernel_quantizer="ste_sign", kernel_constraint="weight_clip"
        )(x)
        x = tf.keras.layers.MaxPool2D(1)(x) if name == "second" else x
        x = tf.keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    return tf.keras.Model(image, x)


def probe() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 8, 8, 4)).astype(np.float32)


def set_latent(network: Any, name: str, values: np.ndarray) -> None:
    network.get_layer(name).kernel.latent_variable.assign(values)


def test_by_hand(network: Any) -> None:
    latent = np.random.default_rng(1).uniform(-0.9, 0.9, (3, 3, 4, 8)).astype(np.float32)
    latent.flat[:72] = np.tile([1, -1], 36)  # a quarter of 288
    set_latent(network, "first", latent)
    before = signs_of(network)
    latent.flat[72:75] *= -1
    set_latent(network, "first", latent)
    network.get_layer("second_bn").gamma.assign([0, 0.001, -0.005, 1, 1, 1, 1, -1])
    images = probe()
    images[..., 1] = np.abs(images[..., 1])
    images[..., 2] = -np.abs(images[..., 2]) - 1e-3
    first, second = Doctor(network, images).examine(before)
    assert (first.layer, second.layer) == ("first", "second")
    assert first.weights == 288
    assert first.flips == 3 / 288 and second.flips == 0
    assert first.saturated == 72 / 288
    assert first.constant == 0.5
    assert (first.small_gammas, second.small_gammas) == (0, 3 / 8)
    assert sum(first.histogram) == 288
    np.testing.assert_array_equal(first.histogram, np.histogram(latent, 20, (-1, 1))[0])


def test_the_first_epoch_has_no_flips(network: Any) -> None:
    for one in Doctor(network, probe()).examine({}):
        assert np.isnan(one.flips) and one.as_json()["flips"] is None


@pytest.mark.parametrize(
    ("change", "ailment"),
    [
        ({}, None),
        ({"flips": 0.5}, "does not settle"),
        ({"flips": 0.0}, "stopped learning"),
        ({"flips": float("nan")}, None),
        ({"saturated": 0.95}, "stand at -1 or +1"),
        ({"constant": 0.6}, "is the same everywhere"),
        ({"small_gammas": 0.3}, "by nearly 0"),
    ],
)
def test_diagnoses(change: dict[str, Any], ailment: str | None) -> None:
    found = list(diagnose([LayerHealth(**HEALTHY | change)], epoch=5))
    if ailment is None:
        assert found == []
    else:
        (sentence,) = found
        assert ailment in sentence


def test_flips_mean_nothing_at_first_nor_at_the_end() -> None:
    assert not list(diagnose([LayerHealth(**HEALTHY | {"flips": 0.5})], epoch=2))
    assert not list(diagnose([LayerHealth(**HEALTHY | {"flips": 0.0})], epoch=9, last=True))


def test_relu_in_front_of_a_sign_is_found() -> None:
    image = tf.keras.Input((6, 6, 3))
    x = lq.layers.QuantConv2D(4, 3, name="dead", input_quantizer="ste_sign", kernel_quantizer="ste_sign")(
        tf.keras.layers.ReLU()(image)
    )
    (one,) = Doctor(tf.keras.Model(image, x), probe()[:, :6, :6, :3]).examine({})
    assert one.constant == 1


def test_gammas_of_a_shift_based_normalization_count() -> None:
    image = tf.keras.Input((6, 6, 3))
    x = lq.layers.QuantConv2D(4, 3, name="conv", input_quantizer="ste_sign", kernel_quantizer="ste_sign")(image)
    network = tf.keras.Model(image, ShiftBatchNormalization(name="norm")(x))
    network.get_layer("norm").gamma.assign([1, 0.001, 1, 1])
    (one,) = Doctor(network, probe()[:, :6, :6, :3]).examine({})
    assert one.small_gammas == 1 / 4


def test_networks_that_share_layers_are_examined_at_their_own_size() -> None:
    """Training builds one network for each crop size, all of the same layers."""
    parameters, build = MODELS["face"]
    small = parameters(stem=4, channels=(32, 32, 32), blocks=(1, 0, 0))
    network = build(small, width=64, height=64)
    build(small, width=32, height=32, like=network)
    found = Doctor(network, np.zeros((1, 64, 64, 3), np.float32)).examine(signs_of(network))
    assert [one.layer for one in found] == [layer.name for layer in binary_layers(network)]
    assert all(one.flips == 0 for one in found)
