"""Float ops between binary convolutions: every form that the delegate claims, and forms that it leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .cases import Case, Conv, Draw, Sketch
from .graph import ACTIVATION, PADDING, Tensor, window

CHANNELS = 40
SHAPE = (2, 6, 7, CHANNELS)
TANH = 4
Build = Callable[[Sketch, Tensor, Tensor], Tensor]
"""The op under test, from two float maps of SHAPE that binary convolutions made."""


def _steps(sketch: Sketch, *shape: int) -> Tensor:
    return sketch.graph.constant(sketch.draw.steps(*shape))


def arithmetic(
    kind: str, activation: str | int = "NONE", *, other: Sequence[int] | None = None, swap: bool = False
) -> Build:
    """ADD, SUB, MUL or DIV of two maps, or of one and a constant of shape `other`; `swap` exchanges them."""

    def build(sketch: Sketch, x: Tensor, y: Tensor) -> Tensor:
        operands = [x, y if other is None else _steps(sketch, *other)]
        try:
            shape = np.broadcast_shapes(*(operand.shape for operand in operands))
        except ValueError:
            shape = x.shape
        number = activation if isinstance(activation, int) else ACTIVATION[activation]
        options = {"fused_activation_function": number}
        return sketch.graph.op(kind, operands[::-1] if swap else operands, sketch.graph.tensor(shape), **options)

    return build


def unary(kind: str, **options: Any) -> Build:
    """An activation without a second input."""
    return lambda sketch, x, y: sketch.graph.op(kind, [x], sketch.graph.tensor(x.shape), **options)


def prelu(*slopes: int) -> Build:
    """PRELU with slopes of this shape."""
    return lambda sketch, x, y: sketch.graph.op("PRELU", [x, _steps(sketch, *slopes)], sketch.graph.tensor(x.shape))


def pool(kind: str, size: tuple[int, int], stride: tuple[int, int], padding: str, activation: int = 0) -> Build:
    """MAX_POOL_2D or AVERAGE_POOL_2D."""

    def build(sketch: Sketch, x: Tensor, y: Tensor) -> Tensor:
        rows, _ = window(x.shape[1], size[0], stride[0], 1, padding)
        columns, _ = window(x.shape[2], size[1], stride[1], 1, padding)
        return sketch.graph.op(
            kind,
            [x],
            sketch.graph.tensor((x.shape[0], rows, columns, x.shape[3])),
            padding=PADDING[padding],
            stride_width=stride[1],
            stride_height=stride[0],
            filter_width=size[1],
            filter_height=size[0],
            fused_activation_function=activation,
        )

    return build


def concatenation(axis: int, count: int = 2, activation: int = 0) -> Build:
    """CONCATENATION of both maps in turn."""

    def build(sketch: Sketch, x: Tensor, y: Tensor) -> Tensor:
        parts = [(x, y)[i % 2] for i in range(count)]
        shape = list(x.shape)
        shape[axis] *= count
        out = sketch.graph.tensor(shape)
        return sketch.graph.op("CONCATENATION", parts, out, axis=axis, fused_activation_function=activation)

    return build


def pad(*pairs: tuple[int, int], type: str = "int32") -> Build:
    """PAD; fewer pairs than dimensions leave the first ones alone."""

    def build(sketch: Sketch, x: Tensor, y: Tensor) -> Tensor:
        paddings = np.array([(0, 0)] * (len(x.shape) - len(pairs)) + list(pairs), type)
        shape = [size + before + after for size, (before, after) in zip(x.shape, paddings.tolist(), strict=True)]
        return sketch.graph.op("PAD", [x, sketch.graph.constant(paddings)], sketch.graph.tensor(shape))

    return build


def resize(kind: str, size: tuple[int, int], *, align: bool = False, half: bool = False) -> Build:
    """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR."""

    def build(sketch: Sketch, x: Tensor, y: Tensor) -> Tensor:
        inputs = [x, sketch.graph.constant(np.array(size, np.int32))]
        out = sketch.graph.tensor((x.shape[0], *size, x.shape[3]))
        return sketch.graph.op(kind, inputs, out, align_corners=align, half_pixel_centers=half)

    return build


def damaged(build: Build, *, constant: np.ndarray[Any, Any] | None = None, **options: int) -> Build:
    """The op with other options, or another constant as its second input."""

    def rebuild(sketch: Sketch, x: Tensor, y: Tensor) -> Tensor:
        out = build(sketch, x, y)
        op = sketch.graph.ops[-1]
        inputs = op.inputs if constant is None else (op.inputs[0], sketch.graph.constant(constant))
        sketch.graph.ops[-1] = replace(op, inputs=inputs, options={**op.options, **options})
        return out

    return rebuild


def cut(build: Build, count: int) -> Build:
    """The op with its first `count` inputs alone."""

    def rebuild(sketch: Sketch, x: Tensor, y: Tensor) -> Tensor:
        out = build(sketch, x, y)
        sketch.graph.ops[-1] = replace(sketch.graph.ops[-1], inputs=sketch.graph.ops[-1].inputs[:count])
        return out

    return rebuild


CLAIMED: dict[str, Build] = {
    **{f"{kind} maps": arithmetic(kind) for kind in ("ADD", "SUB", "MUL", "DIV")},
    **{f"ADD maps {name}": arithmetic("ADD", name) for name in ACTIVATION if name != "NONE"},
    **{f"{kind} channels": arithmetic(kind, other=(CHANNELS,)) for kind in ("ADD", "SUB", "MUL", "DIV")},
    "MUL channels RELU": arithmetic("MUL", "RELU", other=(CHANNELS,)),
    "ADD channels in front": arithmetic("ADD", other=(CHANNELS,), swap=True),
    "ADD maps in front": arithmetic("ADD", swap=True),
    "SUB maps in front": arithmetic("SUB", swap=True),
    "MUL 1x1x1xC": arithmetic("MUL", other=(1, 1, 1, CHANNELS)),
    "ADD scalar": arithmetic("ADD", other=()),
    "DIV one": arithmetic("DIV", other=(1,)),
    "RELU": unary("RELU"),
    "RELU6": unary("RELU6"),
    "RELU_N1_TO_1": unary("RELU_N1_TO_1"),
    "LEAKY_RELU": unary("LEAKY_RELU", alpha=0.125),
    "PRELU channels": prelu(1, 1, CHANNELS),
    "PRELU one": prelu(1, 1, 1),
    "MAX_POOL_2D 2x2": pool("MAX_POOL_2D", (2, 2), (2, 2), "VALID"),
    "MAX_POOL_2D 3x2 SAME": pool("MAX_POOL_2D", (3, 2), (1, 2), "SAME"),
    "MAX_POOL_2D larger than the map": pool("MAX_POOL_2D", (9, 20), (1, 1), "SAME", ACTIVATION["RELU6"]),
    "AVERAGE_POOL_2D 2x2": pool("AVERAGE_POOL_2D", (2, 2), (2, 2), "VALID"),
    "AVERAGE_POOL_2D 3x3 SAME": pool("AVERAGE_POOL_2D", (3, 3), (2, 1), "SAME", ACTIVATION["RELU"]),
    "CONCATENATION channels": concatenation(3),
    "CONCATENATION three": concatenation(-1, 3),
    "CONCATENATION rows": concatenation(1),
    "PAD": pad((1, 2), (0, 1), (0, 0)),
    "PAD channels": pad((3, 4)),
    **{
        f"{kind} {'align ' if align else ''}{'half ' if half else ''}{size[0]}x{size[1]}": resize(
            kind, size, align=align, half=half
        )
        for kind in ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR")
        for align, half in ((False, False), (True, False), (False, True))
        for size in ((12, 14), (4, 9))
    },
}

LEFT: dict[str, Build] = {
    "ADD TANH": arithmetic("ADD", TANH),
    "ADD rows": arithmetic("ADD", other=(1, 6, 1, 1)),
    "MUL of a larger rank": arithmetic("MUL", other=(1, 1, 1, 1, CHANNELS)),
    "SUB constant in front": arithmetic("SUB", other=(CHANNELS,), swap=True),
    "DIV constant in front": arithmetic("DIV", other=(CHANNELS,), swap=True),
    "PRELU rows": prelu(6, 1, CHANNELS),
    "CONCATENATION with itself 65 times": concatenation(3, 65),
    "PAD int64": pad((1, 1), (1, 1), (0, 0), type="int64"),
}

NONSENSE: dict[str, Build] = {
    "ADD activation -1": arithmetic("ADD", -1),
    "ADD activation 127": arithmetic("ADD", 127),
    "MUL of 3 channels": arithmetic("MUL", other=(3,)),
    "ADD of nothing": arithmetic("ADD", other=(0,)),
    "MAX_POOL_2D stride 0": damaged(pool("MAX_POOL_2D", (2, 2), (1, 1), "VALID"), stride_width=0),
    "MAX_POOL_2D stride -1": damaged(pool("MAX_POOL_2D", (2, 2), (1, 1), "VALID"), stride_height=-1),
    "AVERAGE_POOL_2D filter 0": damaged(pool("AVERAGE_POOL_2D", (2, 2), (1, 1), "SAME"), filter_height=0),
    "AVERAGE_POOL_2D filter -3": damaged(pool("AVERAGE_POOL_2D", (2, 2), (1, 1), "VALID"), filter_width=-3),
    "MAX_POOL_2D huge filter": damaged(pool("MAX_POOL_2D", (2, 2), (1, 1), "VALID"), filter_width=2**31 - 1),
    "CONCATENATION axis 4": damaged(concatenation(3), axis=4),
    "CONCATENATION axis -5": damaged(concatenation(3), axis=-5),
    "CONCATENATION axis most negative": damaged(concatenation(3), axis=-(2**31)),
    "PAD negative": pad((-1, 0), (0, 0), (0, 0)),
    "PAD huge": damaged(
        pad((1, 1), (0, 0), (0, 0)), constant=np.array([[0, 0], [2**30, 2**30], [0, 0], [0, 0]], np.int32)
    ),
    "PAD of too few": damaged(pad((1, 1), (0, 0), (0, 0)), constant=np.array([[0, 0]], np.int32)),
    "RESIZE to nothing": damaged(resize("RESIZE_BILINEAR", (3, 3)), constant=np.array([0, 3], np.int32)),
    "RESIZE to less": damaged(resize("RESIZE_NEAREST_NEIGHBOR", (3, 3)), constant=np.array([-1, 3], np.int32)),
    "RESIZE huge": damaged(resize("RESIZE_BILINEAR", (3, 3)), constant=np.array([2**31 - 1, 2**31 - 1], np.int32)),
    "RESIZE aligned twice": resize("RESIZE_BILINEAR", (3, 3), align=True, half=True),
    "ADD of one input": cut(arithmetic("ADD"), 1),
    "ADD of none": cut(arithmetic("ADD"), 0),
    "PAD without paddings": cut(pad((1, 1), (0, 0), (0, 0)), 1),
    "PRELU without slopes": cut(prelu(1, 1, CHANNELS), 1),
}


def case(name: str, build: Build) -> Case:
    """Two binary convolutions -> the op -> a binary convolution; the op's own result is an output too."""
    sketch = Sketch(Draw(f"glue {name}"))
    x = sketch.graph.quantize(sketch.graph.input(SHAPE))
    maps = [sketch.conv(x, Conv(affine="half", out=CHANNELS)) for _ in range(2)]
    y = build(sketch, *maps)
    sketch.graph.output(y)
    if not any(maps[1] in op.inputs for op in sketch.graph.ops):
        sketch.graph.output(maps[1])
    if len(y.shape) != 4:
        return sketch.case(name)
    return sketch.case(name, sketch.conv(sketch.graph.quantize(y), Conv(affine="half", out=33)))


def every_op() -> Case:
    """All claimed forms side by side, behind the same two binary convolutions; each result is an output."""
    sketch = Sketch(Draw("glue every op"))
    x = sketch.graph.quantize(sketch.graph.input((1, 4, 5, CHANNELS)))
    maps = [sketch.conv(x, Conv(affine="half", out=CHANNELS)) for _ in range(2)]
    return sketch.case("glue-every-op", *(build(sketch, *maps) for build in CLAIMED.values()))
