"""A Keras model as a list of layer calls between values, nested models unfolded: what the rewrites change.

Reading a model and building it again is the identity: layers, their weights and whatever they share are the same
objects, so nothing can be lost on the way. A rewrite makes new layers and leaves the old ones as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from edgebnn.errors import ModelError
from edgebnn_convert.difference import Array

Shape = tuple[int | None, ...]


@dataclass(eq=False)
class Value:
    """A tensor between layers, of `shape` with the batch in front.

    `same_as` is another value of the same elements in another shape, None where there is none.
    """

    shape: Shape
    dtype: str
    same_as: Value | None = None


@dataclass(eq=False)
class Call:
    """One call of a layer: `arguments` is (args, kwargs), `results` what it returns; both hold Values as leaves."""

    layer: Any
    arguments: Any
    results: Any
    name: str

    @property
    def inputs(self) -> list[Value]:
        """The values among the arguments, in their order."""
        return [x for x in tf.nest.flatten(self.arguments) if isinstance(x, Value)]

    @property
    def outputs(self) -> list[Value]:
        """The values of the results."""
        return [x for x in tf.nest.flatten(self.results) if isinstance(x, Value)]

    @property
    def input(self) -> Value:
        """The first, often only, input."""
        return self.inputs[0]

    @property
    def output(self) -> Value:
        """The first, often only, output."""
        return self.outputs[0]


@dataclass(eq=False)
class LayerGraph:
    """`calls` stand in an order in which they can be computed."""

    calls: list[Call]
    inputs: dict[str, Value]
    outputs: Any
    output_names: list[str]
    name: str
    _made: set[int] = field(default_factory=set)  # layers that belong to this graph alone
    _kept: list[Any] = field(default_factory=list)  # keeps their ids unique

    def copy(self) -> LayerGraph:
        """The same layers and values; changing the copy's calls leaves this one alone."""
        calls = [Call(call.layer, call.arguments, call.results, call.name) for call in self.calls]
        return LayerGraph(calls, dict(self.inputs), self.outputs, self.output_names, self.name)

    # What is there

    def producer(self, value: Value) -> Call | None:
        """The call that computes a value, None for the graph's inputs."""
        return next((call for call in self.calls if value in call.outputs), None)

    def users(self, value: Value) -> list[Call]:
        """The calls that take a value, each once."""
        return [call for call in self.calls if value in call.inputs]

    def is_output(self, value: Value) -> bool:
        """Whether a value is among the graph's outputs."""
        return any(value is output for output in tf.nest.flatten(self.outputs))

    def only_user(self, value: Value) -> Call | None:
        """The one call that takes a value, None when it has several, or leaves the graph."""
        users = self.users(value)
        return users[0] if len(users) == 1 and not self.is_output(value) else None

    def is_shared(self, layer: Any) -> bool:
        """Whether a layer is called more than once."""
        return sum(call.layer is layer for call in self.calls) > 1

    # Changing it

    def own(self, layer: Any) -> Any:
        """Say that `layer` was made for this graph, which may rename it."""
        self._made.add(id(layer))
        self._kept.append(layer)
        return layer

    def insert(self, layer: Any, value: Value, *, name: str, before: Call, shape: Shape | None = None) -> Value:
        """Call `layer` on `value` in front of the call `before`: the new value, of `value`'s shape unless said."""
        result = Value(value.shape if shape is None else shape, "float32")
        self.calls.insert(self.calls.index(before), Call(self.own(layer), ((value,), {}), result, name))
        return result

    def follow(self, layer: Any, value: Value, *, name: str, users: Sequence[Call] | None = None) -> None:
        """Call `layer` on `value`; `users`, or all and the graph's outputs too, take the result instead."""
        result = Value(value.shape, value.dtype)
        self.replace(value, result, users=users)
        source = self.producer(value)
        at = 0 if source is None else self.calls.index(source) + 1
        self.calls.insert(at, Call(self.own(layer), ((value,), {}), result, name))

    def replace(self, old: Value, new: Value, *, users: Sequence[Call] | None = None) -> None:
        """Let the calls in `users`, or all and the graph's outputs too, take `new` instead of `old`."""
        for call in self.calls if users is None else users:
            call.arguments = _swap(call.arguments, old, new)
        if users is None:
            self.outputs = _swap(self.outputs, old, new)

    def prune(self) -> None:
        """Drop calls whose results nobody takes."""
        needed = {id(value) for value in tf.nest.flatten(self.outputs)}
        kept = []
        for call in reversed(self.calls):
            if any(id(value) in needed for value in call.outputs):
                kept.append(call)
                needed.update(id(value) for value in call.inputs)
        self.calls = kept[::-1]

    # Running it

    def run(self, arrays: Mapping[str, Array], watch: Callable[[Value, Array], Array] | None = None) -> dict[Any, Any]:
        """All values for input arrays by name; `watch` sees each result and gives the array to go on with."""
        values: dict[Value, Any] = {value: tf.constant(arrays[name]) for name, value in self.inputs.items()}
        for call in self.calls:
            args, kwargs = tf.nest.map_structure(lambda x: values[x] if isinstance(x, Value) else x, call.arguments)
            if getattr(call.layer, "_expects_training_arg", False):
                kwargs = {**kwargs, "training": False}
            results = tf.nest.flatten(call.layer(*args, **kwargs))
            for value, result in zip(tf.nest.flatten(call.results), results, strict=True):
                if watch is not None and isinstance(value, Value):
                    result = tf.constant(watch(value, result.numpy()))
                values[value] = result
        return {value: result.numpy() for value, result in values.items() if hasattr(result, "numpy")}

    def build(self) -> Any:
        """The graph as a Keras model, with the names of inputs and outputs of the one that was read."""
        self._name_layers()
        tensors: dict[Value, Any] = {}
        for name, value in self.inputs.items():
            tensors[value] = tf.keras.Input(
                batch_size=value.shape[0], shape=value.shape[1:], dtype=value.dtype, name=name
            )
        for call in self.calls:
            args, kwargs = tf.nest.map_structure(lambda x: tensors[x] if isinstance(x, Value) else x, call.arguments)
            results = tf.nest.flatten(call.layer(*args, **kwargs))
            tensors.update(zip(tf.nest.flatten(call.results), results, strict=True))
        outputs = tf.nest.map_structure(lambda x: tensors[x], self.outputs)
        sources = [tensors[value] for value in self.inputs.values()]
        model = tf.keras.Model(sources[0] if len(sources) == 1 else sources, outputs, name=self.name)
        if model.output_names != self.output_names:
            raise ModelError(
                f"the rewritten model would name its outputs {', '.join(model.output_names)} instead of "
                f"{', '.join(self.output_names)}: give the output layers names of their own"
            )
        return model

    def _name_layers(self) -> None:
        """Give each layer a name of its own, those that make outputs the outputs' names."""
        self._end_outputs()
        taken = {*self.inputs}
        names: dict[int, str] = {}
        ends = {id(value): i for i, value in enumerate(tf.nest.flatten(self.outputs))}
        order = sorted(self.calls, key=lambda call: min((ends.get(id(v), len(ends)) for v in call.outputs), default=0))
        renamed: dict[int, Any] = {}
        for call in order:
            if id(call.layer) in names:
                call.layer = renamed[id(call.layer)]
                continue
            name, number = call.name, 1
            while name in taken:
                name, number = f"{call.name}_{number}", number + 1
            taken.add(name)
            layer = call.layer
            if layer.name != name:
                if id(layer) not in self._made:
                    shapes = [value.shape for value in call.inputs]
                    layer = self.own(clone(layer, shape=shapes[0] if len(shapes) == 1 else shapes, name=name))
                layer._name = name
            names[id(call.layer)], renamed[id(call.layer)] = name, layer
            self._kept.append(call.layer)
            call.layer = layer

    def _end_outputs(self) -> None:
        """Where a rewrite put another layer at an output, its call takes the output's name."""
        for value, name in zip(tf.nest.flatten(self.outputs), self.output_names, strict=True):
            call = self.producer(value)
            if call is None or call.name == name or id(call.layer) not in self._made:
                continue
            for other in self.calls:
                if other.name == name and id(other.layer) in self._made:
                    other.name = f"{name}_inner"
            call.name = name


