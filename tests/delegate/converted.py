"""Models made by the true converter: Larq networks through Larq Compute Engine (host side: TensorFlow, larq, LCE).

    python -m tests.delegate.converted DIRECTORY [NAME ...]

writes NAME.tflite for each. Weights and batch normalizations are dyadic, which keeps sums exact in any order and values
in front of a sign away from zero (see `cases.py`); inputs for them come from `inputs_of`.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import lce

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

MODELS: dict[str, Callable[[], Any]] = {}
SIGNS: dict[str, Any] = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}


def inputs_of(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """+-1/2 and +-1."""
    draw = np.random.RandomState(zlib.crc32(name.encode()))
    return draw.choice(np.array([-1, -0.5, 0.5, 1], np.float32), shape)


def _model(build: Callable[[Any, Any], Any]) -> None:
    def make() -> Any:
        import larq
        import tensorflow as tf

        tf.keras.backend.clear_session()
        return build(tf.keras, larq)

    MODELS["converted-" + build.__name__.replace("_", "-")] = make


def _norm(keras: Any, x: Any, **options: Any) -> Any:
    return keras.layers.BatchNormalization(momentum=0.0, epsilon=1e-3, **options)(x)


@_model
def residual(keras: Any, larq: Any) -> Any:
    """QuantConv2D, batch normalization, add; pad value 0."""
    x = inputs = keras.Input((8, 8, 32))
    for _ in range(2):
        y = larq.layers.QuantConv2D(32, 3, padding="same", **SIGNS)(x)
        x = keras.layers.add([x, _norm(keras, y)])
    return keras.Model(inputs, x)


@_model
def quicknet_order(keras: Any, larq: Any) -> Any:
    """Activation fused into the convolution, then batch normalization."""
    x = inputs = keras.Input((6, 6, 64))
    y = larq.layers.QuantConv2D(64, 3, padding="same", pad_values=1, activation="relu", **SIGNS)(x)
    return keras.Model(inputs, keras.layers.add([x, _norm(keras, y)]))


@_model
def bitpacked_chain(keras: Any, larq: Any) -> Any:
    x = inputs = keras.Input((7, 7, 40))
    for filters in (72, 33, 10):
        x = _norm(keras, larq.layers.QuantConv2D(filters, 3, padding="same", pad_values=1, **SIGNS)(x))
    return keras.Model(inputs, x)


@_model
def valid_chain(keras: Any, larq: Any) -> Any:
    x = inputs = keras.Input((11, 9, 32))
    for filters in (48, 96):
        x = _norm(keras, larq.layers.QuantConv2D(filters, (3, 2), **SIGNS)(x))
    return keras.Model(inputs, larq.layers.QuantConv2D(4, 1, **SIGNS)(x))


@_model
def relu_in_thresholds(keras: Any, larq: Any) -> Any:
    x = inputs = keras.Input((6, 6, 48))
    for _ in range(2):
        x = _norm(keras, larq.layers.QuantConv2D(48, 3, padding="same", pad_values=1, activation="relu", **SIGNS)(x))
    return keras.Model(inputs, x)


@_model
def hard_tanh(keras: Any, larq: Any) -> Any:
    x = inputs = keras.Input((6, 6, 32))
    for _ in range(2):
        y = larq.layers.QuantConv2D(32, 3, padding="same", pad_values=1, activation="hard_tanh", **SIGNS)(x)
        x = _norm(keras, y)
    return keras.Model(inputs, x)


@_model
def max_pool(keras: Any, larq: Any) -> Any:
    """Becomes LceBMaxPool2d."""
    x = inputs = keras.Input((12, 10, 32))
    for padding in ("valid", "same"):
        x = _norm(keras, larq.layers.QuantConv2D(64, 3, padding="same", pad_values=1, **SIGNS)(x))
        x = keras.layers.MaxPool2D(2 if padding == "valid" else 3, 2, padding=padding)(x)
    return keras.Model(inputs, larq.layers.QuantConv2D(8, 3, padding="same", pad_values=1, **SIGNS)(x))


@_model
def downsampling(keras: Any, larq: Any) -> Any:
    """Stride 2 with an average-pooled shortcut through a float 1x1 convolution."""
    x = inputs = keras.Input((8, 8, 32))
    y = _norm(keras, larq.layers.QuantConv2D(64, 3, strides=2, padding="same", **SIGNS)(x))
    short = keras.layers.Conv2D(64, 1, use_bias=False)(keras.layers.AvgPool2D(2)(x))
    return keras.Model(inputs, keras.layers.add([y, short]))


@_model
def groups(keras: Any, larq: Any) -> Any:
    x = inputs = keras.Input((5, 5, 128))
    return keras.Model(
        inputs, _norm(keras, larq.layers.QuantConv2D(64, 3, groups=4, pad_values=1, padding="same", **SIGNS)(x))
    )


@_model
def odd_channels(keras: Any, larq: Any) -> Any:
    """A binary layer on RGB, padded with zeros."""
    x = inputs = keras.Input((9, 8, 3))
    x = _norm(keras, larq.layers.QuantConv2D(33, 3, strides=2, padding="same", **SIGNS)(x))
    return keras.Model(inputs, larq.layers.QuantConv2D(7, 3, padding="same", **SIGNS)(x))


@_model
def weight_scales(keras: Any, larq: Any) -> Any:
    """Magnitude-aware weights, whose scales fold into the multiplier."""
    x = inputs = keras.Input((5, 6, 32))
    y = larq.layers.QuantConv2D(
        40, 3, padding="same", input_quantizer="approx_sign", kernel_quantizer="magnitude_aware_sign"
    )(x)
    return keras.Model(inputs, y)


@_model
def time_series(keras: Any, larq: Any) -> Any:
    x = inputs = keras.Input((1, 32, 32))
    for options in ({"strides": (1, 2)}, {"dilation_rate": (1, 2)}):
        x = _norm(keras, larq.layers.QuantConv2D(64, (1, 5), padding="same", pad_values=1, **options, **SIGNS)(x))
    x = keras.layers.MaxPool2D((1, 2))(x)
    return keras.Model(inputs, larq.layers.QuantConv2D(5, 1, **SIGNS)(x))


@_model
def stem_and_heads(keras: Any, larq: Any) -> Any:
    """Float stem, binary body, three outputs at two scales."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(32, 3, strides=2, padding="same")(inputs)
    fine = keras.layers.add([x, _norm(keras, larq.layers.QuantConv2D(32, 3, padding="same", **SIGNS)(x))])
    coarse = _norm(keras, larq.layers.QuantConv2D(64, 3, strides=2, padding="same", **SIGNS)(fine))
    heads = [larq.layers.QuantConv2D(n, 1, **SIGNS)(y) for n, y in ((4, fine), (1, coarse), (4, coarse))]
    return keras.Model(inputs, heads)


