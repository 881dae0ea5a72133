"""Hostile .tflite files, each with the one line by which the delegate must refuse it.

    python -m tests.attacks.make_attacks

writes NAME.tflite here for every entry of ATTACKS. Each is a small network with one lie in its tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.delegate.cases import Case, Conv
from tests.delegate.flatfile import custom_options, to_bytes
from tests.delegate.graph import Graph, Op, Tensor
from tests.delegate.refusals import conv_case, pool_case, unary_case

FOLDER = Path(__file__).parent
SMALL = Conv(out=8)
Make = Callable[[Graph], Tensor | None]


@dataclass(frozen=True)
class Attack:
    """`line` is what the delegate says, without its "edgebnn: " in front."""

    line: str
    build: Callable[[], Graph]


ATTACKS: dict[str, Attack] = {}


def _add(name: str, line: str, build: Callable[..., Case], *arguments: Any, **keywords: Any) -> None:
    ATTACKS[name] = Attack(line, lambda: build(*arguments, **keywords).graph)


def _constant(shape: tuple[int, ...], dtype: Any = np.float32, fill: float = 1) -> Make:
    return lambda graph: graph.constant(np.full(shape, fill, dtype))


def _absent(graph: Graph) -> None:
    return None


def _conv(name: str, line: str, spec: Conv = SMALL, **keywords: Any) -> None:
    _add(name, f"LceBconv2d (node 1): {line}", conv_case, spec, **keywords)


def _pool(name: str, line: str, **options: Any) -> None:
    _add(name, f"LceBMaxPool2d (node 0): {line}", pool_case, options)


def _wide_options(old: bytes = b"", new: bytes = b"") -> bytes:
    """A convolution's options, all scalars eight bytes wide, with some bytes exchanged."""
    options = custom_options({**conv_case(SMALL).graph.ops[-1].options, "zzz": 2**40})
    assert old in options
    return options.replace(old, new)


def _options(name: str, line: str, octets: bytes) -> None:
    _conv(f"options-{name}", line, raw_options=octets)


def _graph(name: str, line: str, draw: Callable[[Graph], Tensor]) -> None:
    """An attack of `draw`, which makes a graph and returns its output."""

    def build() -> Graph:
        graph = Graph()
        graph.output(draw(graph))
        return graph

    ATTACKS[name] = Attack(line, build)


def _quantize_to_constant(graph: Graph) -> Tensor:
    words = graph.constant(np.zeros((1, 2, 2, 2), np.int32))
    return graph.op("LceQuantize", [graph.input((1, 2, 2, 64))], words)


def _two_outputs(graph: Graph) -> Tensor:
    x = graph.input((1, 2, 2, 64))
    outputs = tuple(graph.tensor(x.shape, "bits") for _ in range(2))
    graph.ops.append(Op("LceQuantize", (x,), outputs))
    return graph.dequantize(outputs[0])


def _written_twice(graph: Graph) -> Tensor:
    words = graph.quantize(graph.input((1, 64, 64, 64)))
    graph.op("LceQuantize", [graph.input((1, 2, 2, 64))], words)
    return graph.dequantize(words)


def _huge_image(graph: Graph) -> Tensor:
    return graph.quantize(graph.input((1, 46341, 46341, 32), "int8"))