def read(model: Any) -> LayerGraph | None:
    """The graph of a functional or sequential Keras model; None for others, which have no graph to read."""
    if not is_graph(model):
        return None
    values: dict[int, Value] = {}
    calls: list[Call] = []
    for source in model.inputs:
        values[id(source)] = Value(tuple(source.shape), source.dtype.name)
    _read_calls(model, values, calls)
    names = [source._keras_history.layer.name for source in model.inputs]
    inputs = {name: values[id(source)] for name, source in zip(names, model.inputs, strict=True)}
    nested = getattr(model, "_nested_outputs", None)
    outputs = tf.nest.map_structure(lambda x: values[id(x)], model.outputs if nested is None else nested)
    graph = LayerGraph(calls, inputs, outputs, list(model.output_names), model.name)
    graph._kept.append(model)
    return graph


def is_graph(model: Any) -> bool:
    """Whether a layer is a model that does nothing but call its layers, and whose calls are known."""
    if not isinstance(model, tf.keras.Model) or not getattr(model, "_is_graph_network", False):
        return False
    defining = next(base for base in type(model).__mro__ if "call" in vars(base))
    return defining.__module__.split(".")[0] in ("keras", "tf_keras")


def _read_calls(model: Any, values: dict[int, Value], calls: list[Call]) -> None:
    """Append the calls of a model whose inputs are in `values`, by the id of the Keras tensor."""

    def value_of(x: Any) -> Any:
        return values.get(id(x), x)

    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            arguments = tf.nest.map_structure(value_of, (tuple(node.call_args), dict(node.call_kwargs)))
            inner = node.layer
            if is_graph(inner):
                given = [x for x in tf.nest.flatten(arguments) if isinstance(x, Value)]
                results = _read_nested(inner, given, calls)
            else:
                results = [Value(tuple(x.shape), x.dtype.name) for x in tf.nest.flatten(node.outputs)]
                structure = tf.nest.pack_sequence_as(node.outputs, results)
                calls.append(Call(inner, arguments, structure, inner.name))
            values.update({id(x): value for x, value in zip(tf.nest.flatten(node.outputs), results, strict=True)})


