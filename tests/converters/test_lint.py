"""The lint on what LCE really makes of Keras layers: facts about LCE 0.16, one network each."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

if find_spec("larq_compute_engine") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import tensorflow as tf
from edgebnn_convert.keras_lint import lint_keras
from edgebnn_convert.quiet import captured_stderr

from edgebnn.inspection.graph import parse
from edgebnn.inspection.lint import lint

from .networks import NETWORKS, binary, settle, stem

layers = tf.keras.layers
SIGNS = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "use_bias": False}
Found = set[tuple[str, str]]


def with_layer(layer: Any, *, channels: int = 32, reshape: tuple[int, ...] | None = None) -> Any:
    image, x = stem(channels)
    if reshape is not None:
        x = layers.Reshape(reshape)(x)
    return tf.keras.Model(image, layers.BatchNormalization()(layer(x)))


def quantized_by(quantizer: Any) -> Any:
    image, x = stem()
    return tf.keras.Model(image, binary(x, input_quantizer=quantizer))


def pooled_first() -> Any:
    image, x = stem()
    y = lq.layers.QuantConv2D(32, 3, padding="same", pad_values=1, **SIGNS)(x)
    return tf.keras.Model(image, binary(layers.BatchNormalization()(layers.MaxPool2D(2)(y))))


def relu_in_front_of_a_sign() -> Any:
    image, x = stem()
    return tf.keras.Model(image, binary(layers.ReLU()(binary(x))))


def sign_then_concatenate() -> Any:
    image, x = stem()
    y = lq.quantizers.SteSign()(x)
    y = layers.Concatenate()([y, y])
    kernel = {"kernel_quantizer": "ste_sign", "use_bias": False}
    return tf.keras.Model(image, lq.layers.QuantConv2D(32, 3, **kernel)(y))


def zero_padded_chain() -> Any:
    image, x = stem()
    return tf.keras.Model(image, binary(binary(x, pad_values=0)))


def plain_sign(x: Any) -> Any:
    return tf.sign(x)


def selected(x: Any) -> Any:
    return tf.where(x > 0, tf.ones_like(x), -tf.ones_like(x))


CONV2D, CONV1D = lq.layers.QuantConv2D, lq.layers.QuantConv1D
# Keras model, findings in the .tflite, findings in the Keras model.
CASES: dict[str, tuple[Callable[[], Any], Found, Found]] = {
    "residual": (NETWORKS["residual"], set(), set()),
    "dense": (
        lambda: with_layer(lq.layers.QuantDense(64, **SIGNS), reshape=(16 * 16 * 32,)),
        {("L01", "error"), ("L12", "warning")},
        {("L15", "error")},
    ),
    "series": (
        lambda: with_layer(CONV1D(32, 3, **SIGNS), reshape=(256, 32)),
        {("L01", "error")},
        {("L15", "error")},
    ),
    "depthwise": (
        lambda: with_layer(
            lq.layers.QuantDepthwiseConv2D(
                3, padding="same", input_quantizer="ste_sign", depthwise_quantizer="ste_sign", use_bias=False
            )
        ),
        {("L01", "error")},
        {("L15", "error")},
    ),
    "transposed": (
        lambda: with_layer(lq.layers.QuantConv2DTranspose(8, 3, strides=2, padding="same", **SIGNS)),
        {("L01", "error")},
        {("L15", "error")},
    ),
    "pad value -1": (
        lambda: with_layer(CONV2D(32, 3, padding="same", pad_values=-1.0, **SIGNS)),
        {("L01", "error")},
        {("L15", "error")},
    ),
    "ternary activations": (lambda: quantized_by(lq.quantizers.SteTern()), set(), {("L15", "error")}),
    "heaviside activations": (
        lambda: quantized_by("ste_heaviside"),
        {("L11", "error")},
        {("L15", "error")},
    ),
    "dorefa activations": (
        lambda: quantized_by(lq.quantizers.DoReFa(k_bit=2)),
        {("L11", "error")},
        {("L15", "error")},
    ),
    "tf.sign": (lambda: quantized_by(plain_sign), {("L11", "error")}, {("L15", "error")}),
    "tf.where of maps": (lambda: quantized_by(selected), {("L11", "error")}, set()),
    "weights only": (
        lambda: with_layer(CONV2D(32, 3, kernel_quantizer="ste_sign", use_bias=False)),
        {("L02", "warning")},
        {("L15", "warning")},
    ),
    "inputs only": (
        lambda: with_layer(CONV2D(32, 3, input_quantizer="ste_sign", use_bias=False)),
        {("L01", "warning")},
        {("L15", "warning")},
    ),
    "ternary weights": (
        lambda: with_layer(CONV2D(32, 3, input_quantizer="ste_sign", kernel_quantizer="ste_tern", use_bias=False)),
        {("L01", "warning")},
        {("L15", "error")},
    ),
    "pooling, then batch normalization": (pooled_first, {("L03", "warning")}, set()),
    "zero padding in a chain": (zero_padded_chain, {("L04", "warning")}, set()),
    "ReLU in front of a sign": (relu_in_front_of_a_sign, {("L05", "error")}, set()),
    "groups of 32": (lambda: with_layer(CONV2D(64, 3, groups=2, **SIGNS), channels=64), {("L06", "warning")}, set()),
    "groups of 16": (
        lambda: with_layer(CONV2D(32, 3, groups=2, **SIGNS)),
        {("L01", "error")},
        {("L15", "error")},
    ),
    "48 channels": (lambda: with_layer(CONV2D(32, 3, **SIGNS), channels=48), {("L07", "warning")}, set()),
    "sign, then concatenation": (sign_then_concatenate, {("L01", "error")}, {("L15", "warning")}),
}


def convert(model: Any) -> bytes:
    import larq_compute_engine as lce

    with captured_stderr():
        return bytes(lce.convert_keras_model(model))


@pytest.mark.parametrize("name", CASES)
def test_lint(name: str) -> None:
    build, expected, expected_of_keras = CASES[name]
    tf.keras.backend.clear_session()
    tf.random.set_seed(1)
    model = settle(build())
    assert {(f.rule, f.severity) for f in lint_keras(model)} == expected_of_keras
    # What a float stem costs is not the point of these networks.
    found = {(f.rule, f.severity) for f in lint(parse(convert(model)))}
    assert found - {("L12", "warning")} == expected - {("L12", "warning")}


def test_a_random_quantizer_is_found() -> None:
    (finding,) = lint_keras(quantized_by(lambda x: tf.sign(x - tf.random.uniform(tf.shape(x)))))
    assert "random at inference" in finding.why


def test_findings_name_the_layer() -> None:
    (finding,) = lint_keras(with_layer(lq.layers.QuantDense(8, name="last", **SIGNS), reshape=(16 * 16 * 32,)))
    assert finding.layer == "QuantDense 'last'"
    assert "as large as its input" in finding.cure