@_model
def dilated(keras: Any, larq: Any) -> Any:
    x = inputs = keras.Input((9, 9, 32))
    y = [larq.layers.QuantConv2D(16, 3, dilation_rate=d, padding="same", **SIGNS)(x) for d in (2, (1, 3))]
    return keras.Model(inputs, keras.layers.concatenate(y))


@_model
def int8_between(keras: Any, larq: Any) -> Any:
    """Fake quantization between the layers: LceBconv2d writes int8, LceQuantize reads it."""
    import tensorflow as tf

    def quantized(x: Any) -> Any:
        return keras.layers.Lambda(lambda t: tf.quantization.fake_quant_with_min_max_vars(t, -31.75, 32.0))(x)

    inputs = keras.Input((6, 6, 32))
    x = quantized(inputs)
    for _ in range(2):
        x = quantized(_norm(keras, larq.layers.QuantConv2D(32, 3, padding="same", pad_values=1, **SIGNS)(x)))
    return keras.Model(inputs, x)


def _set_weights(model: Any, seed: str) -> None:
    """Kernels +-1/4 and +-1/2, batch normalizations +-2^-3 * (x + n + 1/2)."""
    draw = np.random.RandomState(zlib.crc32(seed.encode()))
    for layer in model.layers:
        values = []
        for weight in layer.weights:
            kind, shape = weight.name.split("/")[-1].split(":")[0], tuple(weight.shape)
            if kind == "moving_variance":
                values.append(np.full(shape, 1 - 1e-3))
            elif kind == "moving_mean":
                values.append(draw.randint(-3, 4, shape) + 0.5)
            elif kind == "gamma":
                values.append(draw.choice([-0.125, 0.125], shape))
            elif kind in ("beta", "bias"):
                values.append(draw.choice([-0.25, 0.25], shape) + (0.03125 if kind == "bias" else 0))
            else:
                values.append(draw.choice([-0.5, -0.25, 0.25, 0.5], shape))
        if values:
            layer.set_weights(values)


def convert(name: str) -> bytes:
    """The .tflite of that name."""
    import larq_compute_engine
    import tensorflow as tf

    model = MODELS[name]()
    _set_weights(model, name)
    int8 = (
        {"inference_input_type": tf.int8, "inference_output_type": tf.int8} if name == "converted-int8-between" else {}
    )
    return bytes(larq_compute_engine.convert_keras_model(model, **int8))


def lce_kernel(name: str) -> tuple[bool, bool]:
    """The kernel of LCE that is right for the model."""
    return lce.OPTIMISED if name == "converted-odd-channels" else lce.REFERENCE


def main(directory: str, *names: str) -> None:
    """The command."""
    for name in names or MODELS:
        Path(directory, f"{name}.tflite").write_bytes(convert(name))


if __name__ == "__main__":
    main(*sys.argv[1:])