def _read_nested(model: Any, given: Sequence[Value], calls: list[Call]) -> list[Value]:
    """Append a nested model's calls on the values `given`: its outputs."""
    values = {id(source): value for source, value in zip(model.inputs, given, strict=True)}
    _read_calls(model, values, calls)
    return [values[id(x)] for x in tf.nest.flatten(model.outputs)]


def make(kind: Any, config: Mapping[str, Any], *, shape: Any, weights: Sequence[Array] = ()) -> Any:
    """A built layer of a class, for inputs of `shape`, with these weights."""
    layer = kind.from_config(dict(config))
    layer.build(tf.TensorShape(shape) if not isinstance(shape, list) else [tf.TensorShape(one) for one in shape])
    if len(weights):
        layer.set_weights(list(weights))
    if hasattr(layer, "finalize_state"):  # Normalization keeps a second copy of its weights
        layer.finalize_state()
    return layer


def clone(layer: Any, *, shape: Any, **changes: Any) -> Any:
    """A new layer with the class, weights and configuration of `layer`, but for `changes` to the latter."""
    return make(type(layer), {**layer.get_config(), **changes}, shape=shape, weights=layer.get_weights())


def iterate(graph: LayerGraph, kinds: Any) -> Iterator[Call]:
    """The calls of layers of these classes; the graph may be changed meanwhile."""
    for call in list(graph.calls):
        if call in graph.calls and isinstance(call.layer, kinds):
            yield call


def _swap(structure: Any, old: Value, new: Value) -> Any:
    return tf.nest.map_structure(lambda x: new if x is old else x, structure)
