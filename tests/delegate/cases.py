"""A test case is a graph and its inputs, drawn from a stream that the case's name seeds.

Golden condition: no value in front of a sign lies within 1e-3 of its tensor's range of zero, so that a rounding
difference of the float ops around cannot flip a bit. Inputs stay away from zero, and an affine that feeds a sign is
dyadic (see `AFFINES`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebnn import bits

from . import lce
from .graph import ACTIVATION, INT32_MAX, INT32_MIN, PADDING, Graph, Op, Pair, Tensor

Array = npt.NDArray[Any]
STEP = 0.125
ACTIVATIONS = {number: name for name, number in ACTIVATION.items()}
PADDINGS = {number: name for name, number in PADDING.items()}


@dataclass(frozen=True)
class Conv:
    """What an LceBconv2d of a case looks like; `affine` and `thresholds` name a way to draw the constants."""

    out: int = 32
    filter: Pair = (3, 3)
    type: str = "float32"
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: str = "SAME"
    pad_value: int = 1
    activation: str = "NONE"
    groups: int = 1
    affine: str = "random"
    thresholds: str = "middle"
    all_constants: bool = False


@dataclass(frozen=True, eq=False)
class Case:
    """One model of the grid with its inputs."""

    name: str
    graph: Graph
    inputs: list[Array]
    alignment: int = 16

    @property
    def features(self) -> frozenset[str]:
        """Tags of what the graph holds, such as "LceBconv2d stride=2x1"."""
        return frozenset(tag for op in self.graph.ops for tag in _tags(op))

    @property
    def lce_kernel(self) -> tuple[bool, bool] | None:
        """The kernel of LCE that is right for this graph, None where none is (see `lce.py`)."""
        kernels = [lce.right_kernel(op) for op in self.graph.ops if op.kind == "LceBconv2d"]
        if None in kernels:
            return None
        return lce.INDIRECT if lce.OPTIMISED in kernels else lce.REFERENCE


class Draw:
    """Seeded arrays; RandomState because its streams are frozen for all numpy versions."""

    def __init__(self, seed: str) -> None:
        self.random = np.random.RandomState(zlib.crc32(seed.encode()))

    def signs(self, *shape: int) -> npt.NDArray[np.bool_]:
        """Random bits."""
        return self.random.random_sample(shape) < 0.5

    def floats(self, *shape: int) -> npt.NDArray[np.float32]:
        """+-[0.1, 1)."""
        return self._signed(self.random.uniform(0.1, 1.0, shape))

    def steps(self, *shape: int) -> npt.NDArray[np.float32]:
        """+-k * STEP, k in 1..8: adding them to an affine "half" keeps the golden condition."""
        return self._signed(self.random.randint(1, 9, shape) * STEP)

    def _signed(self, magnitude: Array) -> npt.NDArray[np.float32]:
        return np.where(self.signs(*magnitude.shape), -magnitude, magnitude).astype(np.float32)

    def array(self, tensor: Tensor) -> Array:
        """A value for a graph input."""
        if tensor.type == "bits":
            return bits.pack(self.signs(*tensor.shape))
        if tensor.type == "bool":
            return self.signs(*tensor.shape)
        if tensor.type == "int8":
            return self.random.randint(-128, 128, tensor.shape).astype(np.int8)
        return self.steps(*tensor.shape).astype(tensor.type)


# How multiplier and bias (O,) are drawn. "half": STEP * +-(dot + n + 1/2), never nearer to 0 than STEP / 2.
# "whole": STEP * +-(dot + n). "ties": with scale 2 every second int8 value lies half-way between two integers.
AFFINES: dict[str, Callable[[Draw, int], tuple[Array, Array]]] = {
    "random": lambda draw, n: (draw.floats(n), draw.random.uniform(-9, 9, n)),
    "half": lambda draw, n: (STEP * (1 - 2 * draw.signs(n)), STEP * (draw.random.randint(-4, 5, n) + 0.5)),
    "whole": lambda draw, n: (STEP * (1 - 2 * draw.signs(n)), STEP * draw.random.randint(-4, 5, n)),
    "ties": lambda draw, n: (1 - 2 * draw.signs(n), draw.random.randint(-4, 5, n)),
    "identity": lambda draw, n: (np.ones(n), np.zeros(n)),
    "zero": lambda draw, n: (np.zeros(n), draw.random.uniform(-9, 9, n)),
}


def _middle(draw: Draw, out: int, k: int) -> Array:
    return (k // 2 + np.rint(draw.random.uniform(-1, 1, out) * np.sqrt(k))).astype(np.int32)


def _extreme(draw: Draw, out: int, k: int) -> Array:
    return np.resize(np.array([INT32_MIN, INT32_MAX, -1, 0, k, k - 1, k // 2, k + 1, -k], np.int32), out)


THRESHOLDS: dict[str, Callable[[Draw, int, int], Array]] = {"middle": _middle, "extreme": _extreme}


@dataclass
class Sketch:
    """A graph under construction together with the stream its constants come from."""

    draw: Draw
    graph: Graph = field(default_factory=Graph)

    def conv(self, x: Tensor, spec: Conv, weights: Tensor | None = None, **fields: Any) -> Tensor:
        """LceBconv2d with drawn constants; `fields` override them, or give scale and zero_point of an int8 output."""
        channels = x.shape[-1] // spec.groups
        k = spec.filter[0] * spec.filter[1] * channels
        constants: dict[str, Array] = {}
        if spec.type != "bits" or spec.all_constants:
            multiplier, bias = AFFINES[spec.affine](self.draw, spec.out)
            constants |= {"multiplier": multiplier.astype(np.float32), "bias": bias.astype(np.float32)}
        if spec.type == "bits" or spec.all_constants:
            constants["thresholds"] = THRESHOLDS[spec.thresholds](self.draw, spec.out, k)
        if spec.type == "int8":
            fields.setdefault("scale", 2.0 if spec.affine == "ties" else float(np.float32(1.5 * np.sqrt(k) / 127)))
            fields.setdefault("zero_point", int(self.draw.random.randint(-20, 21)))
        return self.graph.bconv(
            x,
            self.draw.signs(spec.out, *spec.filter, channels) if weights is None else weights,
            type=spec.type,
            stride=spec.stride,
            dilation=spec.dilation,
            padding=spec.padding,
            pad_value=spec.pad_value,
            activation=spec.activation,
            **(constants | fields),
        )

    def case(self, name: str, *outputs: Tensor, alignment: int = 16) -> Case:
        """The finished case."""
        self.graph.output(*outputs)
        return Case(name, self.graph, [self.draw.array(tensor) for tensor in self.graph.inputs], alignment)


def _tags(op: Op) -> Iterator[str]:
    if op.kind == "LceQuantize" and op.inputs[0] is not None:
        yield f"LceQuantize in={op.inputs[0].type}"
        yield f"LceQuantize rank={len(op.inputs[0].shape)}"
        yield f"LceQuantize channels={op.inputs[0].shape[-1]}"
    elif op.kind == "LceDequantize":
        yield f"LceDequantize out={op.outputs[0].type}"
        yield f"LceDequantize channels={op.outputs[0].shape[-1]}"
    elif op.kind == "LceBMaxPool2d":
        options = op.options
        yield f"LceBMaxPool2d size={options['filter_height']}x{options['filter_width']}"
        yield f"LceBMaxPool2d stride={options['stride_height']}x{options['stride_width']}"
        yield f"LceBMaxPool2d {PADDINGS[options['padding']]}"
    elif op.kind == "LceBconv2d":
        yield from (f"LceBconv2d {tag}" for tag in _conv_tags(op))
    else:
        yield op.kind


def _conv_tags(op: Op) -> Iterator[str]:
    x, weights, output, options = op.inputs[0], op.inputs[1], op.outputs[0], op.options
    assert x is not None and weights is not None
    padding = PADDINGS[options["padding"]] + (str(options["pad_values"]) if options["padding"] == 0 else "")
    dilation = options["dilation_height_factor"], options["dilation_width_factor"]
    size = weights.shape[1:3]
    yield f"out={output.type}"
    yield f"{padding}"
    yield f"{padding} out={output.type}"
    yield f"stride={options['stride_height']}x{options['stride_width']}"
    yield f"dilation={dilation[0]}x{dilation[1]}"
    yield f"filter={size[0]}x{size[1]}"
    yield f"groups={bits.words(x.shape[-1]) // weights.shape[-1]}"
    yield f"channels_in={x.shape[-1]}"
    yield f"channels_out={output.shape[-1]}"
    yield f"batch={x.shape[0]}"
    yield f"{ACTIVATIONS[options['fused_activation_function']]} out={output.type}"
    if any((n - 1) * d >= extent for n, d, extent in zip(size, dilation, x.shape[1:3], strict=True)):
        yield "filter larger than image"
