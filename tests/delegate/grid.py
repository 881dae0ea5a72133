"""The grid: every feature of the LCE ops alone, then in random combination. `CASES` maps a name to its builder.

Sizes lie around the vector widths; names and streams are fixed, so a failing name reproduces alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from edgebnn import bits

from . import chains
from .cases import Case, Conv, Draw, Sketch
from .graph import ACTIVATION, Pair

CHANNELS = (1, 3, 8, 31, 32, 33, 40, 48, 63, 64, 65, 70, 72, 96, 100, 128, 160, 256)
FILTERS = ((1, 1), (2, 2), (3, 3), (5, 5), (1, 5), (7, 3), (4, 4))
STRIDES = ((1, 1), (2, 2), (3, 3), (2, 1))
DILATIONS = ((1, 1), (2, 2), (1, 2), (2, 1))
TYPES = ("float32", "int8", "bits")
# (padding, pad value): pad value 0 needs an even number of channels, or float32 without activation.
PADDINGS = (("SAME", 1), ("SAME", 0), ("VALID", 1))
# int8 scale and zero point of LceDequantize: exact, halves that round away from zero, nothing left, saturated.
STEPS = ((1.0, 0), (0.5, 3), (2.0, 0), (3.0, 5), (0.4, -100), (0.005, 0), (0.001, -3), (0.03, 120))
TINY = ((1, 1), (1, 9), (9, 1), (2, 2), (2, 9), (1, 2))

# Cases with exact zeros in front of a sign, on purpose: every right kernel gives +0.0 there.
EXACT_ZEROS = ("quantize-special", "chain-exact-zeros")

CASES: dict[str, Callable[[], Case]] = {}


@cache
def case(name: str) -> Case:
    """The case of that name."""
    return CASES[name]()


def single_conv(name: str, spec: Conv, *, image: tuple[int, ...], channels: int, source: str) -> Case:
    """source -> (LceQuantize ->) LceBconv2d."""
    sketch = Sketch(Draw(name))
    x = sketch.graph.input((*image, channels), source, **({"scale": 0.5, "zero_point": 3} if source == "int8" else {}))
    packed = x if source == "bits" else sketch.graph.quantize(x)
    return sketch.case(name, sketch.conv(packed, spec))


def _extreme_dots(name: str, *, channels: int, filter_size: Pair, type: str, pad_value: int) -> Case:
    """Dots of -K and +K: accumulators of 8 and 16 bits overflow here, not with random signs."""
    sketch = Sketch(Draw(name))
    x = sketch.graph.input((3, filter_size[0], 2, channels), "bits")
    weights = sketch.draw.signs(9, *filter_size, channels)
    weights[0:3], weights[3:6] = False, True
    spec = Conv(9, filter_size, type, pad_value=pad_value, thresholds="extreme", affine="half", all_constants=True)
    case = sketch.case(name, sketch.conv(x, spec, sketch.graph.constant(bits.pack(weights))))
    signs = sketch.draw.signs(*x.shape)
    signs[0], signs[1] = False, True
    return replace(case, inputs=[bits.pack(signs)])


def _rounding(name: str) -> Case:
    """int8 outputs that are their channel's bias alone: halves, their neighbours, the ends of the range."""
    sketch = Sketch(Draw(name))
    halves = np.array([0.5, 1.5, 2.5, 63.5, 126.5, 127.5, 128.5, 4194303.5, 1e9], np.float32)
    bias = np.concatenate([halves, np.nextafter(halves, np.float32(0)), np.nextafter(halves, np.float32(1e10))])
    bias = np.concatenate([bias, -bias, [0.0, -0.0]]).astype(np.float32)
    x = sketch.graph.quantize(sketch.graph.input((1, 2, 3, 32)))
    spec = Conv(out=len(bias), filter=(1, 1), type="int8", affine="zero")
    return sketch.case(name, sketch.conv(x, spec, bias=bias, scale=1.0, zero_point=0))


def _add(name: str, build: Callable[[str], Case]) -> None:
    assert name not in CASES, name
    CASES[name] = partial(build, name)


def _conv(
    name: str, *, image: tuple[int, ...] = (1, 6, 7), channels: int = 64, source: str = "float32", **spec: Any
) -> None:
    build = partial(single_conv, spec=Conv(**spec), image=image, channels=channels, source=source)
    _add(f"conv-{name}", build)


def _dims(pair: Pair) -> str:
    return f"{pair[0]}x{pair[1]}"


def _label(padding: str, pad_value: int) -> str:
    return "valid" if padding == "VALID" else f"same{pad_value}"


