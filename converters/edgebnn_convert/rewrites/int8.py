"""int8 for what is not binary, after training.

Given   A model of float32 values, and samples that show how its values are distributed.
Result  The same with fake quantizations to 256 levels, 0 one of them, in front of and behind its float layers with
        weights, and behind whatever computes from int8 alone; but where LCE and TFLite keep no tensor (between a
        convolution, its batch normalization and its ReLU), and behind poolings and reshapes, which keep the levels.
        What adds up in residual branches of binary convolutions stays float: rounded too, it costs half a point of AP50
        more (docs/converting.md), and the delegate adds it while it convolves.
Why     LCE 0.16 makes int8 operators of what it finds between fake quantizations, and quantizes the weights itself, per
        channel; it does neither by any other option (larq/compute-engine#344, #679).

The range of a value is the one with the least squared error on the samples: levels spent on rare outliers are missing
near 0, where the signs are decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from edgebnn.errors import ModelError
from edgebnn_convert.difference import Array
from edgebnn_convert.rewrites.graph import Call, LayerGraph, Value, clone, iterate
from edgebnn_convert.rewrites.signs import is_binary, seen_as_sign, takes_sign

_keras = tf.keras.layers
_LINEAR = (_keras.Conv1D, _keras.Conv2D, _keras.DepthwiseConv2D, _keras.Dense)
_LEVELS_GO_THROUGH = (
    _keras.MaxPooling1D,
    _keras.MaxPooling2D,
    _keras.AveragePooling2D,
    _keras.UpSampling2D,
    _keras.GlobalMaxPooling1D,
    _keras.GlobalMaxPooling2D,
    _keras.Reshape,
    _keras.Flatten,
    _keras.Permute,
    _keras.Cropping1D,
    _keras.Cropping2D,
    _keras.ZeroPadding1D,
    _keras.ZeroPadding2D,
)
_SOFT = (tf.keras.activations.softmax, tf.keras.activations.sigmoid, tf.nn.softmax, tf.nn.sigmoid)
ELEMENTS = 2048
"""Elements of a value that are kept of each sample."""
SOFT_RANGE = (0.0, 255 / 256)
"""The range that TFLite's int8 softmax and sigmoid have, whatever is asked of them."""


@dataclass(frozen=True, eq=False)
class Place:
    """A value that is rounded to 256 levels, for the calls in `users` or, if None, for all."""

    value: Value
    users: tuple[Call, ...] | None


Ranges = dict[Place, tuple[float, float]]


class FakeQuantization(tf.keras.layers.Layer):  # type: ignore[misc]
    """Values as int8 would hold them: 256 levels between `least` <= 0 and `greatest` >= 0."""

    def __init__(self, least: float, greatest: float, **options: Any) -> None:
        """The range, real values."""
        super().__init__(**options)
        self.least, self.greatest = float(least), float(greatest)

    def call(self, inputs: Any) -> Any:
        """The nearest levels."""
        return tf.quantization.fake_quant_with_min_max_args(inputs, self.least, self.greatest)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "least": self.least, "greatest": self.greatest}


def split_activations(graph: LayerGraph) -> LayerGraph:
    """A copy where layers with weights end without activation, but for those that TFLite fuses into them.

    What they give before a softmax is a tensor of its own, which needs levels of its own.
    """
    made = graph.copy()
    fused = (tf.keras.activations.linear, tf.keras.activations.relu, tf.nn.relu, tf.nn.relu6)
    for call in iterate(made, _LINEAR):
        layer = call.layer
        if is_binary(layer) or layer.activation in fused or made.is_shared(layer):
            continue
        old, inner = call.output, Value(call.output.shape, call.output.dtype)
        activation = Call(made.own(_keras.Activation(layer.activation)), ((inner,), {}), old, call.name)
        call.layer, call.results = made.own(clone(layer, shape=call.input.shape, activation="linear")), inner
        call.name = f"{call.name}_linear"
        made.calls.insert(made.calls.index(call) + 1, activation)
    return made


def measure_ranges(
    graph: LayerGraph,
    samples: Iterable[Mapping[str, Array]],
    *,
    sums: bool = False,
    choose: Callable[[Array], tuple[float, float]] | None = None,
) -> Ranges:
    """The range of each place, from samples of input arrays by name; `sums` as in `places`.

    `choose` gives the range of some values, `best_range` unless said. ModelError if a value is not finite, or there are
    no samples.
    """
    taken = places(graph, sums=sums)
    choose = choose or best_range
    draw = np.random.default_rng(0)
    seen: dict[Place, list[Array]] = {place: [] for place in taken}
    count = 0
    for count, sample in enumerate(samples, start=1):  # noqa: B007
        found = graph.run(sample)
        for place in taken:
            array = found[place.value].ravel()
            if not np.isfinite(array).all():
                raise ModelError("a calibration sample makes values that are not finite: check the samples' scaling")
            seen[place].append(draw.choice(array, ELEMENTS) if array.size > ELEMENTS else array)
    if not count:
        raise ModelError("int8 needs calibration samples, none were given")
    ranges: Ranges = {}
    for place in taken:
        call = graph.producer(place.value)
        soft = call is not None and _ends_softly(call.layer)
        ranges[place] = SOFT_RANGE if soft else choose(np.concatenate(seen[place]))
    return ranges


