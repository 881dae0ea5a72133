"""Activations that a following sign makes redundant.

Given   x -> f -> sign, with f strictly of x's sign: f(x) < 0 exactly where x < 0. Maximum pooling, Flatten, Reshape and
        zero padding may stand between f and the sign; then f must not decrease.
Result  x -> sign.
Exact   for hard_tanh, leaky_tanh, softsign; for leaky ReLU and PReLU with slopes > 0 (a product below 1e-38 that
        underflows apart); for tanh. Not for ReLU, ReLU6, sigmoid: their sign is always +1, and a network with one in
        front of a sign is broken; nor for ELU and SELU, which round exp(x) - 1 to 0 for x just below 0. Those stay.
Why     LCE fuses hard_tanh into thresholds in front of a batch normalization but not behind one, the order of the BNN
        paper (Courbariaux et al. 2016); LeakyReLU and PReLU are operators of their own everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import larq
import tensorflow as tf

from edgebnn_convert.rewrites.graph import Call, LayerGraph, Value, clone
from edgebnn_convert.rewrites.report import Change
from edgebnn_convert.rewrites.signs import seen_as_sign, takes_sign

_keras = tf.keras.layers
_FUNCTIONS = (
    larq.activations.hard_tanh,
    larq.activations.leaky_tanh,
    tf.keras.activations.tanh,
    tf.keras.activations.softsign,
    tf.nn.tanh,
    tf.nn.softsign,
)


def drop_activations(graph: LayerGraph) -> list[Change]:
    """See the module."""
    changes = []
    dropped = True
    while dropped:  # one that was dropped may bring another in front of the sign
        dropped = False
        for call in reversed(list(graph.calls)):
            if len(call.outputs) != 1 or not seen_as_sign(graph, call.output):
                continue
            if _keeps_signs(call.layer):
                _renew(graph, graph.users(call.output))
                graph.replace(call.output, call.input)
                graph.calls.remove(call)
            elif _keeps_signs_inside(call) and not graph.is_shared(call.layer):
                call.layer = graph.own(clone(call.layer, shape=call.input.shape, activation="linear"))
                _renew(graph, [call])
            else:
                continue
            changes.append(Change("activation before sign", call.name, "dropped, the sign is the same without it"))
            dropped = True
    return changes


def _renew(graph: LayerGraph, calls: Sequence[Call]) -> None:
    """Give the calls, up to the signs, new values: of the old ones they have the signs only."""
    for call in calls:
        if not takes_sign(call):
            old, new = call.output, Value(call.output.shape, call.output.dtype)
            _renew(graph, graph.users(old))
            call.results = new
            graph.replace(old, new)


def _keeps_signs(layer: Any) -> bool:
    """Whether a layer is an activation f(x) < 0 <=> x < 0 that does not decrease."""
    if isinstance(layer, _keras.Activation):
        return layer.activation in _FUNCTIONS
    if isinstance(layer, _keras.LeakyReLU):
        return float(layer.alpha) > 0
    if isinstance(layer, _keras.PReLU):
        return bool((layer.get_weights()[0] > 0).all())
    if isinstance(layer, _keras.ReLU):
        slope, threshold = float(layer.negative_slope), float(layer.threshold)
        return slope > 0 and threshold == 0 and (layer.max_value is None or float(layer.max_value) > 0)
    return False


def _keeps_signs_inside(call: Call) -> bool:
    """Whether that holds for the activation that a convolution or dense layer applies at its end."""
    layer = call.layer
    return (
        isinstance(layer, (_keras.Conv1D, _keras.Conv2D, _keras.DepthwiseConv2D, _keras.Dense))
        and layer.activation in _FUNCTIONS
    )
