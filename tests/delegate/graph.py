"""A small .tflite graph with LCE ops, described in numpy and written by `tests.delegate.flatfile`.

Shapes are NHWC, filters OHWI. A tensor of type "bits" is bitpacked (int32 in the file): its `shape` counts channels,
its `stored_shape` words. True in a bool array of bits means -1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebnn import bits

PADDING = {"SAME": 0, "VALID": 1}
ACTIVATION = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1

Pair = tuple[int, int]


@dataclass(frozen=True)
class Tensor:
    """One tensor of a graph; `data` holds the file's array of a constant, `scale` is None where not quantized."""

    index: int
    name: str
    shape: tuple[int, ...]
    type: str
    data: npt.NDArray[Any] | None = None
    scale: float | None = None
    zero_point: int = 0
    shares: int | None = None

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape in the file."""
        return (*self.shape[:-1], bits.words(self.shape[-1])) if self.type == "bits" else self.shape


@dataclass(frozen=True)
class Op:
    """One node: `options` is what the flexbuffer map (LCE ops) or the builtin options table holds.

    `raw_options` stand in the file instead of the flexbuffer map where they are given.
    """

    kind: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    raw_options: bytes | None = None


def window(size: int, filter_size: int, stride: int, dilation: int, padding: str) -> Pair:
    """(output size, padding before) of one spatial axis, as TFLite computes them."""
    effective = (filter_size - 1) * dilation + 1
    if padding == "VALID":
        return (size - effective + stride) // stride, 0
    out = -(-size // stride)
    return out, max(0, (out - 1) * stride + effective - size) // 2


class Graph:
    """A graph under construction: each method adds a node and returns its output tensor."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []

    def tensor(self, shape: Sequence[int], type: str = "float32", **fields: Any) -> Tensor:
        """Any tensor; the other methods call this."""
        index = len(self.tensors)
        fields.setdefault("name", f"t{index}")
        self.tensors.append(Tensor(index, shape=tuple(int(n) for n in shape), type=type, **fields))
        return self.tensors[-1]

    def input(self, shape: Sequence[int], type: str = "float32", **fields: Any) -> Tensor:
        """A graph input."""
        self.inputs.append(self.tensor(shape, type, name=f"in{len(self.inputs)}", **fields))
        return self.inputs[-1]

    def constant(self, data: npt.NDArray[Any], *, shares: Tensor | None = None) -> Tensor:
        """A constant; `shares` lets it lie in another constant's buffer of the same bytes."""
        return self.tensor(data.shape, str(data.dtype), data=data, shares=None if shares is None else shares.index)

    def output(self, *tensors: Tensor) -> None:
        """Name graph outputs, in order."""
        self.outputs += tensors

    def op(self, kind: str, inputs: Sequence[Tensor | None], output: Tensor, **options: Any) -> Tensor:
        """Any node; the other methods call this."""
        self.ops.append(Op(kind, tuple(inputs), (output,), options))
        return output

    def quantize(self, x: Tensor) -> Tensor:
        """LceQuantize: bit = x < zero point (0 for float32); bool False = bit 1."""
        return self.op("LceQuantize", [x], self.tensor(x.shape, "bits"))

    def dequantize(self, x: Tensor, type: str = "float32", **fields: Any) -> Tensor:
        """LceDequantize to float32 (+-1), int8 (zero point +- round(1 / scale), saturated) or bool (bit 0 = True)."""
        return self.op("LceDequantize", [x], self.tensor(x.shape, type, **fields))

    def bconv(
        self,
        x: Tensor,
        negative: npt.NDArray[np.bool_] | Tensor,
        *,
        multiplier: npt.NDArray[np.float32] | None = None,
        bias: npt.NDArray[np.float32] | None = None,
        thresholds: npt.NDArray[np.int32] | None = None,
        type: str = "float32",
        stride: Pair = (1, 1),
        dilation: Pair = (1, 1),
        padding: str = "SAME",
        pad_value: int = 1,
        activation: str = "NONE",
        **fields: Any,
    ) -> Tensor:
        """LceBconv2d with filter signs `negative` (O, H, W, channels a group), or a constant that holds them packed.

        type "bits" needs thresholds; float32 and int8 need multiplier and bias.
        """
        weights = self.constant(bits.pack(negative)) if isinstance(negative, np.ndarray) else negative
        out_channels, height, width, _ = weights.shape
        rows, _ = window(x.shape[1], height, stride[0], dilation[0], padding)
        columns, _ = window(x.shape[2], width, stride[1], dilation[1], padding)
        optional = [None if data is None else self.constant(data) for data in (multiplier, bias, thresholds)]
        return self.op(
            "LceBconv2d",
            [x, weights, *optional],
            self.tensor((x.shape[0], rows, columns, out_channels), type, **fields),
            channels_in=x.shape[-1],
            dilation_height_factor=dilation[0],
            dilation_width_factor=dilation[1],
            fused_activation_function=ACTIVATION[activation],
            pad_values=pad_value,
            padding=PADDING[padding],
            stride_height=stride[0],
            stride_width=stride[1],
        )

    def bpool(self, x: Tensor, size: Pair, stride: Pair, padding: str = "VALID") -> Tensor:
        """LceBMaxPool2d: bitwise AND over the window, padding left out."""
        return self._pool("LceBMaxPool2d", x, size, stride, padding)

    def max_pool(self, x: Tensor, size: Pair, stride: Pair, padding: str = "VALID") -> Tensor:
        """Builtin MAX_POOL_2D."""
        return self._pool("MAX_POOL_2D", x, size, stride, padding)

    def _pool(self, kind: str, x: Tensor, size: Pair, stride: Pair, padding: str) -> Tensor:
        rows, _ = window(x.shape[1], size[0], stride[0], 1, padding)
        columns, _ = window(x.shape[2], size[1], stride[1], 1, padding)
        out = self.tensor((x.shape[0], rows, columns, x.shape[3]), x.type)
        return self.op(
            kind,
            [x],
            out,
            padding=PADDING[padding],
            stride_width=stride[1],
            stride_height=stride[0],
            filter_width=size[1],
            filter_height=size[0],
        )

    def add(self, a: Tensor, b: Tensor, activation: str = "NONE") -> Tensor:
        """Builtin ADD of float32 tensors, broadcasting."""
        return self._binary("ADD", a, b, activation)

    def mul(self, a: Tensor, b: Tensor, activation: str = "NONE") -> Tensor:
        """Builtin MUL of float32 tensors, broadcasting."""
        return self._binary("MUL", a, b, activation)

    def _binary(self, kind: str, a: Tensor, b: Tensor, activation: str) -> Tensor:
        out = self.tensor(np.broadcast_shapes(a.shape, b.shape))
        return self.op(kind, [a, b], out, fused_activation_function=ACTIVATION[activation])

    def relu(self, x: Tensor) -> Tensor:
        """Builtin RELU of a float32 tensor."""
        return self.op("RELU", [x], self.tensor(x.shape))

    def reshape(self, x: Tensor, shape: Tensor, result: Sequence[int]) -> Tensor:
        """Builtin RESHAPE to a shape known only when it runs: a dynamic tensor."""
        return self.op("RESHAPE", [x, shape], self.tensor(result))
