"""A .tflite as objects of the schema, to be changed and written again (schema: tensorflow/lite/schema/schema.fbs)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from edgebnn.errors import ModelError
from edgebnn.inspection.graph import parse

IDENTIFIER = b"TFL3"
ALIGNMENT = 16


def unpack(model: bytes) -> Any:
    """The ModelT of a .tflite with one graph; ModelError when it is damaged or has more."""
    from ai_edge_litert import schema_py_generated as schema

    if len(parse(model).subgraphs) != 1:
        raise ModelError("expected a model of one graph, this one has control flow: bench it without twins and profile")
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


def pack(model: Any, operators: Sequence[Any], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """A .tflite of these operators of `model`, with the types, tensors and buffers they use; `model` stays as it is."""
    from ai_edge_litert import schema_py_generated as schema
    from flatbuffers import Builder

    graph = model.subgraphs[0]
    named = [*inputs, *outputs]
    for operator in operators:
        named += [int(i) for i in [*operator.inputs, *operator.outputs] if i >= 0]
    places = {index: place for place, index in enumerate(dict.fromkeys(named))}

    made = schema.ModelT()
    made.version, made.description = 3, "edgebnn"
    codes = {code: place for place, code in enumerate(dict.fromkeys(operator.opcodeIndex for operator in operators))}
    made.operatorCodes = [model.operatorCodes[code] for code in codes]
    made.buffers = [schema.BufferT()]
    main = schema.SubGraphT()
    main.name = "main"
    main.inputs = [places[i] for i in inputs]
    main.outputs = [places[i] for i in outputs]
    main.tensors = [_tensor(graph.tensors[index], model, made) for index in places]
    main.operators = [_operator(operator, places, codes) for operator in operators]
    made.subgraphs = [main]
    builder = Builder(1 << 16)
    builder.Finish(made.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def put_constant(model: Any, data: bytes) -> int:
    """Append a buffer to `model`: its index."""
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = data
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _tensor(tensor: Any, model: Any, made: Any) -> Any:
    moved = copy.copy(tensor)
    data = model.buffers[tensor.buffer].data
    moved.buffer = 0
    if data is not None and len(data):
        made.buffers.append(_aligned(bytes(data)))
        moved.buffer = len(made.buffers) - 1
    return moved


def _operator(operator: Any, places: dict[int, int], codes: dict[int, int]) -> Any:
    moved = copy.copy(operator)
    moved.opcodeIndex = codes[operator.opcodeIndex]
    moved.inputs = [places[int(i)] if i >= 0 else -1 for i in operator.inputs]
    moved.outputs = [places[int(i)] for i in operator.outputs]
    moved.intermediates = None
    return moved


def _aligned(octets: bytes) -> Any:
    """A BufferT whose bytes are aligned as the schema asks, which the generated class forgets."""
    from ai_edge_litert import schema_py_generated as schema

    class Aligned(schema.BufferT):  # type: ignore[misc]
        def Pack(self, builder: Any) -> int:
            builder.StartVector(1, len(octets), ALIGNMENT)
            head = builder.head - len(octets)
            builder.head = head
            builder.Bytes[head : head + len(octets)] = octets
            data = builder.EndVector()
            schema.BufferStart(builder)
            schema.BufferAddData(builder, data)
            return int(schema.BufferEnd(builder))

    return Aligned()
