"""Input scaling inside the network.

Given   input -> y = a x + b, per channel or one for all (Rescaling, Normalization, or a batch normalization at the very
        start; several in a row) -> float convolution or dense layer with kernel k and bias c.
Result  input -> the layer with kernel k a and bias c + sum(k b).
        Where the layer pads with zeros and b is not 0, its padding stands for x = -b / a: if that is one number for all
        channels, the input is padded with it first (PADV2) and the layer becomes "valid"; else nothing is changed.
Exact   to float rounding (a and b are folded in float64).
Why     LCE leaves the scaling as float MUL and ADD over the whole picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from edgebnn_convert.difference import Array
from edgebnn_convert.rewrites.graph import Call, LayerGraph, make
from edgebnn_convert.rewrites.report import Change
from edgebnn_convert.rewrites.windows import ConstantPadding2D, padded, pads, same_padding

NAME = "input scaling"
_keras = tf.keras.layers
_LINEAR = (_keras.Conv1D, _keras.Conv2D, _keras.DepthwiseConv2D, _keras.Dense)


def fold_scaling(graph: LayerGraph) -> list[Change]:
    """See the module."""
    changes = []
    for source in graph.inputs.values():
        while True:
            chain = graph.users(source)
            if len(chain) != 1 or graph.is_output(source) or chain[0].outputs[0].dtype != "float32":
                break
            last = _last_scaling(graph, chain[0])
            if last is None:
                break
            change = _fold(graph, last)
            if change.done or not isinstance(last.layer, _keras.BatchNormalization):
                changes.append(change)
            if not change.done:
                break
    return changes


def affine(call: Call) -> tuple[Array, Array] | None:
    """(a, b) of a layer that computes a x + b, float64 by channel; None for another layer."""
    layer, channels = call.layer, call.input.shape[-1]
    rank = len(call.input.shape)
    if isinstance(layer, _keras.Rescaling):
        a, b = np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)
    elif isinstance(layer, _keras.Normalization):
        if tuple(layer._keep_axis) not in ((rank - 1,), ()):
            return None
        mean, variance = (np.asarray(x, np.float64).reshape(-1) for x in (layer.mean, layer.variance))
        deviation = np.maximum(np.sqrt(variance), tf.keras.backend.epsilon())
        a, b = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    elif isinstance(layer, _keras.BatchNormalization):
        if [axis % rank for axis in np.atleast_1d(layer.axis)] != [rank - 1]:
            return None
        mean, variance = (np.asarray(x, np.float64) for x in (layer.moving_mean, layer.moving_variance))
        a = np.asarray(layer.gamma if layer.scale else 1.0, np.float64) / np.sqrt(variance + layer.epsilon)
        b = np.asarray(layer.beta if layer.center else 0.0, np.float64) - mean * a
    else:
        return None
    if channels is None or a.size not in (1, channels) or b.size not in (1, channels) or max(a.ndim, b.ndim) > 1:
        return None
    return np.broadcast_to(a, (channels,)), np.broadcast_to(b, (channels,))


def _last_scaling(graph: LayerGraph, call: Call) -> Call | None:
    """The last of the scalings in a row that begins with `call`."""
    last = None
    current: Call | None = call
    while current is not None and affine(current) is not None and not graph.is_shared(current.layer):
        last, current = current, graph.only_user(current.output)
    return last


def _fold(graph: LayerGraph, scaling: Call) -> Change:
    """Fold one scaling into all the layers that take it, or into none."""
    factors = affine(scaling)
    assert factors is not None
    users = graph.users(scaling.output)
    reasons = [reason for reason in (_obstacle(graph, user, scaling, *factors) for user in users) if reason]
    if not users or graph.is_output(scaling.output):
        reasons = ["its values leave the network"]
    if reasons:
        return Change(NAME, scaling.name, reasons[0], done=False)
    for user in users:
        _fold_into(graph, user, scaling, *factors)
    graph.calls.remove(scaling)
    return Change(NAME, scaling.name, f"folded into {', '.join(user.name for user in users)}")


def _obstacle(graph: LayerGraph, user: Call, scaling: Call, a: Array, b: Array) -> str:
    """Why the layer that `user` calls cannot take the scaling in, empty if it can."""
    layer = user.layer
    quantized = getattr(layer, "input_quantizer", None) or getattr(layer, "kernel_quantizer", None)
    quantized = quantized or getattr(layer, "depthwise_quantizer", None)
    if not isinstance(layer, _LINEAR) or quantized:
        return f"{user.name} is no float convolution or dense layer"
    if isinstance(layer, (_keras.Conv1DTranspose, _keras.Conv2DTranspose)):
        return f"{user.name} is a transposed convolution"
    if graph.is_shared(layer):
        return f"{user.name} is used in several places"
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"{user.name} has its channels first"
    if isinstance(layer, _keras.Dense) or not b.any() or not pads(layer, user.input.shape):
        return ""
    if getattr(layer, "pad_values", 0):
        return f"{user.name} does not pad with zeros"
    if len(user.input.shape) != 4 or layer.padding != "same":
        return f"the padding of {user.name} would need another value than zero"
    if (a == 0).any() or np.ptp(b / a) > 1e-6 * np.abs(b / a).max():
        return f"the padding of {user.name} would need a value for each channel"
    return ""


def _fold_into(graph: LayerGraph, user: Call, scaling: Call, a: Array, b: Array) -> None:
    layer, config = user.layer, user.layer.get_config()
    value, shape = scaling.input, user.input.shape
    if not isinstance(layer, _keras.Dense) and b.any() and pads(layer, shape):
        padding = same_padding(layer, shape)
        shape = padded(shape, padding)
        fill = ConstantPadding2D(padding, float((-b / a).mean()))
        value = graph.insert(fill, value, name=f"{user.name}_pad", before=user, shape=shape)
        config["padding"] = "valid"
    kernel, *bias = (weight.astype(np.float64) for weight in layer.get_weights())
    scaled, added = _scaled_kernel(layer, kernel, a, b)
    total = added + (bias[0] if bias else 0)
    weights = [scaled.astype(np.float32)]
    if bias or b.any():
        config["use_bias"] = True
        weights.append(total.astype(np.float32))
    graph.replace(user.input, value, users=[user])
    user.layer = graph.own(make(type(layer), config, shape=shape, weights=weights))


def _scaled_kernel(layer: Any, kernel: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """The kernel times a, and what b adds to each output channel."""
    if isinstance(layer, _keras.DepthwiseConv2D):  # (h, w, channel, multiple)
        return kernel * a[:, None], (kernel * b[:, None]).sum(axis=(0, 1)).reshape(-1)
    inputs, outputs = kernel.shape[-2:]
    groups = getattr(layer, "groups", 1)
    channel = np.arange(inputs)[:, None] + inputs * (np.arange(outputs) // (outputs // groups))
    return kernel * a[channel], (kernel * b[channel]).sum(axis=tuple(range(kernel.ndim - 1)))
