"""Keras against a converted graph, layer by layer, each layer fed what the converted graph was fed.

While a Keras model runs, each layer's output is looked up among the converted graph's tensors (the one of the same
shape that agrees best). If they agree as floats do, Keras goes on with the converted graph's value, so that rounding
does not add up. Signs likewise: an element may differ only if it is a tie, and then Keras goes on with the converted
graph's sign. A layer that was fused into the next one has no tensor of its own and is judged with that one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgebnn import bits
from edgebnn.errors import ParityError
from edgebnn.inspection.graph import Network, Tensor, bitpacked_channels
from edgebnn_convert.difference import FLOAT_TOLERANCE, TIE, Array, Difference, extent
from edgebnn_convert.parity import Values, describe, near_zero

SAME_PLACE = 0.75  # least share of equal bits for a tensor to be taken for a quantizer's
_GLANCE = 997  # elements that rule most tensors out

Quantizer = Callable[[Any], Any]


@dataclass(frozen=True)
class Tolerance:
    """Shares of a tensor's range."""

    value: float = FLOAT_TOLERANCE
    tie: float = TIE


# With int8 tensors the converter rounds weights and activations that Keras keeps in float.
INT8 = Tolerance(value=0.05, tie=0.02)
INT8_STEPS = 2


@dataclass
class Forcing:
    """The comparison during one run of a Keras model.

    It raises nothing, since Keras would wrap that in a report of its own: `check` raises when the run is over.
    """

    network: Network
    values: Values
    where: str
    tolerance: Tolerance
    matched: set[int] = field(default_factory=set)
    worst_share: float = 0.0
    ties: int = 0
    fault: str = ""
    oddities: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Unpack the converted graph's bits."""
        graph = self.network.main
        self._producers = graph.producers()
        channels = bitpacked_channels(graph)
        self._bits = {index: bits.unpack(self.values[index], count) for index, count in channels.items()}
        self._reals: dict[int, Array] = {}
        for index in self._producers:
            value = real_value(self.values[index], graph.tensors[index])
            if value.dtype == np.float32:
                self._reals[index] = value
        self._rounding = {index: self._own_rounding(index) for index in self._reals}

    def value(self, layer: str, output: Any) -> Any:
        """What the converted graph has for a layer's output, `output` itself where it has nothing like it."""
        if self.fault or getattr(output, "dtype", None) != "float32" or not output.shape.rank:
            return output
        y = output.numpy()
        found = self._same_value(y)
        if found is None:
            return output
        index, difference = found
        self.matched.add(index)
        self.worst_share = max(self.worst_share, difference.share)
        return _like(self._reals[index].reshape(y.shape), output)

    def sign(self, layer: str, quantizer: Quantizer, inputs: Any) -> Any:
        """What `quantizer(inputs)` gives, with the converted graph's sign where `inputs` is a tie."""
        quantized = quantizer(inputs)
        if self.fault:
            return quantized
        x, q = inputs.numpy(), quantized.numpy()
        found = self._same_place(q)
        if np.unique(np.abs(q)).size != 1:
            place = "" if found is None else f"; the converted graph has the sign of {self._name(found)} there"
            self.oddities.append(
                f"the layer {layer!r} quantizes to {np.unique(q).size} values ({_listed(q)}), LCE knows two{place}"
            )
            return quantized
        if found is None:
            self.oddities.append(f"no sign of the converted graph agrees with the input of the layer {layer!r}")
            return quantized
        flipped = self._bits[found].reshape(q.shape) != (q < 0)
        wrong = flipped & ~near_zero(x, share=self.tolerance.tie)
        if wrong.any():
            self.fault = (
                f"at the input of the layer {layer!r}, {self._name(found)}, {int(wrong.sum())} of {wrong.size} signs "
                f"differ, of inputs up to {np.abs(x[wrong]).max():.4g} from zero"
            )
            return quantized
        self.matched.add(found)
        self.ties += int(flipped.sum())
        return _like(np.where(flipped, -q, q), quantized) if flipped.any() else quantized

    def check(self, differences: Mapping[str, Difference]) -> None:
        """Raise ParityError if a sign or one of the model's outputs differs."""
        differing = [name for name, difference in differences.items() if difference.differing]
        if not self.fault and not differing:
            return
        found = self.fault or f"the output {differing[0]!r} differs, {differences[differing[0]]}"
        odd = f" ({self.oddities[0]})" if self.oddities else ""
        raise ParityError(f"{self.where}: {self._culprit()}{found}{odd}")

    def _culprit(self) -> str:
        """The first operator after which nothing of the converted graph agrees with Keras."""
        agreeing = set(self.matched)
        for operator in reversed(self.network.main.operators):
            if agreeing.intersection(operator.outputs):
                agreeing.update(operator.inputs)
        for operator in self.network.main.operators:
            if not agreeing.intersection(operator.outputs):
                return f"the first operator that differs is {describe(self.network, operator)}; "
        return ""

    def _same_place(self, q: Array) -> int | None:
        """The bitpacked tensor that agrees best with the signs of `q`."""
        shares = {
            index: float((b.reshape(q.shape) == (q < 0)).mean()) for index, b in self._bits.items() if _same_shape(b, q)
        }
        best = max(shares, key=lambda index: shares[index], default=None)
        return best if best is not None and shares[best] >= SAME_PLACE else None

    def _same_value(self, y: Array) -> tuple[int, Difference] | None:
        """The float tensor that agrees best with `y`, None when none does."""
        span, step = extent(y), max(1, y.size // _GLANCE)
        best: tuple[int, Difference] | None = None
        for index, rounding in self._rounding.items():
            value = self._reals[index]
            if not _same_shape(value, y):
                continue
            value = value.reshape(y.shape)
            allowed = np.broadcast_to(self.tolerance.value * span + rounding, y.shape)
            with np.errstate(invalid="ignore"):
                glance = np.abs(value.ravel()[::step] - y.ravel()[::step]) <= allowed.ravel()[::step]
                if not glance.all():
                    continue
                distance = np.abs(value.astype(np.float64) - y)
            if (distance <= allowed).all():
                worst = float(distance.max(initial=0))
                if best is None or worst < best[1].worst:
                    best = index, Difference(y.size, 0, worst, worst / span if span else 0.0)
        return best

    def _own_rounding(self, index: int) -> Array:
        """By channel, the rounding that is the converted graph's own: the steps of int8; that of a fused LceBconv2d.

        LceBconv2d computes popcount * (-2 * multiplier) + (bias + K * multiplier) in float32; the K products cancel
        only here. A batch normalization that blows up a channel which hardly varies costs digits that Keras keeps.
        """
        operator = self._producers[index]
        tensors = self.network.main.tensors
        for tensor in (tensors[index], tensors[operator.inputs[0]] if operator.name == "DEQUANTIZE" else None):
            if tensor is not None and tensor.scales:
                return np.array([INT8_STEPS * tensor.scales[0]])
        if operator.name != "LceBconv2d" or not {*operator.inputs[1:4]} <= self.values.keys():
            return np.zeros(1, np.float64)
        filters, multiplier, bias = (self.values[i] for i in operator.inputs[1:4])
        summed = 32 * filters.size // filters.shape[0]
        eps = float(np.finfo(np.float32).eps)
        rounding: Array = eps * (1.5 * summed * np.abs(multiplier, dtype=np.float64) + np.abs(bias))
        return rounding

    def _name(self, index: int) -> str:
        return describe(self.network, self._producers[index])


@contextlib.contextmanager
def forced(model: Any, forcing: Forcing) -> Iterator[None]:
    """While it lasts, layers and activation quantizers of a Keras model go through `forcing`; run it eagerly."""
    import larq
    import tensorflow as tf

    is_quantizer = larq.quantizers.Quantizer
    layers = [layer for layer in model.submodules if isinstance(layer, tf.keras.layers.Layer)]
    undo: list[Callable[[], None]] = []
    owned: set[int] = set()  # quantizers that belong to a layer
    for layer in layers:
        for attribute in ("input_quantizer", "activation"):
            quantizer = getattr(layer, attribute, None)
            if quantizer is not None and (attribute == "input_quantizer" or isinstance(quantizer, is_quantizer)):
                owned.add(id(quantizer))
                undo.append(_restore(layer, attribute, quantizer))
                setattr(layer, attribute, _through_sign(forcing, layer.name, quantizer))
        for attribute in ("kernel_quantizer", "depthwise_quantizer", "pointwise_quantizer"):
            owned.add(id(getattr(layer, attribute, None)))
    for layer in layers:
        if id(layer) in owned or isinstance(layer, tf.keras.Model):
            continue
        through = _through_sign if isinstance(layer, is_quantizer) else _through_value
        undo.append(_restore(layer, "call", layer.call))
        layer.call = through(forcing, layer.name, layer.call)
    try:
        yield
    finally:
        for restore in undo:
            restore()


def _through_sign(forcing: Forcing, name: str, quantizer: Quantizer) -> Quantizer:
    return lambda inputs: forcing.sign(name, quantizer, inputs)


def _through_value(forcing: Forcing, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def forced_call(*arguments: Any, **options: Any) -> Any:
        return forcing.value(name, call(*arguments, **options))

    return forced_call


def _restore(layer: Any, attribute: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(layer, attribute, value)


def _like(array: Array, tensor: Any) -> Any:
    """`array` as a TensorFlow tensor of `tensor`'s type."""
    import tensorflow as tf

    return tf.constant(array, dtype=tensor.dtype)


def real_value(value: Array, tensor: Tensor) -> Array:
    """Integers with a scale as the float32 they stand for; other values as they are."""
    if not tensor.scales or value.dtype.kind == "f":
        return value
    zero_point = np.float32(tensor.zero_points[0] if tensor.zero_points else 0)
    real: Array = (value.astype(np.float32) - zero_point) * np.float32(tensor.scales[0])
    return real


def _same_shape(a: Array, b: Array) -> bool:
    """Whether the shapes are equal but for dimensions of 1."""
    return a.size == b.size and [n for n in a.shape if n != 1] == [n for n in b.shape if n != 1]


def _listed(q: Array) -> str:
    values = np.unique(q)
    return ", ".join(f"{value:.4g}" for value in values[:4]) + (", ..." if values.size > 4 else "")
