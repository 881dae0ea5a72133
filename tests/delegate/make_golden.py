"""The golden core: 41 models with inputs and outputs, for machines where LCE does not install.

    python -m tests.delegate.make_golden [DIRECTORY]

writes NAME.tflite and NAME.npz (in0.., out0..) to tests/golden. Outputs are LCE's where a kernel of LCE is right, else
the numpy oracle's. Needs TensorFlow, larq and larq-compute-engine.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from . import converted, glue, grid, judge, lce, oracle
from .flatfile import input_arrays
from .run_golden import GOLDEN

GRID = (
    "conv-same1-float32",
    "conv-same0-float32",
    "conv-valid-bits",
    "conv-same0-int8",
    "conv-in1",
    "conv-in33-same0",
    "conv-groups2-int8",
    "conv-groups4-same0",
    "conv-groups3-out33-bits",
    "conv-valid-filter7x3",
    "conv-same0-dilation1x2",
    "conv-same1-relu_n1_to_1-int8",
    "conv-same0-relu6-float32",
    "conv-image1x1-same0",
    "conv-image2x2-same0-odd",
    "conv-batch3-int8",
    "conv-source-bool",
    "conv-ties-same0",
    "conv-thresholds-extreme",
    "conv-extreme-dots-640-bits",
    "conv-rounding",
    "conv-large-k-int8",
    "conv-many-out-bits",
    "conv-many-pixels-int8",
    "quantize-special",
    "quantize-int8-zero-1",
    "quantize-rank5-float32",
    "dequantize-int8-scale0.4",
    "pool-2x3-stride1x1-same",
    "chain-pooled",
    "chain-residual-downsampling",
    "chain-filter-bytes-shared",
    "chain-exact-zeros",
    "chain-int8-chain",
    "chain-three-heads",
)
CONVERTED = (
    "converted-groups",
    "converted-int8-between",
    "converted-max-pool",
    "converted-odd-channels",
    "converted-stem-and-heads",
)
GLUE = ("glue-every-op",)
Golden = tuple[bytes, dict[str, judge.Array]]


def from_grid(name: str) -> Golden:
    """(model, arrays) of a case of the grid."""
    case = grid.case(name)
    answers = judge.expected(case)
    return judge.model(case), _arrays(case.inputs, answers.get("LCE", answers["numpy"]))


def from_converter(name: str, models: Mapping[str, bytes]) -> Golden:
    """(model, arrays) of a converted model."""
    model = models[name]
    inputs = input_arrays(model, partial(converted.inputs_of, name))
    return model, _arrays(inputs, lce.run(model, inputs, kernel=converted.lce_kernel(name)))


def from_glue() -> Golden:
    """(model, arrays) of the float ops that the delegate claims, by the numpy oracle."""
    case = glue.every_op()
    return judge.model(case), _arrays(case.inputs, oracle.run(case.graph, case.inputs))


def _arrays(inputs: list[judge.Array], outputs: list[judge.Array]) -> dict[str, judge.Array]:
    named = {f"in{i}": value for i, value in enumerate(inputs)}
    return named | {f"out{i}": value for i, value in enumerate(outputs)}


def main(directory: Path = GOLDEN) -> None:
    """The command."""
    models = {name: converted.convert(name) for name in CONVERTED}
    golden = {name: from_grid(name) for name in GRID} | {name: from_converter(name, models) for name in CONVERTED}
    golden |= {name: from_glue() for name in GLUE}
    directory.mkdir(parents=True, exist_ok=True)
    for stale in (path for path in directory.iterdir() if path.stem not in golden):
        stale.unlink()
    for name, (model, arrays) in golden.items():
        Path(directory, f"{name}.tflite").write_bytes(model)
        np.savez_compressed(Path(directory, f"{name}.npz"), **arrays)


if __name__ == "__main__":
    if lce.extension() is None:
        sys.exit("golden models are made where larq-compute-engine is installed: Python 3.10 to 3.12 on x86_64")
    main(*map(Path, sys.argv[1:]))
