"""A .tflite as plain Python objects, every index checked (schema: tensorflow/lite/schema/schema.fbs)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgebnn.errors import ModelError
from edgebnn.inspection.flatbuffer import Table, root
from edgebnn.inspection.operators import ITEM_BYTES, operator_name, type_name
from edgebnn.inspection.options import parse_options

LCE_PREFIX = "Lce"
MAX_ELEMENTS = 1 << 40


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor; `data` is its constant value (little-endian), None when it is computed."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    data: memoryview | None = field(repr=False)
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    buffer: int
    dynamic: bool  # shape_signature has a -1

    @property
    def elements(self) -> int:
        """Product of the shape."""
        return math.prod(self.shape)

    def value(self) -> npt.NDArray[np.generic]:
        """The constant as an array of `shape`."""
        if self.data is None or self.dtype not in ITEM_BYTES:
            raise ModelError(f"tensor {self.name!r} is no constant array")
        return np.frombuffer(self.data, np.dtype(self.dtype).newbyteorder("<")).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class Operator:
    """An operator; `inputs` has -1 for an optional input that is left out."""

    index: int
    name: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    custom_options: bytes = field(repr=False)
    builtin_options: Table | None = field(repr=False)
    at: int = field(repr=False)  # byte position of its table

    @cached_property
    def options(self) -> dict[str, int]:
        """The custom options of an LCE operator, {} for others."""
        return parse_options(self.custom_options) if self.is_lce else {}

    @property
    def is_lce(self) -> bool:
        """Whether it is one of Larq Compute Engine's operators."""
        return self.custom and self.name.startswith(LCE_PREFIX)


@dataclass(frozen=True, eq=False)
class Subgraph:
    """One graph; operators stand in execution order."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: Table = field(repr=False)

    def producers(self) -> dict[int, Operator]:
        """Tensor index to the operator that computes it."""
        return {output: operator for operator in self.operators for output in operator.outputs}


@dataclass(frozen=True, eq=False)
class Signature:
    """A named entry: its input and output names with tensor indices, in the file's order."""

    key: str
    inputs: dict[str, int]
    outputs: dict[str, int]
    subgraph: int


@dataclass(frozen=True, eq=False)
class Network:
    """All of a .tflite; `main` is what an interpreter runs."""

    size_bytes: int
    subgraphs: tuple[Subgraph, ...]
    signatures: tuple[Signature, ...]
    metadata: tuple[str, ...]

    @property
    def main(self) -> Subgraph:
        """The first subgraph."""
        return self.subgraphs[0]

    def entries(self) -> tuple[dict[str, int], dict[str, int]]:
        """Input and output names of the main graph with their tensors: the signature's, else the tensors' own."""
        for signature in self.signatures:
            if signature.subgraph == 0:
                return signature.inputs, signature.outputs
        tensors = self.main.tensors
        return {tensors[i].name: i for i in self.main.inputs}, {tensors[i].name: i for i in self.main.outputs}


def parse(model: bytes) -> Network:
    """Read a .tflite; ModelError when it is damaged, truncated or something else."""
    top = root(model)
    codes = [operator_name(max(code.integer(0, form="<b"), code.integer(3)), code.text(1)) for code in top.tables(1)]
    custom = [max(code.integer(0, form="<b"), code.integer(3)) == 32 for code in top.tables(1)]
    buffers = [buffer.view(0) for buffer in top.tables(4)]
    subgraphs = tuple(_subgraph(table, buffers, list(zip(codes, custom, strict=True))) for table in top.tables(2))
    if not subgraphs:
        raise ModelError("the model file is damaged: it has no graph; convert the model again")
    signatures = tuple(_signature(table, subgraphs) for table in top.tables(7))
    metadata = tuple(entry.text(0) for entry in top.tables(6))
    return Network(len(model), subgraphs, signatures, metadata)


