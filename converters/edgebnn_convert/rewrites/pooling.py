"""Batch normalization behind a maximum pooling, the order of the BNN paper (Courbariaux et al. 2016).

Given   convolution -> MaxPool -> BatchNorm, nobody else taking what is between.
Result  convolution -> BatchNorm -> MaxPool.
Exact   where gamma >= 0: then the normalization does not decrease, and the maximum goes through it unchanged.
        A channel with gamma < 0 turns the maximum into a minimum: its normalization is negated (gamma, beta), as are
        the next convolution's weights on it, if the sign behind the pooling is all that is taken of it, by one binary
        convolution without groups that pads with zeros or not at all (a pad value 1 would have to be -1 there).
        sign(-x) is -sign(x) but at x = 0: the convolution in front is binary, so every value that x can take is known,
        and where one is 0, beta is lowered by less than half of the distance to the next. Any other channel with
        gamma < 0: nothing is changed.
Why     The normalization then becomes thresholds of the convolution, and the pooling works on bits (LceBMaxPool2d);
        else LCE leaves MAX_POOL_2D, MUL, ADD, LceQuantize in float.
"""

from __future__ import annotations

from typing import Any

import larq
import numpy as np
import tensorflow as tf

from edgebnn_convert.difference import Array
from edgebnn_convert.rewrites.graph import Call, LayerGraph, Value, clone, iterate, make
from edgebnn_convert.rewrites.report import Change
from edgebnn_convert.rewrites.signs import is_binary, quantized_kernel
from edgebnn_convert.rewrites.windows import pads

NAME = "pooling"
MOST_SUMS = 1 << 16  # a larger fan-in is not enumerated
_keras = tf.keras.layers


def pool_after_normalization(graph: LayerGraph) -> list[Change]:
    """See the module."""
    changes = []
    for pool in iterate(graph, _keras.MaxPooling2D):
        convolution, norm = graph.producer(pool.input), graph.only_user(pool.output)
        if convolution is None or norm is None or not _fuses(convolution) or not _normalizes_channels(norm):
            continue
        if graph.only_user(pool.input) is None or graph.is_shared(norm.layer) or graph.is_shared(pool.layer):
            continue
        if pool.layer.data_format != "channels_last":
            continue
        falling = _gamma(norm.layer) < 0
        text, layer = "moved in front of the pooling", norm.layer
        if falling.any():
            reason = _negate(graph, convolution, norm, falling)
            count = f"{int(falling.sum())} of {falling.size} gammas are negative"
            if isinstance(reason, str):
                changes.append(Change(NAME, norm.name, f"{count} and {reason}", done=False))
                continue
            layer = reason
            text += f"; {count}, these channels negated here and in the next convolution"
        else:
            layer = clone(layer, shape=pool.input.shape)
        _swap(graph, pool, norm, layer, same=not falling.any())
        changes.append(Change(NAME, norm.name, text))
    return changes


def _fuses(call: Call) -> bool:
    """Whether LCE or TFLite fuses a batch normalization behind this call into it."""
    layer = call.layer
    if isinstance(layer, larq.layers.QuantConv2D) and is_binary(layer):
        return True
    kinds = (_keras.Conv2D, _keras.DepthwiseConv2D)
    return isinstance(layer, kinds) and layer.activation is tf.keras.activations.linear


def _normalizes_channels(call: Call) -> bool:
    layer = call.layer
    return isinstance(layer, _keras.BatchNormalization) and [int(n) for n in np.atleast_1d(layer.axis)] in ([3], [-1])


def _gamma(norm: Any) -> Array:
    size = norm.moving_variance.shape[0]
    values: Array = np.asarray(norm.gamma) if norm.scale else np.ones(size, np.float32)
    return values


