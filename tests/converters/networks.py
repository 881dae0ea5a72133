"""Small Larq networks of the kinds that people convert, with weights that leave no branch idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import numpy as np
import tensorflow as tf

NETWORKS: dict[str, Callable[[], Any]] = {}
layers = tf.keras.layers


def network(build: Callable[[], Any]) -> Callable[[], Any]:
    def make() -> Any:
        tf.keras.backend.clear_session()
        tf.random.set_seed(1)
        return settle(build())

    NETWORKS[build.__name__] = make
    return make


def settle(model: Any) -> Any:
    """Batch normalizations as after training, not as initialized."""
    draw = np.random.default_rng(1)
    for layer in model.submodules:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.shape[0]
            layer.gamma.assign(draw.uniform(-1.5, 1.5, size))
            layer.beta.assign(draw.normal(0, 1, size))
            layer.moving_mean.assign(draw.normal(0, 3, size))
            layer.moving_variance.assign(draw.uniform(0.5, 30, size))
    return model


@tf.keras.utils.register_keras_serializable("tests")
class FakeQuant(layers.Layer):
    """Values as int8 would hold them."""

    def call(self, x: Any) -> Any:
        return tf.quantization.fake_quant_with_min_max_args(x, -6.0, 6.0)


def binary(x: Any, channels: int = 32, **options: Any) -> Any:
    options = {"padding": "same", "pad_values": 1, "input_quantizer": "ste_sign", **options}
    kernel = {"kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip", "use_bias": False}
    return layers.BatchNormalization()(lq.layers.QuantConv2D(channels, 3, **kernel, **options)(x))


def stem(channels: int = 32, size: int | None = 16) -> tuple[Any, Any]:
    image = tf.keras.Input((size, size, 3), name="image")
    return image, layers.BatchNormalization()(layers.Conv2D(channels, 3, padding="same")(image))


@network
def residual() -> Any:
    """Two outputs, whose order LCE changes."""
    image, x = stem()
    for _ in range(3):
        x = layers.add([x, binary(x, activation="relu")])
    boxes = layers.Conv2D(4, 1, name="boxes")(x)
    classes = layers.Dense(5, name="classes")(layers.GlobalAveragePooling2D()(x))
    return tf.keras.Model(image, [classes, boxes])


@network
def deep() -> Any:
    """Twelve residual blocks: rounding flips signs on the way."""
    image, x = stem(64, 32)
    for _ in range(12):
        x = layers.add([x, binary(x, 64, activation="relu")])
    return tf.keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


@network
def chain() -> Any:
    """Bits from one convolution to the next, a pooling between."""
    image, x = stem(40)
    x = layers.MaxPool2D(2)(binary(x, 48))
    return tf.keras.Model(image, binary(binary(x, 32), 16))


@network
def odd_channels() -> Any:
    """Pad value 0 with an odd number of channels: LCE's reference kernel is wrong there."""
    image, x = stem(33)
    return tf.keras.Model(image, binary(x, 7, pad_values=0))


@network
def int8() -> Any:
    image = tf.keras.Input((16, 16, 3), name="image")
    x = FakeQuant()(layers.ReLU(6.0)(layers.Conv2D(32, 3, padding="same")(FakeQuant()(image))))
    y = FakeQuant()(binary(x, activation="relu"))
    x = FakeQuant()(layers.add([x, y]))
    return tf.keras.Model(image, FakeQuant()(layers.Dense(5)(layers.GlobalAveragePooling2D()(x))))


@network
def flat() -> Any:
    """A dense layer with signs in front, which LCE would unpack."""
    image, x = stem(8, 8)
    x = layers.Flatten()(x)
    x = lq.layers.QuantDense(16, input_quantizer="ste_sign", kernel_quantizer="ste_sign", use_bias=False)(x)
    return tf.keras.Model(image, layers.BatchNormalization()(x))


@network
def series() -> Any:
    """One-dimensional."""
    signal = tf.keras.Input((32, 4), name="signal")
    x = layers.BatchNormalization()(layers.Conv1D(32, 3, padding="same")(signal))
    kernel = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}
    return tf.keras.Model(signal, layers.BatchNormalization()(lq.layers.QuantConv1D(8, 3, **kernel)(x)))


@network
def two_inputs() -> Any:
    left, right = tf.keras.Input((8, 8, 32), name="right"), tf.keras.Input((8, 8, 16), name="left")
    x = layers.concatenate([left, layers.Conv2D(32, 1)(right)])
    return tf.keras.Model([left, right], binary(x))


@network
def ternary() -> Any:
    """LCE takes SteTern on activations for a sign, in silence."""
    image, x = stem()
    x = binary(x)
    return tf.keras.Model(image, binary(x, input_quantizer=lq.quantizers.SteTern()))


@network
def any_size() -> Any:
    image, x = stem(32, None)
    return tf.keras.Model(image, binary(x))


@network
def sequential() -> Any:
    kernel = {"kernel_quantizer": "ste_sign", "padding": "same", "pad_values": 1, "use_bias": False}
    return tf.keras.Sequential(
        [
            layers.Conv2D(32, 3, input_shape=(12, 12, 1)),
            layers.BatchNormalization(),
            lq.layers.QuantConv2D(32, 3, input_quantizer="approx_sign", **kernel),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
