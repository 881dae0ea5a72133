"""Two interpreters, one .tflite: operator by operator on the reference's own inputs, then end to end.

A sign flips on a rounding tie, so long float chains can differ without a fault. Therefore each operator is judged
alone, and an end-to-end difference is accepted only where it comes from a sign input within TIE of zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgebnn import bits
from edgebnn.errors import ModelError, ParityError
from edgebnn.inspection.graph import Network, Operator, bitpacked_channels
from edgebnn_convert.difference import TIE, Array, Difference, compare, extent
from edgebnn_convert.interpreters import Engine, Runner
from edgebnn_convert.slices import computed_tensors, expose, slice_inputs, slice_operator


class Sample(NamedTuple):
    """Inputs of one run, in the order of the main graph's inputs."""

    name: str
    arrays: list[Array]


@dataclass
class Parity:
    """What the comparison of two implementations found; it raised if that was a fault."""

    operators: int = 0
    samples: int = 0
    worst_share: float = 0.0
    """largest float difference of an operator, of its output's range"""
    differing_share: float = 0.0
    """largest share of a sample's output elements outside of the tolerance, end to end"""
    ties: int = 0
    """sign inputs within TIE of zero that fell on different sides"""
    notes: list[str] = field(default_factory=list)


Values = dict[int, Array]


class Traced:
    """A model in one engine, with every computed tensor visible."""

    def __init__(self, engine: Engine, model: bytes, network: Network) -> None:
        """Load the model as it is, and with its inner tensors exposed."""
        self._network = network
        self._whole = engine.load(model, network)
        self._exposed = engine.load(expose(model, network), network)

    def outputs(self, sample: Sample) -> list[Array]:
        """The main graph's outputs."""
        return self._whole.run(sample.arrays)

    def values(self, sample: Sample) -> Values:
        """Every computed tensor, input and constant of the main graph by index."""
        graph = self._network.main
        values = {
            tensor.index: tensor.value() for tensor in graph.tensors if _plain_constant(tensor.data, tensor.dtype)
        }
        values |= dict(zip(graph.inputs, sample.arrays, strict=True))
        return values | dict(zip(computed_tensors(self._network), self._exposed.run(sample.arrays), strict=True))


def check_parity(model: bytes, network: Network, reference: Engine, other: Engine, samples: Sequence[Sample]) -> Parity:
    """Raise ParityError, naming the first operator that differs and by how much, unless both engines agree."""
    result = Parity(samples=len(samples))
    ours, theirs = Traced(reference, model, network), Traced(other, model, network)
    slices: dict[int, Runner] = {}
    names = (reference.name, other.name)
    for sample in samples:
        expected = ours.values(sample)
        rounded = _check_operators(
            model, network, expected, other, slices, result, f"{' and '.join(names)}, {sample.name}"
        )
        _check_outputs(network, sample, expected, ours.outputs(sample), theirs, rounded, names, result)
    result.operators = len(network.main.operators)
    return result


def describe(network: Network, operator: Operator) -> str:
    """LceBconv2d 12 (tensor name)."""
    name = network.main.tensors[operator.outputs[0]].name if operator.outputs else ""
    return f"{operator.name} {operator.index}" + (f" ({name})" if name else "")


def _check_operators(
    model: bytes,
    network: Network,
    expected: Values,
    engine: Engine,
    slices: dict[int, Runner],
    result: Parity,
    where: str,
) -> set[int]:
    """Each operator alone, fed the reference's inputs; returns outputs that are off by one step of an int8 rounding."""
    rounded = set()
    for operator in network.main.operators:
        if operator.index not in slices:
            try:
                slices[operator.index] = engine.load(slice_operator(model, network, operator), network)
            except ModelError as error:
                raise ParityError(f"{where}: {describe(network, operator)} does not run alone: {error}") from error
        outputs = slices[operator.index].run([expected[i] for i in slice_inputs(network, operator)])
        for index, output in zip(operator.outputs, outputs, strict=True):
            # Builtin int8 kernels differ in how they round; none of them is ours.
            steps = 1 if not operator.is_lce and network.main.tensors[index].scales else 0
            difference = compare(expected[index], output, steps=steps)
            if difference.differing:
                raise ParityError(
                    f"{where}: the first operator that differs is {describe(network, operator)}: {difference}"
                )
            if steps and difference.worst:
                rounded.add(index)
            result.worst_share = max(result.worst_share, difference.share)
    return rounded


def _check_outputs(
    network: Network,
    sample: Sample,
    expected: Values,
    reference: list[Array],
    theirs: Traced,
    rounded: set[int],
    names: tuple[str, str],
    result: Parity,
) -> None:
    outputs = theirs.outputs(sample)
    differences: dict[int, Difference] = {}
    for index, want, got in zip(network.main.outputs, reference, outputs, strict=True):
        if not np.array_equal(expected[index], want, equal_nan=want.dtype.kind == "f"):
            raise ParityError(f"{names[0]} gives other values when its inner tensors are watched: report this")
        differences[index] = compare(want, got)
    differing = sum(difference.differing for difference in differences.values())
    if not differing:
        return
    elements = sum(difference.elements for difference in differences.values())
    result.differing_share = max(result.differing_share, differing / elements)
    excused, ties = _trace(network, expected, theirs.values(sample), rounded)
    result.ties += ties
    for index, difference in differences.items():
        if difference.differing and index not in excused:
            raise ParityError(
                f"{' and '.join(names)}, {sample.name}: every operator agrees alone, but the output "
                f"{network.main.tensors[index].name!r} does not, and no sign input near zero explains it: {difference}"
            )


def _trace(network: Network, expected: Values, other: Values, rounded: set[int]) -> tuple[set[int], int]:
    """Tensors that may differ, being computed from a sign tie or an int8 rounding; and the number of ties."""
    excused, ties = set(rounded), 0
    channels = bitpacked_channels(network.main)
    for operator in network.main.operators:
        if excused.intersection(operator.inputs):
            excused.update(operator.outputs)
        elif operator.name == "LceQuantize" and operator.outputs[0] in channels:
            source, output = operator.inputs[0], operator.outputs[0]
            words: npt.NDArray[np.int32] = np.bitwise_xor(expected[output], other[output])
            flipped = bits.unpack(words, channels[output])
            if flipped.any() and (flipped <= near_zero(expected[source])).all():
                excused.add(output)
                ties += int(flipped.sum())
    return excused, ties


def near_zero(values: Array, *, share: float = TIE) -> Array:
    """Bool, where a float tensor lies within `share` of its range of zero; nowhere for other types."""
    if values.dtype.kind != "f":
        return np.zeros(values.shape, np.bool_)
    near: Array = np.abs(values) <= share * extent(values)
    return near


def _plain_constant(data: object, dtype: str) -> bool:
    return data is not None and dtype in ("float32", "int32", "int8", "uint8", "int64", "bool", "float16", "int16")