def _add_convs() -> None:
    for padding, pad_value in PADDINGS:
        label, fixed = _label(padding, pad_value), {"padding": padding, "pad_value": pad_value}
        for kind in TYPES:
            _conv(f"{label}-{kind}", type=kind, out=40, **fixed)
        for filter_size in FILTERS:
            _conv(f"{label}-filter{_dims(filter_size)}", image=(1, 8, 7), filter=filter_size, **fixed)
        for stride in STRIDES[1:]:
            _conv(f"{label}-stride{_dims(stride)}", image=(1, 8, 9), stride=stride, **fixed)
        for dilation in DILATIONS[1:]:
            _conv(f"{label}-dilation{_dims(dilation)}", image=(1, 8, 9), dilation=dilation, **fixed)
        for activation in list(ACTIVATION)[1:]:
            for kind in TYPES[:2]:
                _conv(f"{label}-{activation.lower()}-{kind}", type=kind, activation=activation, filter=(1, 2), **fixed)
    for channels in CHANNELS:
        _conv(f"in{channels}", channels=channels)
        _conv(f"in{channels}-same0", channels=channels, pad_value=0)
        for kind in TYPES:
            _conv(f"out{channels}-{kind}", image=(1, 3, 5), channels=40, out=channels, type=kind)
    for groups in (2, 4):
        for kind in TYPES:
            _conv(f"groups{groups}-{kind}", channels=128, out=24, groups=groups, type=kind)
        _conv(f"groups{groups}-same0", channels=64 * groups, out=40 * groups, groups=groups, pad_value=0, stride=(2, 1))
    _conv("groups3-out33-bits", channels=96, out=33, groups=3, type="bits")
    for image in TINY:
        _conv(f"image{_dims(image)}", image=(1, *image))
        _conv(f"image{_dims(image)}-same0", image=(1, *image), pad_value=0, filter=(5, 3))
        _conv(f"image{_dims(image)}-same0-odd", image=(1, *image), channels=33, pad_value=0)
    for batch in (2, 3):
        for kind in TYPES:
            _conv(f"batch{batch}-{kind}", image=(batch, 4, 5), channels=48, out=33, type=kind, pad_value=0)
    for source in ("int8", "bool", "bits"):
        _conv(f"source-{source}", source=source, channels=70)
    for affine in ("identity", "zero", "half", "ties"):
        for kind in TYPES[:2]:
            _conv(f"affine-{affine}-{kind}", affine=affine, type=kind, channels=33, filter=(2, 2))
    _conv("ties-same0", affine="ties", type="int8", channels=34, pad_value=0)
    _conv("thresholds-extreme", thresholds="extreme", type="bits", out=40)
    _conv("thresholds-extreme-same0", thresholds="extreme", type="bits", pad_value=0, all_constants=True)
    _conv("all-constants-float32", all_constants=True)
    _conv("all-constants-bits", all_constants=True, type="bits", activation="RELU")
    for kind in TYPES:
        _conv(f"large-k-{kind}", image=(1, 4, 4), channels=512, out=48, type=kind)
        _conv(f"many-out-{kind}", image=(1, 2, 3), out=515, type=kind, filter=(1, 1))
    for channels, size in ((640, 5), (4096, 3), (8192, 3), (65408, 1), (65440, 1), (65504, 1), (65536, 1)):
        for kind in TYPES if size > 1 else TYPES[:1]:
            pad_value = int(channels != 4096)
            build = partial(_extreme_dots, channels=channels, filter_size=(size, size), type=kind, pad_value=pad_value)
            _add(f"conv-extreme-dots-{channels}-{kind}", build)
    for pad_value in (0, 1):
        _conv(f"far-dilation-same{pad_value}", filter=(2, 3), dilation=(1, 1000), pad_value=pad_value, channels=40)
        _conv(f"far-stride-same{pad_value}", image=(2, 5, 7), stride=(1000, 2**19), pad_value=pad_value, channels=40)
    _add("conv-rounding", _rounding)
    _conv("pointwise-wide", image=(1, 5, 5), channels=1024, filter=(1, 1), out=17)
    _conv("1xT-stride", image=(1, 1, 32), channels=48, filter=(1, 5), stride=(1, 2), type="bits")
    _conv("1xT-dilation", image=(1, 1, 32), channels=48, filter=(1, 5), dilation=(1, 4), pad_value=0)
    for kind in TYPES:
        _conv(f"many-pixels-{kind}", image=(1, 33, 19), channels=96, out=40, type=kind)
    _conv("many-pixels-same0-odd", image=(2, 17, 16), channels=33, out=72, pad_value=0)
    _conv("stride-over-filter", image=(1, 9, 9), filter=(1, 1), stride=(3, 3))


def _quantize_only(name: str, *, shape: tuple[int, ...], type: str, zero_point: int = 0) -> Case:
    sketch = Sketch(Draw(name))
    quantized = {"scale": 0.25, "zero_point": zero_point} if type == "int8" else {}
    return sketch.case(name, sketch.graph.quantize(sketch.graph.input(shape, type, **quantized)))


