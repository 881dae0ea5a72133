"""One-dimensional convolutions.

Given   QuantConv1D over (n, time, channels), both quantizers signs; kernel (k, channels, filters).
Result  Reshape (n, 1, time, channels) -> QuantConv2D with kernel (1, k, channels, filters), same strides, dilation,
        padding and pad value -> Reshape. Poolings, batch normalizations and float Conv1D between them follow.
        padding="causal": k' = (k - 1) dilation zeros are put in front (their sign is +1) -> "valid" QuantConv2D without
        bias and activation -> minus the kernel taps that lay on the padding, constants of the first times -> bias,
        activation. Only where some results do not depend on the padding.
Exact   bit for bit.
Why     LCE turns QuantConv1D into a float convolution of 32 times the size.
"""

from __future__ import annotations

from typing import Any

import larq
import numpy as np
import tensorflow as tf

from edgebnn_convert.difference import Array
from edgebnn_convert.rewrites.graph import Call, LayerGraph, Shape, iterate, make
from edgebnn_convert.rewrites.layers import Bias, ConstantPadding2D
from edgebnn_convert.rewrites.report import Change
from edgebnn_convert.rewrites.reshapes import fold_back, move_reshapes, reshape
from edgebnn_convert.rewrites.signs import is_binary, quantized_kernel
from edgebnn_convert.rewrites.windows import padded

NAME = "one-dimensional"
_keras = tf.keras.layers


class Correction(tf.keras.layers.Layer):  # type: ignore[misc]
    """(n, 1, time, channels) with `constant`, (1, first times, channels), added to the first times.

    Not one addition of zeros elsewhere: LCE 0.16 takes a constant that is added to a binary convolution for a bias,
    whatever its shape is.
    """

    def __init__(self, constant: Any, **options: Any) -> None:
        """`constant` is an array or nested lists."""
        super().__init__(**options)
        self.constant = np.asarray(constant, np.float32)

    def call(self, inputs: Any) -> Any:
        """Adds it to each sample."""
        first = self.constant.shape[1]
        return tf.concat([inputs[:, :, :first] + self.constant, inputs[:, :, first:]], axis=2)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "constant": self.constant.tolist()}


def lift_time_series(graph: LayerGraph) -> list[Change]:
    """See the module."""
    changes = []
    found = [call for call in iterate(graph, larq.layers.QuantConv1D) if is_binary(call.layer)]
    made: dict[int, Any] = {}
    for call in found:
        reason = _obstacle(call)
        if reason:
            changes.append(Change(NAME, call.name, reason, done=False))
            continue
        text = "QuantConv1D to QuantConv2D of height 1"
        if call.layer.padding == "causal" and _touched(call.layer):
            _lift_causal(graph, call)
            text += ", causal padding as padding in front and a constant correction"
        else:
            _lift(graph, call, made)
        changes.append(Change(NAME, call.name, text))
    if any(change.done for change in changes):
        for call in iterate(graph, _keras.Conv1D):  # the float ones around them, for the batch normalizations' sake
            if type(call.layer) is _keras.Conv1D and not _obstacle(call) and call.layer.padding != "causal":
                _lift(graph, call, made)
        move_reshapes(graph)
    return changes


def _obstacle(call: Call) -> str:
    layer, shape = call.layer, call.input.shape
    if layer.data_format != "channels_last":
        return "it has its channels first"
    if len(shape) != 3 or None in shape[1:]:
        return f"its input has the shape {shape}, expected (n, time, channels)"
    if layer.padding == "causal" and _touched(layer) >= (call.output.shape[1] or 0):
        return "every result of its causal padding depends on the padding"
    return ""


def _config(layer: Any) -> dict[str, Any]:
    """The configuration of the two-dimensional layer."""
    config: dict[str, Any] = layer.get_config()
    if not _touched(layer) and config["padding"] == "causal":
        config["padding"] = "valid"
    for key in ("kernel_size", "strides", "dilation_rate"):
        config[key] = (1, *config[key])
    return config


def _kernel(layer: Any) -> Array:
    kernel: Array = layer.get_weights()[0][None]
    return kernel


def _lift(graph: LayerGraph, call: Call, made: dict[int, Any]) -> None:
    """`made` keeps layers that are called in several places the same layer."""
    layer = call.layer
    shape = _on_a_row(call.input.shape)
    if id(layer) not in made:
        kind = larq.layers.QuantConv2D if isinstance(layer, larq.layers.QuantConv1D) else _keras.Conv2D
        weights = [_kernel(layer), *layer.get_weights()[1:]]
        made[id(layer)] = graph.own(make(kind, _config(layer), shape=shape, weights=weights))
    graph.replace(call.input, reshape(graph, call.input, shape, before=call), users=[call])
    call.layer = made[id(layer)]
    fold_back(graph, call, _on_a_row(call.output.shape))


def _lift_causal(graph: LayerGraph, call: Call) -> None:
    layer, shape = call.layer, _on_a_row(call.input.shape)
    reach = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
    value = reshape(graph, call.input, shape, before=call)
    padding = [(0, 0), (reach, 0)]
    value = graph.insert(
        ConstantPadding2D(padding, 0.0), value, name=f"{call.name}_pad", before=call, shape=padded(shape, padding)
    )
    config = _config(layer) | {"padding": "valid", "use_bias": False, "activation": "linear"}
    convolution = make(larq.layers.QuantConv2D, config, shape=value.shape, weights=[_kernel(layer)])
    row = _on_a_row(call.output.shape)
    value = graph.insert(convolution, value, name=call.name, before=call, shape=row)
    value = graph.insert(
        Correction(-_taps_on_padding(layer)), value, name=f"{call.name}_correction", before=call, shape=row
    )
    if layer.use_bias:
        bias = layer.get_weights()[1]
        value = graph.insert(Bias(bias), value, name=f"{call.name}_bias", before=call, shape=row)
    graph.replace(call.input, value, users=[call])
    call.layer = graph.own(_keras.Activation(layer.activation, name=f"{call.name}_activation"))
    call.name = f"{call.name}_activation"
    fold_back(graph, call, row)


def _taps_on_padding(layer: Any) -> Array:
    """By (1, time, filter), the sum of the kernel taps that lie in front of the first time; 0 from `time` on."""
    kernel = quantized_kernel(layer).sum(axis=1)  # every padded channel is +1
    size, dilation, stride = layer.kernel_size[0], layer.dilation_rate[0], layer.strides[0]
    times = np.arange(_touched(layer))[:, None] * stride + np.arange(size) * dilation
    taps: Array = (times < (size - 1) * dilation).astype(np.float32) @ kernel
    return taps[None]


def _touched(layer: Any) -> int:
    """How many of the first results a causal convolution computes from padding too."""
    reach, stride = (layer.kernel_size[0] - 1) * layer.dilation_rate[0], layer.strides[0]
    return -(-int(reach) // int(stride))


def _on_a_row(shape: Shape) -> Shape:
    return (shape[0], 1, *shape[1:])
