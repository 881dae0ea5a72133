"""Binary dense layers.

Given   QuantDense with both quantizers signs, on (n, k) or (n, time, k); kernel (k, units).
Result  On (n, k): Reshape (n, 1, 1, k) -> 1x1 QuantConv2D -> Reshape. On a map behind Flatten, (n, h, w, c): "valid"
        QuantConv2D of the map's size, its kernel the dense one reshaped to (h, w, c, units): Flatten counts channels
        fastest, then columns, then rows, as the kernel's reshape does. On (n, time, k): a 1x1 QuantConv2D over
        (n, 1, time, k). Batch normalizations and activations behind it follow onto the map.
Exact   bit for bit.
Why     LCE knows binary convolutions only: it turns QuantDense into a float FULLY_CONNECTED of 32 times the size.
"""

from __future__ import annotations

from typing import Any

import larq
import tensorflow as tf

from edgebnn_convert.rewrites.graph import Call, LayerGraph, Shape, Value, iterate, make
from edgebnn_convert.rewrites.report import Change
from edgebnn_convert.rewrites.reshapes import fold_back, move_reshapes, reshape
from edgebnn_convert.rewrites.signs import is_binary

NAME = "binary dense"
_keras = tf.keras.layers


def lift_dense(graph: LayerGraph) -> list[Change]:
    """See the module."""
    changes = []
    made: dict[tuple[int, Shape], Any] = {}
    for call in iterate(graph, larq.layers.QuantDense):
        if not is_binary(call.layer):
            continue
        if None in call.input.shape[1:] or len(call.input.shape) > 4:
            reason = f"its input has the shape {call.input.shape}, expected up to four fixed dimensions"
            changes.append(Change(NAME, call.name, reason, done=False))
            continue
        value, kernel_size = _map(graph, call)
        key = (id(call.layer), (*kernel_size, value.shape[-1]))
        if key not in made:
            made[key] = graph.own(_convolution(call.layer, kernel_size, value.shape))
        graph.replace(call.input, value, users=[call])
        call.layer = made[key]
        spatial = (1, 1) if len(call.output.shape) == 2 else value.shape[1:-1]
        fold_back(graph, call, (value.shape[0], *spatial, call.output.shape[-1]))
        size = "x".join(map(str, kernel_size))
        changes.append(Change(NAME, call.name, f"QuantDense to {size} QuantConv2D"))
    if changes:
        move_reshapes(graph)
    return changes


def _map(graph: LayerGraph, call: Call) -> tuple[Value, tuple[int, int]]:
    """The map that a dense layer's input stands for, and the size of the kernel that covers it."""
    value = call.input
    batch, *rest = value.shape
    source = graph.producer(value)
    if len(rest) == 1 and source is not None and isinstance(source.layer, _keras.Flatten):
        inner = source.input
        spatial = inner.shape[1:-1]
        if source.layer.data_format == "channels_last" and len(spatial) in (1, 2) and None not in spatial:
            shape = (batch, *(1,) * (2 - len(spatial)), *spatial, inner.shape[-1])
            found = reshape(graph, inner, shape, before=call)
            height, width = found.shape[1:-1]
            assert height is not None and width is not None
            return found, (height, width)
    shape = (batch, *(1,) * (3 - len(rest)), *rest)
    return reshape(graph, value, shape, before=call), (1, 1)


def _convolution(layer: Any, kernel_size: tuple[int, int], shape: Shape) -> Any:
    config = layer.get_config()
    config["filters"] = config.pop("units")
    config |= {"kernel_size": kernel_size, "padding": "valid"}
    kernel, *bias = layer.get_weights()
    kernel = kernel.reshape(*kernel_size, -1, config["filters"])
    return make(larq.layers.QuantConv2D, config, shape=shape, weights=[kernel, *bias])
