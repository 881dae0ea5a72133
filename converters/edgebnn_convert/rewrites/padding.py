"""Padding of binary convolutions.

1.  Given   padding="same" whose windows never reach over the edge (1x1 kernels; 2x2 of stride 2 on even sizes).
    Result  padding="valid". Exact.
2.  Given   padding="same", pad_values=-1.
    Result  The input padded with -1 in float, whose sign is -1 -> padding="valid". Exact.
3.  Given   ZeroPadding2D, taken by binary "valid" convolutions only, that pads as "same" would.
    Result  The convolutions with padding="same", pad_values=1: the sign of 0 is +1. Exact.

Left as it is: pad_values=0 that pads. LCE computes it right, as a binary convolution, but writes floats: a bit cannot
be 0. Making it 1 changes the network; train with pad_values=1.

Why     LCE passes bits on only with "valid" or pad value 1, and makes a float convolution of pad value -1.
"""

from __future__ import annotations

import larq
import tensorflow as tf

from edgebnn_convert.rewrites.graph import Call, LayerGraph, iterate, make
from edgebnn_convert.rewrites.layers import ConstantPadding2D
from edgebnn_convert.rewrites.report import Change
from edgebnn_convert.rewrites.signs import is_binary
from edgebnn_convert.rewrites.windows import padded, pads, same_padding

NAME = "padding"
_keras = tf.keras.layers


def simplify_padding(graph: LayerGraph) -> list[Change]:
    """See the module."""
    changes = []
    for call in iterate(graph, larq.layers.QuantConv2D):
        layer = call.layer
        if not is_binary(layer) or layer.data_format != "channels_last" or None in call.input.shape[1:]:
            continue
        if graph.is_shared(layer) or layer.padding != "same":
            continue
        if not pads(layer, call.input.shape):
            _become(graph, call, padding="valid", pad_values=0.0)
            changes.append(Change(NAME, call.name, "same to valid, nothing was padded"))
        elif float(layer.pad_values) == -1:
            _pad_in_front(graph, call)
            changes.append(Change(NAME, call.name, "pad value -1 as -1 in front of the sign"))
        elif float(layer.pad_values) != 1:
            reason = f"pad value {float(layer.pad_values):g} keeps bits from being passed on, train with pad_values=1"
            changes.append(Change(NAME, call.name, reason, done=False))
    for call in iterate(graph, _keras.ZeroPadding2D):
        users = graph.users(call.output)
        if graph.is_output(call.output) or not users or not all(_pads_as_same(graph, call, user) for user in users):
            continue
        graph.replace(call.output, call.input)
        graph.calls.remove(call)
        for user in users:
            _become(graph, user, padding="same", pad_values=1.0)
        changes.append(Change(NAME, call.name, f"zeros in front of the sign as pad value 1 of {_names(users)}"))
    return changes


def _become(graph: LayerGraph, call: Call, **changes: object) -> None:
    config = {**call.layer.get_config(), **changes}
    weights = call.layer.get_weights()
    call.layer = graph.own(make(type(call.layer), config, shape=call.input.shape, weights=weights))


def _pad_in_front(graph: LayerGraph, call: Call) -> None:
    padding = same_padding(call.layer, call.input.shape)
    shape = padded(call.input.shape, padding)
    value = graph.insert(
        ConstantPadding2D(padding, -1.0), call.input, name=f"{call.name}_pad", before=call, shape=shape
    )
    graph.replace(call.input, value, users=[call])
    _become(graph, call, padding="valid", pad_values=0.0)


def _pads_as_same(graph: LayerGraph, zeros: Call, user: Call) -> bool:
    """Whether a user of ZeroPadding2D would see the same if it padded by itself, with 1."""
    layer, given = user.layer, [tuple(pair) for pair in zeros.layer.padding]
    return (
        isinstance(layer, larq.layers.QuantConv2D)
        and is_binary(layer)
        and not graph.is_shared(layer)
        and not pads(layer, user.input.shape)
        and zeros.layer.data_format == layer.data_format == "channels_last"
        and None not in zeros.input.shape[1:]
        and same_padding(layer, zeros.input.shape) == given
    )


def _names(calls: list[Call]) -> str:
    return ", ".join(call.name for call in calls)
