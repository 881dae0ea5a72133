"""Layers that do nothing at inference.

Given   Dropout, noise, ActivityRegularization, or a linear Activation anywhere in the network.
Result  The network without them, so that the other rewrites see what is next to what. Exact.
"""

from __future__ import annotations

import tensorflow as tf

from edgebnn_convert.rewrites.graph import LayerGraph, iterate
from edgebnn_convert.rewrites.report import Change

_keras = tf.keras.layers
_IDLE = (
    _keras.Dropout,
    _keras.SpatialDropout1D,
    _keras.SpatialDropout2D,
    _keras.SpatialDropout3D,
    _keras.GaussianDropout,
    _keras.GaussianNoise,
    _keras.AlphaDropout,
    _keras.ActivityRegularization,
    _keras.Activation,
)


def drop_idle_layers(graph: LayerGraph) -> list[Change]:
    """See the module."""
    dropped = []
    for call in iterate(graph, _IDLE):
        if isinstance(call.layer, _keras.Activation) and call.layer.activation is not tf.keras.activations.linear:
            continue
        if graph.is_output(call.output):
            continue
        graph.replace(call.output, call.input)
        graph.calls.remove(call)
        dropped.append(call.name)
    return [Change("idle layers", ", ".join(dropped), "dropped, they do nothing at inference")] if dropped else []