def best_range(values: Array) -> tuple[float, float]:
    """(least, greatest), 0 between or at them, whose 256 levels have the least squared distance to `values`."""
    least, greatest = min(0.0, float(values.min())), max(0.0, float(values.max()))
    if least == greatest:
        return 0.0, 1.0
    shares = np.linspace(0.05, 1, 39)
    x = values.astype(np.float64)

    def error(low: float, high: float) -> float:
        step = (high - low) / 255
        zero = np.round(low / step) if step > 0 else 0.0
        levels = np.clip(np.round(x / step), zero, zero + 255) * step if step > 0 else np.zeros_like(x)
        return float(((levels - x) ** 2).mean())

    low, high = least, greatest
    for _ in range(2):  # each side in turn
        low = min((share * least for share in shares), key=lambda end: error(end, high))
        high = min((share * greatest for share in shares), key=lambda end: error(low, end))
    return low, high


def places(graph: LayerGraph, *, sums: bool = False) -> list[Place]:
    """Where fake quantizations go, in the order in which the values are computed.

    With `sums` also behind binary convolutions and what adds them up, but for what only signs take.
    """
    found: list[Place] = []
    levels: set[Value] = set()  # values that are int8 once the places are taken
    fed: set[Call] = set()  # calls whose own copy of a float value is int8

    def feed(value: Value) -> None:
        users = tuple(call for call in graph.users(value) if _leads_to_weights(graph, call))
        if users and value.dtype == "float32":
            found.append(Place(value, users))
            fed.update(users)

    for value in graph.inputs.values():
        feed(value)
    for call in graph.calls:
        inputs = [value for value in call.inputs if value.dtype == "float32"]
        outputs = [value for value in call.outputs if value.dtype == "float32"]
        fused, binary = _is_fused(graph, call), _ends_binary(graph, call)
        if binary:
            follows = sums and not all(seen_as_sign(graph, value) for value in outputs)
        elif takes_sign(call):
            follows = False
        else:
            follows = call in fed or (bool(inputs) and levels.issuperset(inputs))
        if follows:
            levels.update(outputs)
            if not isinstance(call.layer, _LEVELS_GO_THROUGH) and not fused:
                found += [Place(value, None) for value in outputs]
        elif not (fused and binary):
            for value in outputs:
                feed(value)
    return found


def quantize(graph: LayerGraph, ranges: Ranges) -> LayerGraph:
    """A copy of the graph with fake quantizations of these ranges."""
    made = graph.copy()
    copies = dict(zip(graph.calls, made.calls, strict=True))
    for place, (least, greatest) in ranges.items():
        value = place.value
        source = made.producer(value)
        name = source.name if source is not None else next(n for n, v in made.inputs.items() if v is value)
        users = None if place.users is None else [copies[call] for call in place.users]
        made.follow(FakeQuantization(least, greatest), value, name=f"{name}_int8", users=users)
    return made


def _leads_to_weights(graph: LayerGraph, call: Call) -> bool:
    """Whether a call is a float layer with weights, or a pooling or reshape in front of nothing but one."""
    if isinstance(call.layer, _LINEAR):
        return not is_binary(call.layer)
    user = graph.only_user(call.output) if isinstance(call.layer, _LEVELS_GO_THROUGH) else None
    return user is not None and _leads_to_weights(graph, user)


def _is_fused(graph: LayerGraph, call: Call) -> bool:
    """Whether what a call computes never becomes a tensor: the next operator is one with it."""
    user = graph.only_user(call.output)
    if user is None or len(call.outputs) != 1:
        return False
    layer, binary = call.layer, _ends_binary(graph, call)
    linear = isinstance(layer, _LINEAR) and (binary or layer.activation is tf.keras.activations.linear)
    if isinstance(user.layer, _keras.BatchNormalization):
        return linear
    normalized = isinstance(layer, _keras.BatchNormalization) and _behind_linear(graph, call)
    return _is_relu(user.layer) and not binary and (linear or normalized or isinstance(layer, _keras.Add))


def _ends_binary(graph: LayerGraph, call: Call) -> bool:
    """Whether a call is a binary convolution, or the batch normalization fused into one."""
    if isinstance(call.layer, _keras.BatchNormalization):
        source = graph.producer(call.input)
        return source is not None and graph.only_user(call.input) is call and is_binary(source.layer)
    return is_binary(call.layer)


def _behind_linear(graph: LayerGraph, call: Call) -> bool:
    source = graph.producer(call.input)
    return source is not None and isinstance(source.layer, _LINEAR) and graph.only_user(call.input) is call


def _is_relu(layer: Any) -> bool:
    if isinstance(layer, _keras.ReLU):
        return not float(layer.negative_slope) and not float(layer.threshold) and layer.max_value in (None, 6, 6.0)
    relus = (tf.keras.activations.relu, tf.nn.relu, tf.nn.relu6)
    return isinstance(layer, _keras.Activation) and layer.activation in relus


def _ends_softly(layer: Any) -> bool:
    return isinstance(layer, _keras.Softmax) or getattr(layer, "activation", None) in _SOFT
