"""Writes a `Graph` as a .tflite file, and looks into files of others; the schema comes from a runtime's package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from flatbuffers import Builder, flexbuffers

try:
    from ai_edge_litert import schema_py_generated as schema
except ImportError:
    from tensorflow.lite.python import schema_py_generated as schema

from .graph import Graph, Op, Tensor

IDENTIFIER = b"TFL3"
ALIGNMENT = 16
TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "bits": schema.TensorType.INT32,
    "int32": schema.TensorType.INT32,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int16": schema.TensorType.INT16,
    "int64": schema.TensorType.INT64,
    "float16": schema.TensorType.FLOAT16,
    "bool": schema.TensorType.BOOL,
}
# Builtin op -> (its options table, the names of that table's fields by the names in `Op.options`).
_ACTIVATION = {"fused_activation_function": "fusedActivationFunction"}
_POOL = {
    "padding": "padding",
    "stride_width": "strideW",
    "stride_height": "strideH",
    "filter_width": "filterWidth",
    "filter_height": "filterHeight",
} | _ACTIVATION
_RESIZE = {"align_corners": "alignCorners", "half_pixel_centers": "halfPixelCenters"}
BUILTIN_OPTIONS: dict[str, tuple[str | None, dict[str, str]]] = {
    "ADD": ("AddOptions", _ACTIVATION),
    "SUB": ("SubOptions", _ACTIVATION),
    "MUL": ("MulOptions", _ACTIVATION),
    "DIV": ("DivOptions", _ACTIVATION),
    "RELU": (None, {}),
    "RELU6": (None, {}),
    "RELU_N1_TO_1": (None, {}),
    "PRELU": (None, {}),
    "LEAKY_RELU": ("LeakyReluOptions", {"alpha": "alpha"}),
    "RESHAPE": (None, {}),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "CONCATENATION": ("ConcatenationOptions", {"axis": "axis"} | _ACTIVATION),
    "PAD": ("PadOptions", {}),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", _RESIZE),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _RESIZE),
}


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A BufferT whose bytes are aligned as the TFLite schema asks, which the generated class forgets."""

    def Pack(self, builder: Builder) -> int:
        if self.data is None:
            return int(super().Pack(builder))
        octets = bytes(self.data)
        builder.StartVector(1, len(octets), self.alignment)
        head = builder.head - len(octets)
        builder.head = head
        builder.Bytes[head : head + len(octets)] = octets
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))

    alignment = ALIGNMENT


def custom_options(options: dict[str, Any]) -> bytes:
    """A flexbuffer map as LCE's converter writes it; b"" for an op without options."""
    return bytes(flexbuffers.Dumps(options)) if options else b""


def to_bytes(graph: Graph, *, alignment: int = ALIGNMENT) -> bytes:
    """The .tflite file of a graph: one subgraph, one signature `serving_default`, constants aligned to `alignment`."""
    model = schema.ModelT()
    model.version = 3
    model.description = "edgebnn test"
    model.buffers = [schema.BufferT()]
    model.operatorCodes = []
    subgraph = schema.SubGraphT()
    subgraph.name = "main"
    subgraph.tensors = [_tensor(tensor, model, alignment, graph) for tensor in graph.tensors]
    subgraph.inputs = [tensor.index for tensor in graph.inputs]
    subgraph.outputs = [tensor.index for tensor in graph.outputs]
    kinds: list[str] = []
    subgraph.operators = [_operator(op, kinds) for op in graph.ops]
    model.operatorCodes = [_operator_code(kind) for kind in kinds]
    model.subgraphs = [subgraph]
    model.signatureDefs = [_signature(graph)]
    return _packed(model)


def _tensor(tensor: Tensor, model: Any, alignment: int, graph: Graph) -> Any:
    packed = schema.TensorT()
    packed.name = tensor.name
    packed.shape = list(tensor.stored_shape)
    packed.type = TYPES[tensor.type]
    packed.hasRank = True
    if tensor.data is None:
        packed.buffer = 0
    elif tensor.shares is not None:
        packed.buffer = _buffer_index(graph, tensor.shares)
    else:
        buffer = _AlignedBuffer()
        buffer.alignment = alignment
        buffer.data = _little_endian(tensor.data)
        packed.buffer = len(model.buffers)
        model.buffers.append(buffer)
    if tensor.scale is not None:
        packed.quantization = schema.QuantizationParametersT()
        packed.quantization.scale = [tensor.scale]
        packed.quantization.zeroPoint = [tensor.zero_point]
    return packed


