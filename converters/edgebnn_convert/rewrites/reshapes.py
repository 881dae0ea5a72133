"""Moving the reshapes that other rewrites make towards the outputs, where they vanish.

Given   Reshape -> f, with f a layer that works along the last axis and element by element (batch normalization of the
        last axis, activations), a pooling over time, or an addition with other tensors.
Result  f on the unreshaped tensor -> Reshape. Two reshapes that undo each other, and a reshape in front of Flatten, go.
Exact   element by element (a batch normalization of rank 4 may round the last bit differently).
Why     A batch normalization is fused into a binary convolution only if it follows at once.
"""

from __future__ import annotations

from typing import Any

import larq
import tensorflow as tf

from edgebnn_convert.rewrites.graph import Call, LayerGraph, Shape, Value, make

_keras = tf.keras.layers
_ELEMENTWISE = (_keras.Activation, _keras.ReLU, _keras.LeakyReLU, _keras.ELU, larq.quantizers.Quantizer)
_JOINING = (_keras.Add, _keras.Subtract, _keras.Multiply, _keras.Maximum, _keras.Minimum, _keras.Average)
_POOLING = {_keras.MaxPooling1D: _keras.MaxPooling2D, _keras.AveragePooling1D: _keras.AveragePooling2D}
_GLOBAL = {
    _keras.GlobalMaxPooling1D: _keras.GlobalMaxPooling2D,
    _keras.GlobalAveragePooling1D: _keras.GlobalAveragePooling2D,
}


class Unfold(tf.keras.layers.Reshape):  # type: ignore[misc]
    """A reshape that a rewrite made and may move."""


def reshape(graph: LayerGraph, value: Value, shape: Shape, *, before: Call) -> Value:
    """`value` reshaped to `shape`, batch included, in front of the call `before`; never back and forth."""
    if value.shape == shape:
        return value
    source = graph.producer(value)
    if source is not None and isinstance(source.layer, Unfold) and source.input.shape == shape:
        return source.input
    layer = Unfold(shape[1:])
    found = graph.insert(layer, value, name=f"{before.name}_reshape", before=before, shape=shape)
    found.same_as = value.same_as or value
    return found


def fold_back(graph: LayerGraph, call: Call, shape: Shape) -> None:
    """Let `call` make a value of `shape` instead, reshaped behind it to what its users know."""
    old = call.output
    new = Value(shape, old.dtype, same_as=old)
    call.results = new
    layer = graph.own(Unfold(old.shape[1:]))
    graph.calls.insert(graph.calls.index(call) + 1, Call(layer, ((new,), {}), old, f"{call.name}_reshape"))


def move_reshapes(graph: LayerGraph) -> None:
    """See the module; to be run after each rewrite that makes reshapes."""
    moved = True
    while moved:
        moved = any(_move(graph, call) for call in list(graph.calls) if call in graph.calls)
        graph.prune()


def _move(graph: LayerGraph, call: Call) -> bool:
    """Move what is in front of one call behind it; whether anything changed."""
    folded = {value: source.input for value in call.inputs if (source := _unfold(graph, value)) is not None}
    if not folded or len(call.outputs) != 1:
        return False
    layer, value = call.layer, call.input
    inner = next(iter(folded.values()))
    if isinstance(layer, Unfold):
        if call.output.shape == inner.shape:
            graph.replace(call.output, inner)
        else:
            graph.replace(value, inner, users=[call])
        return True
    if isinstance(layer, _keras.Flatten):
        call.layer = graph.own(make(_keras.Flatten, {"name": call.name}, shape=inner.shape))
        graph.replace(value, inner, users=[call])
        return True
    if graph.is_shared(layer) and not isinstance(layer, (*_ELEMENTWISE, *_JOINING)):
        return False
    if isinstance(layer, _JOINING):
        return _move_joining(graph, call, inner.shape)
    if isinstance(layer, (_keras.GlobalMaxPooling1D, _keras.GlobalAveragePooling1D)):
        if len(inner.shape) != 4 or layer.keepdims or layer.data_format != "channels_last":
            return False
        call.layer = graph.own(_GLOBAL[type(layer)](name=call.name))
        graph.replace(value, inner, users=[call])
        return True
    lifted = _lift(layer, inner.shape, len(value.shape))
    if lifted is None:
        return False
    made, shape = lifted
    if made is not layer:
        call.layer = graph.own(made)
    graph.replace(value, inner, users=[call])
    fold_back(graph, call, shape)
    return True


def _unfold(graph: LayerGraph, value: Value) -> Call | None:
    """The reshape from a map to fewer dimensions, channels still last, that makes a value; those move."""
    source = graph.producer(value)
    if source is None or not isinstance(source.layer, Unfold):
        return None
    shape = source.input.shape
    return source if len(shape) > len(value.shape) and shape[-1] == value.shape[-1] else None


def _move_joining(graph: LayerGraph, call: Call, shape: Shape) -> bool:
    if len({value.shape for value in call.inputs}) != 1 or not isinstance(call.arguments[0][0], (list, tuple)):
        return False
    for value in dict.fromkeys(call.inputs):
        graph.replace(value, reshape(graph, value, shape, before=call), users=[call])
    fold_back(graph, call, shape)
    return True


def _lift(layer: Any, shape: Shape, rank: int) -> tuple[Any, Shape] | None:
    """The layer that does on `shape` what `layer` does on the reshaped tensor of `rank`, and the shape it makes."""
    if isinstance(layer, _ELEMENTWISE):
        if isinstance(layer, _keras.Activation) and layer.activation is tf.keras.activations.softmax and rank < 2:
            return None
        return layer, shape
    if isinstance(layer, _keras.BatchNormalization):
        axes = [axis % rank for axis in (layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis])]
        if axes != [rank - 1]:
            return None
        config = {**layer.get_config(), "axis": [len(shape) - 1]}
        return make(type(layer), config, shape=shape, weights=layer.get_weights()), shape
    pooling = _POOLING.get(type(layer))
    if pooling is not None and len(shape) == 4 and layer.data_format == "channels_last":
        size, stride = (
            int(pair[0] if isinstance(pair, (tuple, list)) else pair) for pair in (layer.pool_size, layer.strides)
        )
        made = pooling((1, size), strides=(1, stride), padding=layer.padding, name=layer.name)
        return made, tuple(made.compute_output_shape(shape))
    return None