def bitpacked_channels(graph: Subgraph) -> dict[int, int]:
    """Index of each computed bitpacked tensor of a graph, with the number of channels in its words."""
    channels: dict[int, int] = {}
    for operator in graph.operators:
        if not operator.is_lce or not operator.outputs or not operator.inputs:
            continue
        output, source = graph.tensors[operator.outputs[0]], graph.tensors[operator.inputs[0]]
        if output.dtype != "int32":
            continue
        if operator.name == "LceQuantize" and source.shape:
            channels[output.index] = source.shape[-1]
        elif operator.name == "LceBMaxPool2d":
            channels[output.index] = channels.get(source.index, 32 * source.shape[-1] if source.shape else 0)
        elif operator.name == "LceBconv2d" and len(operator.inputs) > 1:
            shape = graph.tensors[operator.inputs[1]].shape
            channels[output.index] = shape[0] if shape else 0
    return channels


def _subgraph(table: Table, buffers: list[memoryview | None], codes: list[tuple[str, bool]]) -> Subgraph:
    tensors = tuple(_tensor(i, entry, buffers) for i, entry in enumerate(table.tables(0)))

    def indices(source: Table, number: int, what: str, least: int) -> tuple[int, ...]:
        values = tuple(int(i) for i in source.numbers(number, "<i4"))
        if any(not least <= value < len(tensors) for value in values):
            raise ModelError(f"the model file is damaged: {what} name a tensor that does not exist; copy it again")
        return values

    operators = []
    for i, entry in enumerate(table.tables(3)):
        code = entry.integer(0, form="<I")
        if code >= len(codes):
            raise ModelError(f"the model file is damaged: operator {i} has no type; copy it again")
        name, custom = codes[code]
        operators.append(
            Operator(
                index=i,
                name=name,
                custom=custom,
                inputs=indices(entry, 1, f"the inputs of operator {i} ({name})", -1),
                outputs=indices(entry, 2, f"the outputs of operator {i} ({name})", 0),
                custom_options=entry.raw(5) or b"",
                builtin_options=entry.table(4),
                at=entry.at,
            )
        )
    return Subgraph(
        name=table.text(4),
        tensors=tensors,
        operators=tuple(operators),
        inputs=indices(table, 1, "the graph's inputs", 0),
        outputs=indices(table, 2, "the graph's outputs", 0),
        table=table,
    )


def _tensor(index: int, table: Table, buffers: list[memoryview | None]) -> Tensor:
    name, dtype = table.text(3), type_name(table.integer(1, form="<b"))
    shape = tuple(int(size) for size in table.numbers(0, "<i4"))
    if any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS:
        raise ModelError(f"the model file is damaged: tensor {index} has the shape {shape}; copy it again")
    buffer = table.integer(2, form="<I")
    if buffer >= len(buffers):
        raise ModelError(f"the model file is damaged: tensor {index} has no buffer; copy it again")
    data = buffers[buffer] or None
    expected = math.prod(shape) * ITEM_BYTES.get(dtype, 0)
    if data is not None and dtype in ITEM_BYTES and table.position(6) is None and len(data) != expected:
        raise ModelError(
            f"the model file is damaged: tensor {index} needs {expected} bytes and has {len(data)}; copy it again"
        )
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    quantization = table.table(4)
    if quantization is not None:
        scales = tuple(float(scale) for scale in quantization.numbers(2, "<f4"))
        zero_points = tuple(int(point) for point in quantization.numbers(3, "<i8"))
    return Tensor(
        index=index,
        name=name,
        shape=shape,
        dtype=dtype,
        data=data,
        scales=scales,
        zero_points=zero_points,
        buffer=buffer,
        dynamic=bool((table.numbers(7, "<i4") == -1).any()),
    )


def _signature(table: Table, subgraphs: tuple[Subgraph, ...]) -> Signature:
    key, number = table.text(2), table.integer(4, form="<I")
    if number >= len(subgraphs):
        raise ModelError(f"the model file is damaged: signature {key!r} has no graph; copy it again")

    def names(field_number: int) -> dict[str, int]:
        entries = {entry.text(0): entry.integer(1, form="<I") for entry in table.tables(field_number)}
        if any(index >= len(subgraphs[number].tensors) for index in entries.values()):
            raise ModelError(f"the model file is damaged: signature {key!r} names a missing tensor; copy it again")
        return entries

    return Signature(key, names(0), names(1), number)
