"""L15: Keras layers and quantizers that Larq Compute Engine (LCE) turns into float operators, or into something else.

Found in the Keras model, where they can be named; `edgebnn.inspection.lint` has the rules for the .tflite. Quantizers
are tried out on numbers instead of being recognized, so that those of users are judged too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edgebnn.inspection.lint import Finding
from edgebnn_convert.difference import Array

# LCE matches Conv2D only.
_FLOAT_LAYERS = {
    "QuantConv1D": "a QuantConv2D with a (1, k) kernel on (1, time, channels)",
    "QuantConv2DTranspose": "an upsampling in front of a QuantConv2D",
    "QuantConv3D": "a QuantConv2D for each slice",
    "QuantConv3DTranspose": "an upsampling in front of a QuantConv2D",
    "QuantDense": "a QuantConv2D, 1x1 or as large as its input",
    "QuantDepthwiseConv2D": "a QuantConv2D, or a float DepthwiseConv2D",
    "QuantLocallyConnected1D": "a QuantConv2D",
    "QuantLocallyConnected2D": "a QuantConv2D",
    "QuantSeparableConv1D": "a QuantConv2D with a (1, k) kernel",
    "QuantSeparableConv2D": "a QuantConv2D",
}
_PROBE = np.concatenate([np.linspace(-3, 3, 1201), [0.0, -0.0, 1e-6, -1e-6]]).astype(np.float32).reshape(1, 1, 1, -1)
_MAGNITUDE_TOLERANCE = 0.005  # LCE's, relative


def lint_keras(model: Any) -> list[Finding]:
    """Findings on the layers of a built Keras model, nested models included."""
    return [finding for layer in _layers(model) for finding in _lint_layer(layer)]


def _layers(model: Any) -> Iterator[Any]:
    seen = set()
    for layer in getattr(model, "submodules", ()):
        if id(layer) not in seen and hasattr(layer, "get_config") and hasattr(layer, "input_quantizer"):
            seen.add(id(layer))
            yield layer


def _lint_layer(layer: Any) -> Iterator[Finding]:
    kind = type(layer).__name__
    kernels = {
        name: getattr(layer, name)
        for name in ("kernel_quantizer", "depthwise_quantizer", "pointwise_quantizer")
        if getattr(layer, name, None) is not None
    }
    if layer.input_quantizer is None:
        if kernels:
            why, cure = "its weights are binary and its input is not: it runs as float", "give it an input_quantizer"
            yield _finding(layer, why, cure, error=False)
        return
    if not kernels:
        why, cure = "its input is binary and its weights are not: it runs as float", "give it a kernel_quantizer"
        yield _finding(layer, why, cure, error=False)
        return
    if kind in _FLOAT_LAYERS:
        yield _finding(layer, f"LCE runs every {kind} as float", f"use {_FLOAT_LAYERS[kind]}")
        return
    yield from _lint_input(layer)
    yield from _lint_kernels(layer, kernels)
    yield from _lint_geometry(layer)


def _lint_input(layer: Any) -> Iterator[Finding]:
    first, second = (_apply(layer.input_quantizer, _PROBE) for _ in range(2))
    values = np.unique(first)
    cure = "use ste_sign, approx_sign or swish_sign"
    if not np.array_equal(first, second):
        why, cure = "its input_quantizer is random at inference", "draw with training=True only"
        yield _finding(layer, why, cure)
    elif values.size == 3 and 0 in values:
        why = f"its input_quantizer has the values {_listed(values)}: LCE runs it as float, or takes it for a sign"
        yield _finding(layer, why, cure)
    elif values.size != 2 or values[0] != -values[1]:
        why = f"its input_quantizer has {values.size} values ({_listed(values)}), not -1 and +1: it runs as float"
        yield _finding(layer, why, cure)


def _lint_kernels(layer: Any, kernels: dict[str, Callable[[Any], Any]]) -> Iterator[Finding]:
    for name, quantizer in kernels.items():
        latent = getattr(layer, name.replace("quantizer", "kernel").replace("kernel_kernel", "kernel"), None)
        if latent is None:
            continue
        values = np.abs(_apply(quantizer, np.asarray(latent)))
        columns = values.reshape(-1, values.shape[-1])
        if (columns.min(axis=0) < (1 - _MAGNITUDE_TOLERANCE) * columns.max(axis=0)).any():
            why = f"its {name} gives weights of several magnitudes in one channel: it runs as float"
            yield _finding(layer, why, "use a quantizer with two values a channel, such as ste_sign")


def _lint_geometry(layer: Any) -> Iterator[Finding]:
    pad_values = getattr(layer, "pad_values", 0.0)
    if getattr(layer, "padding", "valid") == "same" and pad_values not in (0, 1):
        why = f"pad_values is {pad_values:g}: LCE knows 0 and 1, it runs as float"
        yield _finding(layer, why, "pad_values=1")
    groups = getattr(layer, "groups", 1)
    if groups > 1:
        channels = layer.kernel.shape[-2]
        if channels % 32:
            why = f"its groups have {channels} input channels, no multiple of 32: it runs as float"
            yield _finding(layer, why, "fewer or wider groups")


def _finding(layer: Any, why: str, cure: str, *, error: bool = True) -> Finding:
    return Finding("L15", "error" if error else "warning", f"{type(layer).__name__} {layer.name!r}", why, cure)


def _apply(quantizer: Callable[[Any], Any], values: Array) -> Array:
    import tensorflow as tf

    return np.asarray(quantizer(tf.constant(values)))


def _listed(values: Array) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:4])
    return shown + (", ..." if values.size > 4 else "")