def _swap(graph: LayerGraph, pool: Call, norm: Call, layer: Any, *, same: bool) -> None:
    """`layer` normalizes in front of the pooling; `same` says that its values mean what they meant."""
    old = norm.output
    inner = Value(pool.input.shape, old.dtype)
    result = old if same else Value(old.shape, old.dtype)
    pooling = clone(pool.layer, shape=pool.input.shape)
    at = graph.calls.index(pool)
    graph.calls.remove(pool)
    graph.calls.remove(norm)
    graph.calls[at:at] = [
        Call(graph.own(layer), ((pool.input,), {}), inner, f"{norm.name}_first"),
        Call(graph.own(pooling), ((inner,), {}), result, norm.name),
    ]
    if not same:
        graph.replace(old, result)


def _negate(graph: LayerGraph, convolution: Call, norm: Call, falling: Array) -> Any:
    """The batch normalization with the falling channels negated, and the next convolution with it; or why not."""
    user = graph.only_user(norm.output)
    if user is None:
        return "its result is taken in several places"
    layer = user.layer
    if not isinstance(layer, larq.layers.QuantConv2D) or not is_binary(layer):
        return f"{user.name} behind it is no binary convolution"
    if layer.groups != 1 or layer.data_format != "channels_last":
        return f"{user.name} behind it has groups or its channels first"
    if graph.is_shared(layer) or graph.is_shared(convolution.layer):
        return "a convolution beside it is used in several places"
    if pads(layer, user.input.shape) and float(layer.pad_values) != 0:
        return f"{user.name} behind it pads with {float(layer.pad_values):g}"
    values = _sums(convolution)
    if isinstance(values, str):
        return values
    negated = _negated_norm(norm.layer, values, falling)
    if negated is None:
        return "no beta separates the values of a channel"
    kernel, *rest = layer.get_weights()
    flipped = np.where(kernel == 0, np.float32(-1e-30), -kernel)  # sign(0) is +1, and so would sign(-0) be
    kernel = np.where(falling[:, None], flipped, kernel)
    replaced = make(type(layer), layer.get_config(), shape=user.input.shape, weights=[kernel, *rest])
    expected = quantized_kernel(layer) * np.where(falling, -1, 1)[:, None]
    if not np.array_equal(quantized_kernel(replaced), expected):
        return f"the kernel quantizer of {user.name} is not symmetric"
    user.layer = graph.own(replaced)
    return negated


def _sums(convolution: Call) -> Array | str:
    """Every value, (1, n, 1, channels), that a binary convolution can give; or why they are not known."""
    layer = convolution.layer
    if not is_binary(layer) or (np.abs(quantized_kernel(layer)) != 1).any():
        return f"{convolution.name} in front of it is no convolution of -1 and +1, zeros of its values are not known"
    fan_in = int(np.prod(layer.get_weights()[0].shape[:-1]))
    if fan_in > MOST_SUMS:
        return f"{convolution.name} in front of it adds up {fan_in} products"
    values = np.arange(-fan_in, fan_in + 1, dtype=np.float32)
    x = tf.constant(np.broadcast_to(values[None, :, None, None], (1, values.size, 1, layer.filters)))
    if layer.use_bias:
        x = tf.nn.bias_add(x, layer.get_weights()[1])
    found: Array = layer.activation(x).numpy()
    return found


def _negated_norm(norm: Any, values: Array, falling: Array) -> Any | None:
    """`norm` with gamma and beta of the falling channels negated, so that signs are opposite at each of `values`."""
    config = {**norm.get_config(), "center": True, "scale": True, "axis": [3]}
    size = falling.size
    beta = np.asarray(norm.beta) if norm.center else np.zeros(size, np.float32)
    weights = [np.where(falling, -_gamma(norm), _gamma(norm)), np.where(falling, -beta, beta)]
    weights += [np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)]
    before = norm(tf.constant(values)).numpy()
    nonzero = np.where(before == 0, np.inf, np.abs(before)).min(axis=(0, 1, 2))
    zero = falling & (before == 0).any(axis=(0, 1, 2))
    weights[1] = np.where(zero, weights[1] - np.minimum(nonzero / 4, 1), weights[1]).astype(np.float32)
    negated = make(type(norm), config, shape=values.shape, weights=weights)
    after = negated(tf.constant(values)).numpy()
    expected = np.where(before < 0, -1, 1) * np.where(falling, -1, 1)
    return negated if (np.where(after < 0, -1, 1) == expected).all() else None
