"""Small .tflite files whose answers are known, built without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from edgebnn_convert.embed import embed_card

from edgebnn.card import Card, Decode, Level, Preprocess

SIZE = 64
STRIDES = {"small": 8, "large": 16}
TYPES = {"float32": tfl.TensorType.FLOAT32, "int8": tfl.TensorType.INT8, "int32": tfl.TensorType.INT32}


class Op(NamedTuple):
    code: int
    inputs: Sequence[str]
    outputs: Sequence[str]
    options: Any = None


def table(kind: Any, **fields: Any) -> Any:
    """A schema object; those of older runtimes take no arguments."""
    made = kind()
    for name, value in fields.items():
        assert hasattr(made, name), name
        setattr(made, name, value)
    return made


def build(
    tensors: Mapping[str, tuple[str, tuple[int, ...]]],
    ops: Sequence[Op],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    constants: Mapping[str, np.ndarray] | None = None,
    quantised: Mapping[str, tuple[float, int]] | None = None,
    signature: Mapping[str, str] | None = None,
) -> bytes:
    """A .tflite of `ops`; `signature` maps output names to tensors, and its inputs have their tensors' names."""
    constants, index = constants or {}, {name: i for i, name in enumerate(tensors)}
    model = table(tfl.ModelT, version=3, description="test", buffers=[tfl.BufferT()])
    codes = sorted({op.code for op in ops})
    model.operatorCodes = [
        table(tfl.OperatorCodeT, deprecatedBuiltinCode=code, builtinCode=code, version=1) for code in codes
    ]
    graph = table(tfl.SubGraphT, name="main", tensors=[], operators=[])
    for name, (dtype, shape) in tensors.items():
        tensor = table(tfl.TensorT, shape=list(shape), type=TYPES[dtype], buffer=0, name=name)
        if name in constants:
            tensor.buffer = len(model.buffers)
            model.buffers.append(table(tfl.BufferT, data=np.frombuffer(constants[name].tobytes(), np.uint8)))
        if quantised and name in quantised:
            scale, zero_point = quantised[name]
            tensor.quantization = table(tfl.QuantizationParametersT, scale=[scale], zeroPoint=[zero_point])
        graph.tensors.append(tensor)
    for op in ops:
        operator = table(
            tfl.OperatorT,
            opcodeIndex=codes.index(op.code),
            inputs=[index[name] for name in op.inputs],
            outputs=[index[name] for name in op.outputs],
        )
        if op.options is not None:
            operator.builtinOptionsType = getattr(tfl.BuiltinOptions, type(op.options).__name__[:-1])
            operator.builtinOptions = op.options
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [index[name] for name in inputs], [index[name] for name in outputs]
    model.subgraphs = [graph]
    if signature is not None:
        model.signatureDefs = [
            table(
                tfl.SignatureDefT,
                signatureKey="serving_default",
                subgraphIndex=0,
                inputs=[table(tfl.TensorMapT, name=name, tensorIndex=index[name]) for name in inputs],
                outputs=[table(tfl.TensorMapT, name=name, tensorIndex=index[at]) for name, at in signature.items()],
            )
        ]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def doubler() -> bytes:
    """Output "a" is twice input "y" (2, 3), output "b" twice input "x" (1, 4); the graph lists them the other way."""
    tensors = {name: ("float32", (1, 4) if name in "xp" else (2, 3)) for name in "xypq"}
    ops = [Op(tfl.BuiltinOperator.ADD, [i, i], [o], tfl.AddOptionsT()) for i, o in ("xp", "yq")]
    return build(tensors, ops, inputs="xy", outputs="pq", signature={"b": "p", "a": "q"})


def bare_detector(*, dtype: str = "float32", size: int = SIZE, height: int | None = None, channels: int = 5) -> bytes:
    """A detector of bright squares: logit 8 * mean over each cell, boxes of two cells a side around its centre.

    The picture is `size` wide and as high, or `height`. The graph lists its maps largest stride first; the signature
    names them.
    """
    height = height or size
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {"picture": (dtype, (1, height, size, 3))}
    constants: dict[str, np.ndarray] = {}
    ops, picture, quantised = [], "picture", {}
    if dtype != "float32":
        quantised["picture"] = (1 / 127.5, 0)
        tensors["real"] = ("float32", (1, height, size, 3))
        ops.append(Op(tfl.BuiltinOperator.DEQUANTIZE, ["picture"], ["real"], tfl.DequantizeOptionsT()))
        picture = "real"
    weights = np.zeros((channels, 1, 1, 3), np.float32)
    weights[0] = 8 / 3
    for name, stride in STRIDES.items():
        cells = (height // stride, size // stride)
        tensors |= {
            f"{name}/pool": ("float32", (1, *cells, 3)),
            f"{name}/weights": ("float32", weights.shape),
            f"{name}/bias": ("float32", (channels,)),
            f"{name}/map": ("float32", (1, *cells, channels)),
        }
        constants |= {f"{name}/weights": weights, f"{name}/bias": np.zeros(channels, np.float32)}
        valid = tfl.Padding.VALID
        pool = table(
            tfl.Pool2DOptionsT, padding=valid, strideW=stride, strideH=stride, filterWidth=stride, filterHeight=stride
        )
        conv = table(tfl.Conv2DOptionsT, padding=valid, strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1)
        ops.append(Op(tfl.BuiltinOperator.AVERAGE_POOL_2D, [picture], [f"{name}/pool"], pool))
        convolved = [f"{name}/pool", f"{name}/weights", f"{name}/bias"]
        ops.append(Op(tfl.BuiltinOperator.CONV_2D, convolved, [f"{name}/map"], conv))
    return build(
        tensors,
        ops,
        inputs=["picture"],
        outputs=[f"{name}/map" for name in reversed(STRIDES)],
        constants=constants,
        quantised=quantised,
        signature={name: f"{name}/map" for name in STRIDES},
    )


def detector_card(*, size: int = SIZE, **changes: Any) -> Card:
    levels = tuple(Level(output=name, stride=stride, scale=1) for name, stride in STRIDES.items())
    fields = {
        "name": "squares",
        "task": "detect",
        "classes": ("square",),
        "preprocess": Preprocess(width=size, height=size, pad=0),
        "decode": Decode(levels=levels, nms_iou=0.3),
    }
    return Card.model_validate(fields | changes)


def detector(**options: Any) -> bytes:
    return embed_card(bare_detector(**options), detector_card(size=options.get("size", SIZE)))