COUNT = (9).to_bytes(8, "little")
_options("empty", "it has no options", b"")
_options("5000-bytes", "its options are 5000 bytes, more than 4096", bytes(5000))
_options(
    "count-2-to-61",
    "its options are 2305843009213693952 entries, more than 64",
    _wide_options(COUNT, (2**61).to_bytes(8, "little")),
)
_options("count-10", "its options have 9 names for 10 values", _wide_options(COUNT, (10).to_bytes(8, "little")))
_options(
    "root-beyond",
    "its options have an offset out of bounds",
    _wide_options()[:-3] + b"\xff" + _wide_options()[-2:],
)
_options("width-0", "its options have a number of 0 bytes", _wide_options()[:-1] + b"\0")
_options("name-without-end", "its options have a name without end", b"AAAA\1\5\1\1\1\5\4\2\x24\1")
_conv("stride-0", "its option 'stride_height' is 0, expected 1 to 1048576", options={"stride_height": 0})
_conv(
    "stride-beyond-int32",
    "its option 'stride_width' is 1099511627777, expected 1 to 1048576",
    options={"stride_width": 2**40 + 1},
)
_conv(
    "dilation-negative",
    "its option 'dilation_width_factor' is -1, expected 1 to 1048576",
    options={"dilation_width_factor": -1},
)
_conv(
    "activation-sign-bit",
    "its option 'fused_activation_function' is 5, expected 0 to 3",
    options={"fused_activation_function": 5},
)
_conv(
    "channels-fewer-than-words",
    "its input has 4 words a pixel, channels_in = 64 needs 2",
    channels=128,
    options={"channels_in": 64},
    filter_channels=64,
)
_conv("channels-more-than-words", "its 8 output channels are not 16384 equal groups", options={"channels_in": 1 << 20})
_conv(
    "reach-beyond-int32",
    "its filter spans 628097025 elements, more than 536870912",
    replace(SMALL, filter=(1, 600), dilation=(1, 1 << 20)),
    channels=32,
)
_conv("filter-absent", "it needs five inputs, of which the first two are the input and the filter", inputs={1: _absent})
_conv(
    "filter-float",
    "its filter must be a constant of int32 words [channels out, height, width, words]",
    inputs={1: _constant((8, 3, 3, 2))},
)
_conv("filter-of-no-words", "a tensor has a dimension of 0", inputs={1: _constant((8, 3, 3, 0), np.int32)})
_conv(
    "filter-not-constant",
    "its filter must be a constant of int32 words [channels out, height, width, words]",
    inputs={1: lambda graph: graph.input((8, 3, 3, 2), "int32")},
)
_conv(
    "multiplier-short",
    "its post_activation_multiplier must be a constant of 8 float32 values",
    inputs={2: _constant((7,))},
)
_conv(
    "multiplier-infinite",
    "channel 0 of its int8 output has a multiplier or bias that is no finite number in steps of its scale",
    replace(SMALL, type="int8"),
    inputs={2: _constant((8,), fill=np.inf)},
)
_conv(
    "bias-of-int32",
    "its post_activation_bias must be a constant of 8 float32 values",
    inputs={3: _constant((8,), np.int32)},
)
_conv(
    "thresholds-short",
    "its thresholds must be a constant of 8 int32 values",
    replace(SMALL, type="bits"),
    inputs={4: _constant((7,), np.int32)},
)
_conv("four-inputs", "it needs five inputs, of which the first two are the input and the filter", input_count=4)
_conv("int8-scale-nan", "its int8 output has no scale", replace(SMALL, type="int8"), scale=float("nan"))
_conv("groups-unequal", "its 9 output channels are not 2 equal groups", replace(SMALL, groups=2, out=9))
_pool(
    "pool-window-beyond-int32", "its option 'filter_width' is 8589934594, expected 1 to 1048576", filter_width=2**33 + 2
)
_pool("pool-larger-than-image", "its filter spans 5 elements, more than its input's 4", filter_height=5)
_add(
    "dequantize-more-channels-than-words",
    "LceDequantize (node 0): its output has 650 channels, its input has 2 words of 32",
    unary_case,
    "LceDequantize",
    ((2, 2), "int32"),
    ((2, 650), "float32"),
)
_graph("quantize-elements-beyond-int32", "LceQuantize (node 0): a tensor has 2^31 elements or more", _huge_image)
_graph("output-is-constant", "LceQuantize (node 0): its output is a constant", _quantize_to_constant)
_graph("two-outputs", "LceQuantize (node 0): it has 2 outputs, expected 1", _two_outputs)
_graph(
    "written-twice",
    "LceQuantize (node 1): its output is tensor 1, which it or an earlier node reads or writes",
    _written_twice,
)


def main() -> None:
    """The command."""
    for stale in FOLDER.glob("*.tflite"):
        stale.unlink()
    for name, attack in ATTACKS.items():
        Path(FOLDER, f"{name}.tflite").write_bytes(to_bytes(attack.build()))


if __name__ == "__main__":
    main()
