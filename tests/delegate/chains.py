"""Graphs of several ops: bitpacked chains, residual blocks, shared tensors and constants, builtin glue between.

A builder gets its case's name and returns the case. Where a float32 tensor feeds LceQuantize, its affine is dyadic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgebnn import bits

from .cases import Case, Conv, Draw, Sketch
from .graph import Tensor

CHAINS: dict[str, Callable[[str], Case]] = {}
BITS = Conv(type="bits")
HALF = Conv(affine="half")


def _chain(build: Callable[[str], Case]) -> Callable[[str], Case]:
    CHAINS[build.__name__.replace("_", "-")] = build
    return build


def _start(name: str, *shape: int) -> tuple[Sketch, Tensor]:
    sketch = Sketch(Draw(name))
    return sketch, sketch.graph.input(shape)


@_chain
def bitpacked(name: str) -> Case:
    sketch, x = _start(name, 1, 7, 7, 40)
    y = sketch.conv(sketch.graph.quantize(x), replace(BITS, out=72))
    y = sketch.conv(y, replace(BITS, out=33, padding="VALID"))
    y = sketch.conv(y, replace(BITS, out=64, filter=(1, 1)))
    return sketch.case(name, sketch.conv(y, Conv(out=10)))


@_chain
def bitpacked_deep(name: str) -> Case:
    sketch, x = _start(name, 2, 6, 6, 64)
    y = sketch.graph.quantize(x)
    for _ in range(8):
        y = sketch.conv(y, replace(BITS, out=64))
    return sketch.case(name, y)


@_chain
def pooled(name: str) -> Case:
    sketch, x = _start(name, 1, 9, 8, 48)
    y = sketch.conv(sketch.graph.quantize(x), replace(BITS, out=70))
    y = sketch.graph.bpool(y, (2, 2), (2, 2))
    y = sketch.conv(y, replace(BITS, out=64))
    y = sketch.graph.bpool(y, (3, 3), (2, 2), "SAME")
    return sketch.case(name, sketch.conv(y, Conv(out=8, padding="VALID", filter=(1, 1))))


@_chain
def pool_of_quantize(name: str) -> Case:
    sketch, x = _start(name, 1, 8, 8, 33)
    y = sketch.graph.bpool(sketch.graph.quantize(x), (2, 3), (2, 1))
    return sketch.case(name, sketch.graph.bpool(y, (2, 2), (2, 2)), y)


@_chain
def float_between(name: str) -> Case:
    sketch, x = _start(name, 1, 6, 6, 32)
    y = sketch.conv(sketch.graph.quantize(x), replace(HALF, out=48, pad_value=0))
    return sketch.case(name, sketch.conv(sketch.graph.quantize(y), Conv(out=16, pad_value=0)))


@_chain
def exact_zeros(name: str) -> Case:
    """Without bias a dot of 0 is exactly +0.0 in front of the sign; a fused multiply-add would leave +-1e-8."""
    sketch, x = _start(name, 1, 8, 8, 40)
    y = sketch.conv(sketch.graph.quantize(x), Conv(out=40), bias=np.zeros(40, np.float32))
    return sketch.case(name, sketch.graph.quantize(y))


@_chain
def residual(name: str) -> Case:
    sketch, x = _start(name, 1, 6, 6, 64)
    for affine in ("half", "whole", "whole"):
        y = sketch.conv(sketch.graph.quantize(x), Conv(out=64, affine=affine, pad_value=0))
        x = sketch.graph.add(y, x)
    return sketch.case(name, x)


@_chain
def residual_downsampling(name: str) -> Case:
    """Two stages; the shortcut of the second is a pooled and widened input."""
    sketch, x = _start(name, 2, 8, 8, 32)
    x = sketch.graph.add(x, sketch.conv(sketch.graph.quantize(x), HALF))
    short = sketch.graph.max_pool(x, (2, 2), (2, 2))
    down = sketch.conv(sketch.graph.quantize(x), Conv(affine="whole", stride=(2, 2)))
    return sketch.case(name, sketch.conv(sketch.graph.quantize(sketch.graph.add(down, short)), Conv(out=20)), short)


@_chain
def residual_fused_relu(name: str) -> Case:
    sketch, x = _start(name, 1, 5, 5, 32)
    y = sketch.conv(sketch.graph.quantize(x), replace(HALF, activation="RELU"))
    return sketch.case(name, sketch.graph.add(y, x, "RELU"))


@_chain
def add_broadcast(name: str) -> Case:
    sketch, x = _start(name, 1, 5, 5, 64)
    y = sketch.conv(sketch.graph.quantize(x), replace(HALF, out=33))
    shift = sketch.graph.constant(sketch.draw.steps(33))
    return sketch.case(name, sketch.conv(sketch.graph.quantize(sketch.graph.add(y, shift)), Conv(out=9)))


@_chain
def add_to_itself(name: str) -> Case:
    sketch, x = _start(name, 1, 4, 4, 32)
    y = sketch.conv(sketch.graph.quantize(x), HALF)
    return sketch.case(name, sketch.graph.quantize(sketch.graph.add(y, y)))


@_chain
def scaled_between(name: str) -> Case:
    """MUL and RELU stay with the host and cut the graph into partitions."""
    sketch, x = _start(name, 1, 5, 6, 32)
    y = sketch.conv(sketch.graph.quantize(x), HALF)
    y = sketch.graph.mul(y, sketch.graph.constant(np.full(32, -0.5, np.float32)))
    y = sketch.conv(sketch.graph.quantize(y), HALF)
    return sketch.case(name, sketch.graph.relu(y))


@_chain
def max_pool_between(name: str) -> Case:
    sketch, x = _start(name, 1, 8, 8, 32)
    y = sketch.graph.max_pool(sketch.conv(sketch.graph.quantize(x), HALF), (2, 2), (2, 2))
    return sketch.case(name, sketch.conv(sketch.graph.quantize(y), Conv(out=12)))


@_chain
def quantize_shared(name: str) -> Case:
    sketch, x = _start(name, 1, 7, 5, 72)
    q = sketch.graph.quantize(x)
    wide = sketch.conv(q, Conv(out=40, filter=(5, 5)))
    bitpacked_output = sketch.conv(q, replace(BITS, out=40, stride=(2, 1)))
    return sketch.case(name, wide, bitpacked_output, q)


@_chain
def bits_inside_and_outside(name: str) -> Case:
    sketch, x = _start(name, 1, 6, 6, 64)
    y = sketch.conv(sketch.graph.quantize(x), replace(BITS, out=96))
    z = sketch.conv(y, Conv(out=24))
    return sketch.case(name, y, z, sketch.graph.dequantize(y))


@_chain
def float_inside_and_outside(name: str) -> Case:
    sketch, x = _start(name, 2, 4, 5, 64)
    y = sketch.conv(sketch.graph.quantize(x), replace(HALF, out=64))
    z = sketch.conv(sketch.graph.quantize(y), replace(HALF, out=64))
    return sketch.case(name, z, y, sketch.graph.add(y, z))


@_chain
def diamond(name: str) -> Case:
    sketch, x = _start(name, 1, 6, 6, 32)
    y = sketch.conv(sketch.graph.quantize(x), BITS)
    left, right = sketch.conv(y, HALF), sketch.conv(y, Conv(affine="whole", filter=(1, 1)))
    return sketch.case(name, sketch.conv(sketch.graph.quantize(sketch.graph.add(left, right)), Conv(out=5)))


@_chain
def two_inputs(name: str) -> Case:
    sketch, x = _start(name, 1, 5, 5, 40)
    other = sketch.graph.input((1, 5, 5, 33), "int8", scale=0.1, zero_point=-4)
    left = sketch.conv(sketch.graph.quantize(x), Conv(out=16))
    right = sketch.conv(sketch.graph.quantize(other), Conv(out=16, filter=(1, 1)))
    return sketch.case(name, sketch.graph.add(left, right), right)


@_chain
def three_heads(name: str) -> Case:
    """Outputs at three scales, as a detector has."""
    sketch, x = _start(name, 1, 12, 12, 32)
    y, heads = sketch.graph.quantize(x), []
    for out in (6, 3, 40):
        y = sketch.conv(y, replace(BITS, out=64, stride=(2, 2)))
        heads.append(sketch.conv(y, Conv(out=out, filter=(1, 1))))
    return sketch.case(name, *reversed(heads))


@_chain
def time_series(name: str) -> Case:
    sketch, x = _start(name, 3, 1, 24, 32)
    y = sketch.conv(sketch.graph.quantize(x), replace(BITS, out=64, filter=(1, 5)))
    y = sketch.graph.bpool(y, (1, 2), (1, 2))
    return sketch.case(name, sketch.conv(y, Conv(out=10, filter=(1, 3), dilation=(1, 2), pad_value=0)))


@_chain
def int8_chain(name: str) -> Case:
    sketch = Sketch(Draw(name))
    x = sketch.graph.input((1, 6, 6, 48), "int8", scale=0.05, zero_point=7)
    y = sketch.conv(sketch.graph.quantize(x), Conv(out=33, type="int8", affine="ties"))
    return sketch.case(name, sketch.conv(sketch.graph.quantize(y), Conv(out=8, type="int8", activation="RELU6")), y)


@_chain
def bool_round_trip(name: str) -> Case:
    sketch = Sketch(Draw(name))
    q = sketch.graph.quantize(sketch.graph.input((2, 3, 70), "bool"))
    b = sketch.graph.dequantize(q, "bool")
    return sketch.case(name, b, sketch.graph.quantize(b))


@_chain
def dequantize_requantize(name: str) -> Case:
    sketch, x = _start(name, 1, 5, 5, 40)
    y = sketch.graph.dequantize(sketch.conv(sketch.graph.quantize(x), replace(BITS, out=40)))
    i = sketch.graph.dequantize(sketch.graph.quantize(y), "int8", scale=0.02, zero_point=9)
    return sketch.case(name, sketch.graph.quantize(i), i)


@_chain
def filter_shared(name: str) -> Case:
    """One filter constant used by three convolutions of different geometry: repacked weights must not mix."""
    sketch, x = _start(name, 1, 7, 7, 64)
    q = sketch.graph.quantize(x)
    weights = sketch.graph.constant(bits.pack(sketch.draw.signs(32, 3, 3, 64)))
    outputs = [sketch.conv(q, spec, weights) for spec in (Conv(), Conv(stride=(2, 2), pad_value=0), BITS)]
    return sketch.case(name, *outputs)


@_chain
def filter_bytes_shared(name: str) -> Case:
    """The same bytes as filters of different shape: 32 of 3x3x128, 64 of 3x3 in two groups, 96 of 1x1x384."""
    sketch, x = _start(name, 1, 5, 5, 128)
    q = sketch.graph.quantize(x)
    words = bits.pack(sketch.draw.signs(32, 3, 3, 128))
    first = sketch.graph.constant(words)
    grouped = sketch.graph.constant(words.reshape(64, 3, 3, 2), shares=first)
    flat = sketch.graph.constant(words.reshape(96, 1, 3, 4), shares=first)
    y = sketch.conv(q, Conv(), first)
    z = sketch.conv(q, Conv(out=64, groups=2), grouped)
    return sketch.case(name, y, z, sketch.conv(q, Conv(out=96, filter=(1, 3)), flat))


@_chain
def constant_input(name: str) -> Case:
    """A convolution of a constant, as folded graphs have."""
    sketch, x = _start(name, 1, 4, 4, 16)
    signs = sketch.draw.signs(1, 4, 4, 64)
    constant = sketch.graph.tensor(signs.shape, "bits", data=bits.pack(signs))
    return sketch.case(name, sketch.graph.add(x, sketch.conv(constant, Conv(out=16))))


@_chain
def unused_output(name: str) -> Case:
    sketch, x = _start(name, 1, 4, 4, 64)
    q = sketch.graph.quantize(x)
    sketch.conv(q, replace(BITS, out=64))
    return sketch.case(name, sketch.conv(q, Conv(out=7)))


@_chain
def groups_between(name: str) -> Case:
    sketch, x = _start(name, 1, 5, 5, 128)
    y = sketch.conv(sketch.graph.quantize(x), replace(BITS, out=64, groups=4))
    return sketch.case(name, sketch.conv(y, Conv(out=12, groups=2, pad_value=0)))


@_chain
def least_alignment(name: str) -> Case:
    """Constants aligned to 4 bytes only, as files of other writers are."""
    sketch, x = _start(name, 1, 5, 5, 72)
    y = sketch.conv(sketch.graph.quantize(x), replace(BITS, out=40))
    return sketch.case(name, sketch.conv(y, Conv(out=11)), alignment=4)


@_chain
def nothing_binary(name: str) -> Case:
    sketch, x = _start(name, 1, 3, 3, 8)
    return sketch.case(name, sketch.graph.relu(sketch.graph.add(x, x)))


@_chain
def conv_of_bits_input(name: str) -> Case:
    """A graph whose inputs and outputs are all bitpacked."""
    sketch = Sketch(Draw(name))
    x = sketch.graph.input((2, 6, 5, 100), "bits")
    return sketch.case(name, sketch.conv(sketch.graph.bpool(x, (2, 2), (1, 1)), replace(BITS, out=100)))
