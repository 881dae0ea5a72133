"""Models that the delegate must refuse, each with the op and the words that the message must name.

`evidence` says what LCE 0.16 does with the model: "refuses" (each of its three kernels), "crashes" (at least one), or
"nonsense": it accepts, and the result hangs on accidents (reads beyond a tensor, an option taken for another, an empty
output, weights cached from the first call).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from edgebnn import bits

from .cases import Case, Conv, Draw, Sketch
from .graph import Graph, Op, Tensor

ABSENT = object()
BITS, INT8 = Conv(type="bits"), Conv(type="int8")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Refusal:
    """`build()` makes the model; the message names `op` and holds `words`."""

    op: str
    words: str
    evidence: str
    build: Callable[[], Case]


REFUSALS: dict[str, Refusal] = {}


def exchanged(op: Op, options: Mapping[str, Any]) -> dict[str, Any]:
    """The op's options with some exchanged or, where ABSENT is given, taken out."""
    return {key: value for key, value in {**op.options, **options}.items() if value is not ABSENT}


def conv_case(
    spec: Conv = Conv(),  # noqa: B008
    *,
    channels: int = 64,
    filter_channels: int = 0,
    inputs: Mapping[int, Callable[[Graph], Tensor | None]] | None = None,
    input_count: int = 5,
    image: Shape = (1, 5, 6),
    raw_options: bytes | None = None,
    options: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Case:
    """LceQuantize -> LceBconv2d: inputs and options exchanged, the filter made for `filter_channels`."""
    sketch = Sketch(Draw("refusal"))
    x = sketch.graph.quantize(sketch.graph.input((*image, channels)))
    filter_shape = (spec.out, *spec.filter, filter_channels or channels // spec.groups)
    weights = sketch.graph.constant(bits.pack(sketch.draw.signs(*filter_shape)))
    output = sketch.conv(x, spec, weights, **fields)
    op = sketch.graph.ops[-1]
    slots = [*op.inputs, None]
    for index, make in (inputs or {}).items():
        slots[index] = make(sketch.graph)
    sketch.graph.ops[-1] = replace(
        op, inputs=tuple(slots[:input_count]), options=exchanged(op, options or {}), raw_options=raw_options
    )
    return sketch.case("refusal", output)


def pool_case(
    options: Mapping[str, Any] | None = None,
    *,
    raw_options: bytes | None = None,
    image: Shape = (1, 4, 4),
    type: str = "bits",
) -> Case:
    """LceBMaxPool2d 2x2 with options exchanged, or on a tensor that it does not take."""
    sketch = Sketch(Draw("refusal"))
    x = sketch.graph.input((*image, 40), type)
    output = sketch.graph.bpool(replace(x, shape=(1, 4, 4, 40)), (2, 2), (2, 2))
    op = sketch.graph.ops[-1]
    sketch.graph.ops[-1] = replace(op, inputs=(x,), options=exchanged(op, options or {}), raw_options=raw_options)
    return sketch.case("refusal", output)


def unary_case(kind: str, source: tuple[Shape, str], target: tuple[Shape, str], **fields: Any) -> Case:
    """One LceQuantize or LceDequantize between tensors of any (shape, type)."""
    sketch = Sketch(Draw("refusal"))
    return sketch.case(
        "refusal", sketch.graph.op(kind, [sketch.graph.input(*source)], sketch.graph.tensor(*target, **fields))
    )


def _constant(shape: Shape, dtype: Any = np.float32) -> Callable[[Graph], Tensor]:
    return lambda graph: graph.constant(np.ones(shape, dtype))


def _no_tensor(graph: Graph) -> None:
    return None


def _input(shape: Shape, type: str = "float32") -> Callable[[Graph], Tensor]:
    return lambda graph: graph.input(shape, type)


def _add(evidence: str, op: str, rows: Mapping[str, tuple[str, Callable[[], Case]]]) -> None:
    for name, (words, build) in rows.items():
        assert name not in REFUSALS, name
        REFUSALS[name] = Refusal(op, words, evidence, build)


def _conv(words: str, *arguments: Any, **keywords: Any) -> tuple[str, Callable[[], Case]]:
    return words, partial(conv_case, *arguments, **keywords)


def _conv_options(words: str, **options: Any) -> tuple[str, Callable[[], Case]]:
    return words, partial(conv_case, options=options)


def _pool(words: str, **options: Any) -> tuple[str, Callable[[], Case]]:
    return words, partial(pool_case, options)


def _unary(kind: str, words: str, *tensors: tuple[Shape, str], **fields: Any) -> tuple[str, Callable[[], Case]]:
    return words, partial(unary_case, kind, *tensors, **fields)


ZERO = Conv(pad_value=0)
CONV_OPTIONS = (
    "channels_in",
    "dilation_height_factor",
    "dilation_width_factor",
    "fused_activation_function",
    "pad_values",
    "padding",
    "stride_height",
    "stride_width",
)
POOL_OPTIONS = ("filter_height", "filter_width", "padding", "stride_height", "stride_width")

_add(
    "refuses",
    "LceBconv2d",
    {
        "odd-same0-int8": _conv("odd", replace(ZERO, type="int8"), channels=33),
        "odd-same0-bits": _conv("odd", replace(ZERO, type="bits", all_constants=True), channels=33),
        "odd-same0-relu": _conv("odd", replace(ZERO, activation="RELU"), channels=1),
        "groups-of-24-channels": _conv("group", Conv(out=33), channels=72, filter_channels=32),
        "groups-of-part-words": _conv("group", channels=96, filter_channels=64),
        "groups-of-more-words": _conv("group", channels=64, filter_channels=96),
        "groups-of-outputs-unequal": _conv("group", Conv(groups=2, out=33)),
        "output-uint8": _conv("output", Conv(type="uint8")),
        "output-int16": _conv("output", Conv(type="int16")),
        "output-bool": _conv("output", Conv(type="bool")),
        "int8-without-quantization": _conv("scale", INT8, scale=None, zero_point=0),
        "inputs-4": _conv("five inputs", input_count=4),
        "inputs-6": _conv("five inputs", input_count=6),
        "filter-3d": _conv("filter", inputs={1: _constant((32, 3, 6), np.int32)}),
        "filter-float": _conv("filter", inputs={1: _constant((32, 3, 3, 2))}),
        "multiplier-short": _conv("post_activation_multiplier", inputs={2: _constant((31,))}),
        "multiplier-one": _conv("post_activation_multiplier", inputs={2: _constant((1,))}),
        "multiplier-2d": _conv("post_activation_multiplier", inputs={2: _constant((1, 32))}),
        "multiplier-int32": _conv("post_activation_multiplier", inputs={2: _constant((32,), np.int32)}),
        "bias-long": _conv("post_activation_bias", inputs={3: _constant((33,))}),
        "bias-int32": _conv("post_activation_bias", inputs={3: _constant((32,), np.int32)}),
        "thresholds-short": _conv("thresholds", BITS, inputs={4: _constant((31,), np.int32)}),
        "thresholds-2d": _conv("thresholds", BITS, inputs={4: _constant((32, 1), np.int32)}),
        "thresholds-float": _conv("thresholds", BITS, inputs={4: _constant((32,))}),
        "input-float": _conv("input", inputs={0: _input((1, 5, 6, 2))}),
        "input-3d": _conv("dimensions", inputs={0: _input((5, 6, 64), "bits")}),
        "input-int8": _conv("input", inputs={0: _input((1, 5, 6, 2), "int8")}),
        **{f"conv-without-{key}": _conv_options(key, **{key: ABSENT}) for key in CONV_OPTIONS},
        "conv-pad-values-2": _conv_options("pad_values", pad_values=2),
        "conv-pad-values-negative": _conv_options("pad_values", pad_values=-1),
        "conv-stride-negative": _conv_options("stride_height", stride_height=-1),
        "conv-stride-null": _conv_options("stride_height", stride_height=None),
    },
)
_add(
    "refuses",
    "LceQuantize",
    {
        **{
            f"quantize-{kind}": _unary("LceQuantize", "input", ((2, 40), kind), ((2, 2), "int32"))
            for kind in ("uint8", "int16", "int32", "int64")
        },
        "quantize-to-float32": _unary("LceQuantize", "output", ((2, 40), "float32"), ((2, 2), "float32")),
        "quantize-to-int8": _unary("LceQuantize", "output", ((2, 40), "float32"), ((2, 2), "int8")),
        "quantize-rank": _unary("LceQuantize", "rank", ((2, 40), "float32"), ((1, 2, 2), "int32")),
    },
)
_add(
    "refuses",
    "LceDequantize",
    {
        **{
            f"dequantize-{kind}": _unary("LceDequantize", "output", ((2, 2), "int32"), ((2, 40), kind))
            for kind in ("uint8", "int16", "int32", "int64")
        },
        "dequantize-of-float32": _unary("LceDequantize", "input", ((2, 2), "float32"), ((2, 40), "float32")),
        "dequantize-rank": _unary("LceDequantize", "rank", ((2, 2), "int32"), ((1, 2, 40), "float32")),
        "dequantize-too-many-channels": _unary("LceDequantize", "channels", ((2, 2), "int32"), ((2, 65), "float32")),
        "dequantize-too-few-channels": _unary("LceDequantize", "channels", ((2, 2), "int32"), ((2, 32), "float32")),
    },
)
_add(
    "refuses",
    "LceBMaxPool2d",
    {
        **{f"pool-{key}-0": _pool(key, **{key: 0}) for key in POOL_OPTIONS if key != "padding"},
        **{f"pool-without-{key}": _pool(key, **{key: ABSENT}) for key in POOL_OPTIONS if key != "padding"},
        "pool-3d": ("dimensions", partial(pool_case, image=(4, 4))),
        "pool-float": ("input", partial(pool_case, type="float32")),
    },
)
_add(
    "crashes",
    "LceBconv2d",
    {
        "no-input": _conv("input", inputs={0: _no_tensor}),
        "no-filter": _conv("filter", inputs={1: _no_tensor}),
        "no-multiplier": _conv("post_activation_multiplier", inputs={2: _no_tensor}),
        "no-bias": _conv("post_activation_bias", inputs={3: _no_tensor}),
        "no-thresholds": _conv("thresholds", BITS, inputs={4: _no_tensor}),
        "conv-channels-in-0": _conv_options("channels_in", channels_in=0),
        "conv-stride-0": _conv_options("stride_height", stride_height=0),
        "conv-padding-2": _conv_options("padding", padding=2),
        "conv-padding-negative": _conv_options("padding", padding=-1),
        "conv-larger-than-image": _conv("spans", Conv(padding="VALID"), image=(1, 2, 2)),
        "filter-height-0": _conv("dimension", inputs={1: _constant((32, 0, 3, 2), np.int32)}),
        "filter-words-0": _conv("dimension", inputs={1: _constant((32, 3, 3, 0), np.int32)}),
    },
)
_add(
    "nonsense",
    "LceBconv2d",
    {
        "conv-reaching-beyond-int32": _conv(
            "spans", options={"dilation_width_factor": 1 << 20}, inputs={1: _constant((32, 1, 4200, 2), np.int32)}
        ),
        "int8-of-nan": _conv("finite", INT8, inputs={2: lambda graph: graph.constant(np.full(32, np.nan, np.float32))}),
        "int8-of-infinity": _conv(
            "finite", INT8, inputs={3: lambda graph: graph.constant(np.full(32, np.inf, np.float32))}
        ),
        "options-5000-bytes": _conv("bytes", raw_options=bytes(5000)),
        "filter-of-no-outputs": _conv("dimension", inputs={1: _constant((0, 3, 3, 2), np.int32)}),
        "filter-not-constant": _conv("filter", inputs={1: _input((32, 3, 3, 2), "int32")}),
        "multiplier-not-constant": _conv("post_activation_multiplier", inputs={2: _input((32,))}),
        "thresholds-not-constant": _conv("thresholds", BITS, inputs={4: _input((32,), "int32")}),
        "input-words": _conv("words", channels=128, options={"channels_in": 64}, filter_channels=64),
        "int8-scale-0": _conv("scale", INT8, scale=0.0),
        "int8-scale-negative": _conv("scale", INT8, scale=-0.5),
        "int8-scale-nan": _conv("scale", INT8, scale=float("nan")),
        "conv-channels-in-negative": _conv_options("channels_in", channels_in=-64),
        "conv-channels-in-huge": _conv_options("channels_in", channels_in=2**31 - 1),
        "conv-stride-huge": _conv_options("stride_width", stride_width=2**40 + 1),
        "conv-stride-least": _conv_options("stride_width", stride_width=-(2**63)),
        "conv-dilation-0": _conv_options("dilation_width_factor", dilation_width_factor=0),
        "conv-dilation-negative": _conv_options("dilation_width_factor", dilation_width_factor=-1),
        "conv-dilation-huge": _conv_options("dilation_height_factor", dilation_height_factor=2**32 + 1),
        **{
            f"conv-activation{number}": _conv_options("fused_activation_function", fused_activation_function=number)
            for number in (4, 5, -1, 99)
        },
        "conv-pad-values-huge": _conv_options("pad_values", pad_values=2**32),
        "conv-stride-float": _conv_options("stride_height", stride_height=1.0),
        "conv-stride-text": _conv_options("stride_height", stride_height="1"),
        "conv-stride-list": _conv_options("stride_height", stride_height=[1]),
        "conv-stride-map": _conv_options("stride_height", stride_height={"stride_height": 1}),
        "conv-stride-blob": _conv_options("stride_height", stride_height=b"\1"),
    },
)
_add(
    "nonsense",
    "LceBMaxPool2d",
    {
        "pool-without-padding": _pool("padding", padding=ABSENT),
        "pool-padding-2": _pool("padding", padding=2),
        "pool-stride-negative": _pool("stride_width", stride_width=-1),
        "pool-size-huge": _pool("filter_width", filter_width=2**33 + 2),
        "pool-size-text": _pool("filter_width", filter_width="2"),
        "pool-larger-than-image": ("spans", partial(pool_case, {"filter_height": 5})),
    },
)
_add(
    "nonsense",
    "LceDequantize",
    {
        "dequantize-int8-without-scale": _unary("LceDequantize", "scale", ((2, 2), "int32"), ((2, 40), "int8")),
        "dequantize-int8-scale-0": _unary(
            "LceDequantize", "scale", ((2, 2), "int32"), ((2, 40), "int8"), scale=0.0, zero_point=3
        ),
    },
)
