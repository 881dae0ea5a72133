"""A convolutional network for pictures of the other orientation: the same weights, width and height exchanged."""

from __future__ import annotations

import struct
from typing import Any

from edgebnn.errors import ModelError

# A filter looks at a tall map as at a wide one, and these take the shapes of their maps from their inputs.
_RESIZES = ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
_ARITHMETIC = (
    "ADD",
    "CONCATENATION",
    "DEQUANTIZE",
    "HARD_SWISH",
    "LOGISTIC",
    "MUL",
    "PRELU",
    "QUANTIZE",
    "RELU",
    "RELU6",
)
_WINDOWS = ("AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D")
_BINARY = ("LceBconv2d", "LceBMaxPool2d", "LceDequantize", "LceQuantize")


def turned(model: bytes) -> bytes:
    """A .tflite that an interpreter has taken, with height and width of all its maps (n, height, width, c) exchanged.

    ModelError when it is not made of convolutions and of what keeps to their maps, or is damaged.
    """
    content = bytearray(model)  # what numpy arrays of it change, changes here
    try:
        _turn(content)
    except (
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:  # the schema's reader checks nothing
        raise ModelError(f"the model file is damaged: it cannot be turned ({error!r:.200}); copy it again") from None
    return bytes(content)


def _turn(content: bytearray) -> None:
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    top = schema.Model.GetRootAs(content, 0)
    graph = top.Subgraphs(0)
    exchanged: set[int] = set()

    def exchange(vector: Any, first: int) -> None:
        """Once, where several tensors share a vector."""
        if vector.ctypes.data not in exchanged:
            exchanged.add(vector.ctypes.data)
            vector[[first, first + 1]] = vector[[first + 1, first]]

    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = top.OperatorCodes(operator.OpcodeIndex())
        custom = code.CustomCode()
        name = custom.decode() if custom else names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        if name in _RESIZES:
            size = top.Buffers(graph.Tensors(operator.Inputs(1)).Buffer())
            if size.DataLength():
                exchange(size.DataAsNumpy().view("<i4"), 0)
                continue
        if name not in (*_ARITHMETIC, *_WINDOWS, *_BINARY):
            raise ModelError(
                f"the card says that the input turns with the picture, {name} cannot: leave out preprocess.turns"
            )
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        if top.Buffers(tensor.Buffer()).DataLength() or tensor.ShapeLength() != 4:
            continue  # a constant, or no map
        exchange(tensor.ShapeAsNumpy(), 1)
        if tensor.ShapeSignatureLength() == 4:
            exchange(tensor.ShapeSignatureAsNumpy(), 1)
