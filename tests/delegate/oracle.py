"""What a graph must compute, written from the ops' definitions in numpy and plain loops: no LCE, no TFLite.

The arithmetic that is part of the contract is done in the contract's precision: see `_bconv`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebnn import bits

from .graph import Graph, Op, Tensor, window

Array = npt.NDArray[Any]
PADDINGS = ("SAME", "VALID")
CLAMP = {0: (-np.inf, np.inf), 1: (0.0, np.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}


def run(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """The graph's outputs; bits are packed int32, as an interpreter shows them."""
    values = trace(graph, inputs)
    return [_stored(tensor, values[tensor.index]) for tensor in graph.outputs]


def trace(graph: Graph, inputs: Sequence[Array]) -> dict[int, Array]:
    """The value of every tensor by index; bits are bool, True where the value is -1."""
    stored = {tensor.index: tensor.data for tensor in graph.tensors if tensor.data is not None}
    stored |= {tensor.index: value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    values: dict[int, Array] = {}
    for index, value in stored.items():
        tensor = graph.tensors[index]
        values[index] = bits.unpack(value, tensor.shape[-1]) if tensor.type == "bits" else value
    for op in graph.ops:
        output = op.outputs[0]
        arguments = [None if tensor is None else values[tensor.index] for tensor in op.inputs]
        value = OPS[op.kind](op, *arguments)
        assert value.shape == output.shape, (op.kind, value.shape, output.shape)
        values[output.index] = value
    return values


def signed_values(graph: Graph, values: Mapping[int, Array]) -> list[Array]:
    """Every array whose sign becomes a bit: the float32 inputs of LceQuantize."""
    sources = [op.inputs[0] for op in graph.ops if op.kind == "LceQuantize"]
    return [values[tensor.index] for tensor in sources if tensor is not None and tensor.type == "float32"]


def _stored(tensor: Tensor, value: Array) -> Array:
    return bits.pack(value) if tensor.type == "bits" else value


def _quantize(op: Op, x: Array) -> Array:
    source = op.inputs[0]
    assert source is not None
    if source.type == "bool":
        return ~x
    return x < (source.zero_point if source.type == "int8" else 0)


def _dequantize(op: Op, negative: Array) -> Array:
    target = op.outputs[0]
    if target.type == "bool":
        return ~negative
    if target.type == "float32":
        return np.where(negative, np.float32(-1), np.float32(1))
    step = int(_round(np.minimum(np.float32(1) / np.float32(target.scale), np.float32(256))))
    low, high = max(-128, target.zero_point - step), min(127, target.zero_point + step)
    return np.where(negative, low, high).astype(np.int8)


def _bconv(op: Op, negative: Array, weights: Array, multiplier: Array, bias: Array, thresholds: Array) -> Array:
    """dot = sum over taps and channels of (+-1 input) * (+-1 weight); a tap in the padding counts as pad_value.

    Output transform: bits: (K - dot) / 2 > threshold. Else y = f32(clamp(dot) - K) * f32(multiplier / s)
    + f32((bias + K * multiplier) / s + z), each operation rounded to float32 and the constants computed in double;
    s, z = the int8 output's scale and zero point (1, 0 for float32); int8 is y rounded half away from zero, saturated.
    """
    dot = _dots(op, negative, weights)
    taps = int(np.prod(weights.shape[1:3]))
    groups = bits.words(negative.shape[-1]) // weights.shape[-1]
    k = taps * (negative.shape[-1] // groups)
    target = op.outputs[0]
    if target.type == "bits":
        return (k - dot) > 2 * thresholds.astype(np.int64)
    low, high = CLAMP[op.options["fused_activation_function"]]
    clamped = np.clip(dot, max(low, -k), min(high, k)) - k
    scale, zero = (float(np.float32(target.scale)), target.zero_point) if target.type == "int8" else (1.0, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        factor = (multiplier.astype(np.float64) / scale).astype(np.float32)
        offset = ((bias.astype(np.float64) + k * multiplier.astype(np.float64)) / scale + zero).astype(np.float32)
        y = clamped.astype(np.float32) * factor + offset
    return y if target.type == "float32" else _round(np.clip(y, -129, 128)).clip(-128, 127).astype(np.int8)


def _dots(op: Op, negative: Array, weights: Array) -> Array:
    """int64 (N, H, W, O): the +-1 convolution itself."""
    options = op.options
    batch, height, width, channels = negative.shape
    out_channels, rows, columns, group_words = weights.shape
    groups = bits.words(channels) // group_words
    group_in, group_out = channels // groups, out_channels // groups
    signs = 1 - 2 * negative.astype(np.int64)
    filters = 1 - 2 * bits.unpack(weights, group_in).astype(np.int64)
    padding = PADDINGS[options["padding"]]
    stride = options["stride_height"], options["stride_width"]
    dilation = options["dilation_height_factor"], options["dilation_width_factor"]
    out_height, top = window(height, rows, stride[0], dilation[0], padding)
    out_width, left = window(width, columns, stride[1], dilation[1], padding)
    dots = np.zeros((batch, out_height, out_width, out_channels), np.int64)
    for y in range(out_height):
        for x in range(out_width):
            patch = np.full((batch, rows, columns, channels), options["pad_values"], np.int64)
            for i in range(rows):
                for j in range(columns):
                    row = y * stride[0] - top + i * dilation[0]
                    column = x * stride[1] - left + j * dilation[1]
                    if 0 <= row < height and 0 <= column < width:
                        patch[:, i, j] = signs[:, row, column]
            for group in range(groups):
                chosen = slice(group * group_out, (group + 1) * group_out)
                part = patch[..., group * group_in : (group + 1) * group_in]
                dots[:, y, x, chosen] = np.tensordot(part, filters[chosen], axes=([1, 2, 3], [1, 2, 3]))
    return dots


def _pool(op: Op, x: Array) -> Array:
    """Maximum over the window, padding left out; for bits the maximum of +-1 is the AND of "is negative"."""
    reduce: Callable[..., Array] = np.logical_and.reduce if op.kind == "LceBMaxPool2d" else np.max
    options = op.options
    padding = PADDINGS[options["padding"]]
    _, height, width, _ = x.shape
    size = options["filter_height"], options["filter_width"]
    stride = options["stride_height"], options["stride_width"]
    out_height, top = window(height, size[0], stride[0], 1, padding)
    out_width, left = window(width, size[1], stride[1], 1, padding)
    out = np.zeros((x.shape[0], out_height, out_width, x.shape[3]), x.dtype)
    for row in range(out_height):
        for column in range(out_width):
            y, z = row * stride[0] - top, column * stride[1] - left
            part = x[:, max(y, 0) : max(y + size[0], 0), max(z, 0) : max(z + size[1], 0)]
            out[:, row, column] = reduce(part, axis=(1, 2))
    return _activated(op, out) if op.outputs[0].type == "float32" else out


def _average(op: Op, x: Array) -> Array:
    """Mean over the window, padding left out, in float32."""
    options = op.options
    padding = PADDINGS[options["padding"]]
    size = options["filter_height"], options["filter_width"]
    stride = options["stride_height"], options["stride_width"]
    out_height, top = window(x.shape[1], size[0], stride[0], 1, padding)
    out_width, left = window(x.shape[2], size[1], stride[1], 1, padding)
    out = np.zeros((x.shape[0], out_height, out_width, x.shape[3]), np.float32)
    for row in range(out_height):
        for column in range(out_width):
            y, z = row * stride[0] - top, column * stride[1] - left
            part = x[:, max(y, 0) : max(y + size[0], 0), max(z, 0) : max(z + size[1], 0)]
            out[:, row, column] = part.sum(axis=(1, 2), dtype=np.float32) / np.float32(part.shape[1] * part.shape[2])
    return _activated(op, out)


def _positions(op: Op, source: int, target: int) -> Array:
    """Where the target's elements lie among the source's, before rounding or clipping."""
    align, half = op.options["align_corners"], op.options["half_pixel_centers"]
    scale = np.float32(source - 1) / np.float32(target - 1) if align and target > 1 else np.float32(source / target)
    shift = np.float32(0.5 if half else 0)
    return (np.arange(target, dtype=np.float32) + shift) * scale


def _nearest(op: Op, x: Array, size: Array) -> Array:
    for axis in (1, 2):
        at = _positions(op, x.shape[axis], int(size[axis - 1]))
        whole = np.floor(at + 0.5) if op.options["align_corners"] else np.floor(at)
        x = np.take(x, np.clip(whole.astype(int), 0, x.shape[axis] - 1), axis=axis)
    return x


def _bilinear(op: Op, x: Array, size: Array) -> Array:
    for axis in (2, 1):
        at = _positions(op, x.shape[axis], int(size[axis - 1]))
        at = np.maximum(at - (0.5 if op.options["half_pixel_centers"] else 0), 0)
        low = np.minimum(at.astype(int), x.shape[axis] - 1)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        weight = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        near, far = np.take(x, low, axis=axis), np.take(x, high, axis=axis)
        x = near.astype(np.float64) * (1 - weight) + far * weight
    return x.astype(np.float32)


def _activated(op: Op, x: Array) -> Array:
    low, high = CLAMP[op.options.get("fused_activation_function", 0)]
    return np.clip(x, np.float32(low), np.float32(high))


def _round(x: Array) -> Array:
    """To the nearest integer, halves away from zero, in float32's own values (no sum x + 0.5 that could round)."""
    whole = np.trunc(x)
    return (whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0)).astype(np.int64)


OPS: dict[str, Callable[..., Array]] = {
    "LceQuantize": _quantize,
    "LceDequantize": _dequantize,
    "LceBconv2d": _bconv,
    "LceBMaxPool2d": _pool,
    "MAX_POOL_2D": _pool,
    "AVERAGE_POOL_2D": _average,
    "ADD": lambda op, a, b: _activated(op, a + b),
    "SUB": lambda op, a, b: _activated(op, a - b),
    "MUL": lambda op, a, b: _activated(op, a * b),
    "DIV": lambda op, a, b: _activated(op, a / b),
    "RELU": lambda op, x: np.maximum(x, np.float32(0)),
    "RELU6": lambda op, x: np.clip(x, np.float32(0), np.float32(6)),
    "RELU_N1_TO_1": lambda op, x: np.clip(x, np.float32(-1), np.float32(1)),
    "PRELU": lambda op, x, slopes: np.where(x < 0, x * slopes, x),
    "LEAKY_RELU": lambda op, x: np.where(x < 0, x * np.float32(op.options["alpha"]), x),
    "CONCATENATION": lambda op, *parts: np.concatenate(parts, axis=op.options["axis"]),
    "PAD": lambda op, x, paddings: np.pad(x, paddings),
    "RESIZE_NEAREST_NEIGHBOR": _nearest,
    "RESIZE_BILINEAR": _bilinear,
    "RESHAPE": lambda op, x, shape: x.reshape(shape),
}
