"""Input scaling inside the network.

Given   input -> y = a x + b, per channel or one for all (Rescaling, Normalization, or a batch normalization at the very
        start; several in a row) -> float convolution or dense layer with kernel k and bias c.
Result  input -> the layer with kernel k a and bias c + sum(k b).
        Where a layer pads with zeros and b is not 0, one ADD stays: input -> x + b / a -> the layer with kernel k a, so
        that its zeros mean what they meant. (Padding the input with -b / a takes PADV2, which no XNNPACK kernel has:
        0.50 ms, against 0.22 unfolded and 0.21 with the ADD; 320x320x3, x86_64.)
Exact   to float rounding (a and b are folded in float64).
Why     LCE leaves the scaling as float MUL and ADD over the whole picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from edgebnn_convert.difference import Array
from edgebnn_convert.rewrites.graph import Call, LayerGraph, Value, make
from edgebnn_convert.rewrites.layers import Bias
from edgebnn_convert.rewrites.report import Change
from edgebnn_convert.rewrites.windows import pads

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
    reasons = [reason for reason in (_obstacle(graph, user, *factors) for user in users) if reason]
    if not users or graph.is_output(scaling.output):
        reasons = ["its values leave the network"]
    if reasons:
        return Change(NAME, scaling.name, reasons[0], done=False)
    a, b = factors
    text = f"folded into {', '.join(user.name for user in users)}"
    if b.any() and any(_pads_with_zeros(user) for user in users):
        for user in users:
            _fold_into(graph, user, a, np.zeros_like(b))
        shift = (b / a).astype(np.float32)
        scaling.layer = graph.own(
            Bias(shift[0] if (shift == shift[0]).all() else shift)
        )  # XNNPACK adds a scalar faster
        old = scaling.output
        scaling.results = Value(old.shape, old.dtype)  # it means something else from here on
        graph.replace(old, scaling.output)
        text += ", but for one addition, whose zero is the padding's"
        return Change(NAME, scaling.name, text)
    for user in users:
        _fold_into(graph, user, a, b)
        graph.replace(scaling.output, scaling.input, users=[user])
    graph.calls.remove(scaling)
    return Change(NAME, scaling.name, text)


def _pads_with_zeros(user: Call) -> bool:
    return not isinstance(user.layer, _keras.Dense) and pads(user.layer, user.input.shape)


def _obstacle(graph: LayerGraph, user: Call, a: Array, b: Array) -> str:
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
    if not b.any() or not _pads_with_zeros(user):
        return ""
    if getattr(layer, "pad_values", 0):
        return f"{user.name} does not pad with zeros"
    return "it makes a constant of a channel" if (a == 0).any() else ""


def _fold_into(graph: LayerGraph, user: Call, a: Array, b: Array) -> None:
    layer, config = user.layer, user.layer.get_config()
    kernel, *bias = (weight.astype(np.float64) for weight in layer.get_weights())
    scaled, added = _scaled_kernel(layer, kernel, a, b)
    total = added + (bias[0] if bias else 0)
    weights = [scaled.astype(np.float32)]
    if bias or b.any():
        config["use_bias"] = True
        weights.append(total.astype(np.float32))
    user.layer = graph.own(make(type(layer), config, shape=user.input.shape, weights=weights))


def _scaled_kernel(layer: Any, kernel: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """The kernel times a, and what b adds to each output channel."""
    if isinstance(layer, _keras.DepthwiseConv2D):  # (h, w, channel, multiple)
        return kernel * a[:, None], (kernel * b[:, None]).sum(axis=(0, 1)).reshape(-1)
    inputs, outputs = kernel.shape[-2:]
    groups = getattr(layer, "groups", 1)
    channel = np.arange(inputs)[:, None] + inputs * (np.arange(outputs) // (outputs // groups))
    return kernel * a[channel], (kernel * b[channel]).sum(axis=tuple(range(kernel.ndim - 1)))