def _quantize_special(name: str) -> Case:
    """Both zeros, infinities and NaN: a bit is x < 0, not the sign bit."""
    built = _quantize_only(name, shape=(2, 5, 70), type="float32")
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1, -1], np.float32)
    return replace(built, inputs=[np.resize(special, (2, 5, 70))])


def _dequantize_only(name: str, *, channels: int, type: str, scale: float | None = None, zero_point: int = 0) -> Case:
    sketch = Sketch(Draw(name))
    x = sketch.graph.input((2, 3, channels), "bits")
    return sketch.case(name, sketch.graph.dequantize(x, type, scale=scale, zero_point=zero_point))


def _pool_only(name: str, *, image: tuple[int, ...], channels: int, size: Pair, stride: Pair, padding: str) -> Case:
    sketch = Sketch(Draw(name))
    x = sketch.graph.input((*image, channels), "bits")
    return sketch.case(name, sketch.graph.bpool(x, size, stride, padding))


def _add_others() -> None:
    for channels in CHANNELS:
        _add(f"quantize-float32-{channels}", partial(_quantize_only, shape=(1, 2, 3, channels), type="float32"))
    for channels in (8, 33, 160):
        _add(f"quantize-bool-{channels}", partial(_quantize_only, shape=(2, 3, 2, channels), type="bool"))
    for zero_point in (-129, -128, -127, -1, 0, 5, 127, 128):
        build = partial(_quantize_only, shape=(1, 3, 2, 100), type="int8", zero_point=zero_point)
        _add(f"quantize-int8-zero{zero_point}", build)
    for shape in ((70,), (3, 33), (2, 3, 64), (2, 1, 2, 3, 48)):
        for kind in ("float32", "int8"):
            _add(f"quantize-rank{len(shape)}-{kind}", partial(_quantize_only, shape=shape, type=kind))
    _add("quantize-special", _quantize_special)
    for channels in (1, 31, 32, 33, 100, 256):
        for kind in ("float32", "bool"):
            _add(f"dequantize-{kind}-{channels}", partial(_dequantize_only, channels=channels, type=kind))
    for scale, zero_point in STEPS:
        build = partial(_dequantize_only, channels=40, type="int8", scale=scale, zero_point=zero_point)
        _add(f"dequantize-int8-scale{scale}", build)
    for size, stride in (((2, 2), (2, 2)), ((3, 3), (2, 2)), ((2, 3), (1, 1)), ((1, 2), (1, 2)), ((2, 2), (3, 1))):
        for padding in ("SAME", "VALID"):
            build = partial(_pool_only, image=(2, 5, 7), channels=70, size=size, stride=stride, padding=padding)
            _add(f"pool-{_dims(size)}-stride{_dims(stride)}-{padding.lower()}", build)
    for channels in (1, 32, 65, 160, 288):
        build = partial(_pool_only, image=(1, 4, 4), channels=channels, size=(2, 2), stride=(2, 2), padding="VALID")
        _add(f"pool-channels{channels}", build)
    build = partial(_pool_only, image=(1, 2, 3), channels=33, size=(5, 5), stride=(1, 1), padding="SAME")
    _add("pool-larger-than-image", build)


def _random_conv(name: str) -> Case:
    """Any combination that LCE accepts."""
    draw = Draw(name).random
    pick = lambda options: options[draw.randint(len(options))]  # noqa: E731
    groups = pick((1, 1, 1, 2, 4))
    channels = pick(CHANNELS) if groups == 1 else groups * pick((32, 64))
    padding, pad_value = pick(PADDINGS)
    kind, activation = pick(TYPES), pick(list(ACTIVATION))
    if padding == "SAME" and pad_value == 0 and channels % 2:
        kind, activation = "float32", "NONE"
    spec = Conv(
        out=groups * pick(CHANNELS[:13]),
        filter=pick(FILTERS),
        type=kind,
        stride=pick((*STRIDES, (1, 3))),
        dilation=pick((*DILATIONS, (1, 1), (3, 1))),
        padding=padding,
        pad_value=pad_value,
        activation=activation,
        groups=groups,
        affine=pick(("random", "half", "ties")),
        all_constants=kind == "bits" and padding == "SAME" and pad_value == 0,
    )
    spans = [(n - 1) * d + 1 for n, d in zip(spec.filter, spec.dilation, strict=True)]
    smallest = spans if padding == "VALID" else [1, 1]
    image = (pick((1, 1, 2, 3)), *(low + draw.randint(7) for low in smallest))
    return single_conv(name, spec, image=image, channels=channels, source=pick(("float32", "int8", "bool", "bits")))


_add_convs()
_add_others()
for _number in range(128):
    _add(f"random-{_number:03}", _random_conv)
for _name, _build in chains.CHAINS.items():
    _add(f"chain-{_name}", _build)