def _buffer_index(graph: Graph, index: int) -> int:
    owners = [tensor.index for tensor in graph.tensors if tensor.data is not None and tensor.shares is None]
    return 1 + owners.index(index)


def _little_endian(data: npt.NDArray[Any]) -> bytes:
    return np.ascontiguousarray(data).astype(data.dtype.newbyteorder("<")).tobytes()


def _operator(op: Op, kinds: list[str]) -> Any:
    if op.kind not in kinds:
        kinds.append(op.kind)
    packed = schema.OperatorT()
    packed.opcodeIndex = kinds.index(op.kind)
    packed.inputs = [-1 if tensor is None else tensor.index for tensor in op.inputs]
    packed.outputs = [tensor.index for tensor in op.outputs]
    if op.kind not in BUILTIN_OPTIONS:
        octets = custom_options(dict(op.options)) if op.raw_options is None else op.raw_options
        packed.customOptions = np.frombuffer(octets, np.uint8)
        return packed
    table, fields = BUILTIN_OPTIONS[op.kind]
    if table is not None:
        packed.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        packed.builtinOptions = getattr(schema, table + "T")()
        for name, value in op.options.items():
            setattr(packed.builtinOptions, fields[name], value)
    return packed


def _operator_code(kind: str) -> Any:
    code = schema.OperatorCodeT()
    code.version = 1
    builtin = kind in BUILTIN_OPTIONS
    code.builtinCode = getattr(schema.BuiltinOperator, kind) if builtin else schema.BuiltinOperator.CUSTOM
    code.deprecatedBuiltinCode = code.builtinCode
    if not builtin:
        code.customCode = kind
    return code


def _signature(graph: Graph) -> Any:
    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.subgraphIndex = 0
    signature.inputs = [_binding(f"in{i}", tensor) for i, tensor in enumerate(graph.inputs)]
    signature.outputs = [_binding(f"out{i}", tensor) for i, tensor in enumerate(graph.outputs)]
    return signature


def _binding(name: str, tensor: Tensor) -> Any:
    binding = schema.TensorMapT()
    binding.name = name
    binding.tensorIndex = tensor.index
    return binding


def input_arrays(model: bytes, draw: Callable[[tuple[int, ...]], npt.NDArray[np.float32]]) -> list[npt.NDArray[Any]]:
    """Inputs for a finished file: float32 as drawn, int8 the quantized draw."""
    subgraph = _unpacked(model).subgraphs[0]
    return [_input_array(subgraph.tensors[index], draw) for index in subgraph.inputs]


def _input_array(tensor: Any, draw: Callable[[tuple[int, ...]], npt.NDArray[np.float32]]) -> npt.NDArray[Any]:
    values = draw(tuple(int(n) for n in tensor.shape))
    if tensor.type == schema.TensorType.FLOAT32:
        return values
    assert tensor.type == schema.TensorType.INT8
    scaled = np.rint(values / tensor.quantization.scale[0]) + tensor.quantization.zeroPoint[0]
    return np.clip(scaled, -128, 127).astype(np.int8)


def with_signed_values(model: bytes) -> tuple[bytes, int]:
    """The file with every float32 input of an LceQuantize as a further output, and how many outputs it had."""
    unpacked = _unpacked(model)
    subgraph = unpacked.subgraphs[0]
    quantize = [i for i, code in enumerate(unpacked.operatorCodes) if code.customCode == b"LceQuantize"]
    signed = [op.inputs[0] for op in subgraph.operators if op.opcodeIndex in quantize]
    count = len(subgraph.outputs)
    added = [i for i in signed if subgraph.tensors[i].type == schema.TensorType.FLOAT32 and i not in subgraph.inputs]
    subgraph.outputs = np.array([*subgraph.outputs, *added], np.int32)
    unpacked.signatureDefs = None
    return _packed(unpacked), count


def _unpacked(model: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


def _packed(model: Any) -> bytes:
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())
