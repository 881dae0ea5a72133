"""What each operator costs: multiply-accumulates, and bytes of constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgebnn import bits
from edgebnn.inspection.graph import Network, Operator, Subgraph, Tensor, bitpacked_channels
from edgebnn.inspection.operators import ITEM_BYTES

FLOAT_BYTES = 4

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Port:
    """A tensor as an operator sees it: logical shape (channels, not words) and bits an element."""

    name: str
    shape: tuple[int, ...]
    bits: int


@dataclass(frozen=True)
class Work:
    """Cost of one operator. `macs` counts one multiply-accumulate a weight and output; `binary` ones are xnor-popcount.

    `weight_bytes` is what its constants take, `float_bytes` what they would take as float32.
    """

    macs: int
    binary: bool
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    weight_bits: int | None
    weight_bytes: int
    float_bytes: int


def count_work(network: Network) -> list[Work]:
    """The cost of each operator of the main graph, in its order."""
    graph = network.main
    channels, packed = bitpacked_channels(graph), packed_filters(graph)
    return [_work(graph, operator, channels, packed) for operator in graph.operators]


def constant_bytes(network: Network) -> tuple[int, int]:
    """(bytes of all constants, bytes as float32), a buffer that several tensors share counted once."""
    sizes: dict[int, tuple[int, int]] = {}
    for graph in network.subgraphs:
        packed = packed_filters(graph)
        for tensor in graph.tensors:
            if tensor.data is not None:
                size = len(tensor.data), _float_bytes(tensor, packed)
                sizes[tensor.buffer] = max(size, sizes.get(tensor.buffer, (0, 0)))
    return sum(size for size, _ in sizes.values()), sum(size for _, size in sizes.values())


def element_bits(tensor: Tensor) -> int:
    """Bits of an element as stored, 0 for types without a fixed size."""
    return {"int4": 4, "uint4": 4, "int2": 2}.get(tensor.dtype, 8 * ITEM_BYTES.get(tensor.dtype, 0))


def _work(graph: Subgraph, operator: Operator, channels: dict[int, int], packed: dict[int, int]) -> Work:
    tensors = graph.tensors
    used = [tensors[i] for i in dict.fromkeys(operator.inputs) if i >= 0]
    constants = [tensor for tensor in used if tensor.data is not None]
    filters = tensors[operator.inputs[1]] if len(operator.inputs) > 1 and operator.inputs[1] >= 0 else None
    weight_bits = None
    if filters is not None and filters.data is not None and operator.name in _MACS:
        weight_bits = 1 if filters.index in packed else element_bits(filters)
    return Work(
        macs=_macs(graph, operator, packed),
        binary=operator.name == "LceBconv2d",
        inputs=tuple(_port(tensor, channels) for tensor in used if tensor.data is None),
        outputs=tuple(_port(tensors[i], channels) for i in operator.outputs),
        weight_bits=weight_bits,
        weight_bytes=sum(len(tensor.data or b"") for tensor in constants),
        float_bytes=sum(_float_bytes(tensor, packed) for tensor in constants),
    )


def _port(tensor: Tensor, channels: dict[int, int]) -> Port:
    if tensor.index in channels:
        return Port(tensor.name, (*tensor.shape[:-1], channels[tensor.index]), 1)
    return Port(tensor.name, tensor.shape, element_bits(tensor))


def packed_filters(graph: Subgraph) -> dict[int, int]:
    """Index of each bitpacked filter, with the input channels that one of its outputs sums over."""
    packed = {}
    for operator in graph.operators:
        if operator.name != "LceBconv2d" or len(operator.inputs) < 2 or operator.inputs[1] < 0:
            continue
        filters = graph.tensors[operator.inputs[1]]
        if filters.dtype == "int32" and len(filters.shape) == 4:
            total, words = operator.options.get("channels_in", 0), filters.shape[3]
            groups = max(1, bits.words(max(0, total)) // words) if words else 1
            packed[filters.index] = max(0, total) // groups
    return packed


def _float_bytes(tensor: Tensor, packed: dict[int, int]) -> int:
    if tensor.index in packed:
        return FLOAT_BYTES * math.prod(tensor.shape[:3]) * packed[tensor.index]
    if tensor.dtype in ("int64", "bool", "string") or tensor.data is None:
        return len(tensor.data or b"")
    return FLOAT_BYTES * tensor.elements


def _macs(graph: Subgraph, operator: Operator, packed: dict[int, int]) -> int:
    form = _MACS.get(operator.name)
    if form is None or len(operator.inputs) <= max(form.source, form.weights) or not operator.outputs:
        return 0
    if min(operator.inputs[form.source], operator.inputs[form.weights]) < 0:
        return 0
    source, weights = graph.tensors[operator.inputs[form.source]], graph.tensors[operator.inputs[form.weights]]
    output = graph.tensors[operator.outputs[0]]
    if len(weights.shape) != form.rank or not source.shape or not output.shape:
        return 0
    shape = weights.shape if weights.index not in packed else (*weights.shape[:3], packed[weights.index])
    return form.macs(source.shape, shape, output.shape)


@dataclass(frozen=True)
class _Form:
    """Positions of data and weights among an operator's inputs, the weights' rank, and MACs of the three shapes."""

    source: int
    weights: int
    rank: int
    macs: Callable[[Shape, Shape, Shape], int]


def _each_output_pixel(source: Shape, weights: Shape, output: Shape) -> int:
    return math.prod(output[:-1]) * math.prod(weights)


_MACS = {
    "LceBconv2d": _Form(0, 1, 4, _each_output_pixel),
    "CONV_2D": _Form(0, 1, 4, _each_output_pixel),
    "CONV_3D": _Form(0, 1, 5, _each_output_pixel),
    "DEPTHWISE_CONV_2D": _Form(0, 1, 4, lambda source, weights, output: math.prod(output) * weights[1] * weights[2]),
    "TRANSPOSE_CONV": _Form(2, 1, 4, lambda source, weights, output: math.prod(source[:-1]) * math.prod(weights)),
    "FULLY_CONNECTED": _Form(0, 1, 2, lambda source, weights, output: math.prod(output) * weights[1]),
}

DATA_INPUT = {name: form.source for name, form in _MACS.items()}  # which input is multiplied by weights, input 1
