"""Networks to measure with, random weights: single binary convolutions, and the topology of QuickNet.

    python -m edgebnn_convert.benchmark_networks FOLDER

writes each as FOLDER/NAME.tflite. Needs TensorFlow, Larq and LCE.

QuickNet: Bannink et al., "Larq Compute Engine: Design, Benchmark, and Deploy State-of-the-Art Binarized Neural
Networks", MLSys 2021, section 5; sections of 4, 4, 4, 4 layers with 64, 128, 256, 512 filters, as in Larq Zoo.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import numpy as np
import tensorflow as tf

from edgebnn_convert.quiet import captured_stderr

layers = tf.keras.layers

SINGLE = ((64, 32), (128, 16), (256, 14), (512, 7))
"""(channels, height and width) of the single convolutions."""


def quicknet(*, size: int = 224, blocks: tuple[int, ...] = (4, 4, 4, 4), classes: int = 1000) -> Any:
    """QuickNet's topology for pictures of `size`."""
    filters = tuple(64 << section for section in range(len(blocks)))
    image = tf.keras.Input((size, size, 3), name="image")
    x = layers.Conv2D(filters[0] // 4, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(scale=False, center=False)(x)
    x = layers.BatchNormalization()(layers.Conv2D(filters[0], 1, use_bias=False)(x))
    for section, (count, width) in enumerate(zip(blocks, filters, strict=True)):
        if section:  # pool with overlap, blur while striding, widen
            x = layers.MaxPool2D(2, strides=1, padding="same")(layers.Activation("relu")(x))
            x = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(layers.Conv2D(width, 1, use_bias=False)(x))
        for _ in range(count):
            x = layers.add([x, _binary(x, width, 3, activation="relu")])
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(x))
    return tf.keras.Model(image, layers.Activation("softmax")(layers.Dense(classes)(x)))


def single(channels: int, size: int, kernel: int) -> Any:
    """One binary convolution with its batch normalization, float in and out."""
    values = tf.keras.Input((size, size, channels), name="values")
    return tf.keras.Model(values, _binary(values, channels, kernel))


def networks() -> dict[str, Callable[[], Any]]:
    """All networks by name."""
    made: dict[str, Callable[[], Any]] = {
        f"conv{kernel}x{kernel}-{channels}-{size}": lambda c=channels, s=size, k=kernel: single(c, s, k)  # type: ignore[misc]
        for kernel in (3, 1)
        for channels, size in SINGLE
    }
    return made | {"quicknet": quicknet}


def convert_network(build: Callable[[], Any], *, seed: int = 0) -> bytes:
    """The .tflite of a network, its batch normalizations settled as after training."""
    import larq_compute_engine as lce

    tf.keras.backend.clear_session()
    tf.random.set_seed(seed)
    draw = np.random.default_rng(seed)
    model = build()
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            _settle(layer, draw)
    with captured_stderr():
        return bytes(lce.convert_keras_model(model))


def _binary(x: Any, filters: int, kernel: int, **options: Any) -> Any:
    quantizers = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip"}
    x = lq.layers.QuantConv2D(filters, kernel, padding="same", pad_values=1, use_bias=False, **quantizers, **options)(x)
    return layers.BatchNormalization()(x)


def _settle(layer: Any, draw: np.random.Generator) -> None:
    """Statistics of the kind that training leaves: outputs of about unit variance around zero."""
    size = layer.moving_mean.shape[0]
    if layer.scale:
        layer.gamma.assign(draw.uniform(0.5, 1.5, size))
    if layer.center:
        layer.beta.assign(draw.normal(0, 0.3, size))
    layer.moving_mean.assign(draw.normal(0, 1, size))
    layer.moving_variance.assign(draw.uniform(0.5, 2, size) * 9 * size if layer.scale else np.ones(size))


def main(arguments: list[str]) -> None:
    """Write the networks that the folder does not have yet."""
    if len(arguments) != 1:
        sys.exit("expected one argument, the folder to write to")
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in networks().items():
        file = folder / f"{name}.tflite"
        if not file.exists():
            content = convert_network(build)
            file.write_bytes(content)
            print(f"{file}: {len(content):,} bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
