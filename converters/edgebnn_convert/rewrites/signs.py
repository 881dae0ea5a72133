"""Which quantizers are signs, and where a value is used for its sign alone."""

from __future__ import annotations

from typing import Any

import larq
import numpy as np
import tensorflow as tf

from edgebnn_convert.difference import Array
from edgebnn_convert.rewrites.graph import Call, LayerGraph, Value

_PROBE = np.array([-1e30, -7.0, -1.0, -0.6, -0.05, -1e-6, 0.0, 1e-6, 0.05, 0.6, 1.0, 7.0, 1e30], np.float32)

_keras = tf.keras.layers
_TRANSPARENT = (
    _keras.MaxPooling1D,
    _keras.MaxPooling2D,
    _keras.GlobalMaxPooling1D,
    _keras.GlobalMaxPooling2D,
    _keras.Flatten,
    _keras.Reshape,
    _keras.Permute,
    _keras.Cropping1D,
    _keras.Cropping2D,
    _keras.ZeroPadding1D,
    _keras.ZeroPadding2D,
)
"""Layers f with sign(f(x)) = sign(f(g(x))) for every g that keeps signs and order."""


def is_sign(quantizer: Any) -> bool:
    """Whether a quantizer gives -1 for x < 0 and +1 for x >= 0, today and tomorrow; found by trying it."""
    if quantizer is None:
        return False
    try:
        results = [np.asarray(_infer(quantizer, tf.constant(_PROBE))) for _ in range(2)]
    except Exception:  # it wants another shape, or is no function of one tensor: no sign, whatever it is
        return False
    expected = np.where(_PROBE < 0, -1, 1).astype(np.float32)
    return all(result.shape == expected.shape and (result == expected).all() for result in results)


def quantized_kernel(layer: Any) -> Array:
    """The kernel as the layer's kernel quantizer gives it, in float32."""
    kernel = layer.get_weights()[0]
    quantizer = layer.kernel_quantizer
    values: Array = kernel if quantizer is None else np.asarray(_infer(quantizer, tf.constant(kernel)))
    return values


def is_binary(layer: Any) -> bool:
    """Whether a Larq layer multiplies signs with a kernel of one magnitude in each output channel."""
    if not is_sign(getattr(layer, "input_quantizer", None)) or getattr(layer, "kernel_quantizer", None) is None:
        return False
    magnitudes = np.abs(quantized_kernel(layer))
    magnitudes = magnitudes.reshape(-1, magnitudes.shape[-1])
    return bool((magnitudes > 0).all() and np.allclose(magnitudes, magnitudes[:1], rtol=1e-6, atol=0))


def takes_sign(call: Call) -> bool:
    """Whether a call sees nothing of its one input but the sign."""
    layer = call.layer
    if len(call.inputs) != 1:
        return False
    if hasattr(layer, "input_quantizer"):
        return is_sign(layer.input_quantizer)
    if isinstance(layer, _keras.Activation):
        return is_sign(layer.activation)
    return isinstance(layer, larq.quantizers.Quantizer) and is_sign(layer)


def seen_as_sign(graph: LayerGraph, value: Value) -> bool:
    """Whether nothing but a value's sign reaches the outputs, maximum pooling and reshaping on the way allowed."""
    users = graph.users(value)
    if graph.is_output(value) or not users:
        return False
    return all(
        takes_sign(call) or (isinstance(call.layer, _TRANSPARENT) and seen_as_sign(graph, call.output))
        for call in users
    )


def _infer(quantizer: Any, x: Any) -> Any:
    """The quantizer's value at inference."""
    if getattr(quantizer, "_expects_training_arg", False):
        return quantizer(x, training=False)
    return quantizer(x)
