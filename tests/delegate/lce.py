"""Larq Compute Engine's own interpreter as the oracle, loaded without TensorFlow."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from .graph import PADDING, Op, window

REFERENCE, OPTIMISED, INDIRECT = (True, False), (False, False), (False, True)


@cache
def extension() -> ModuleType | None:
    """LCE's interpreter extension, or None where LCE is not installed (Python 3.13, aarch64)."""
    package = importlib.util.find_spec("larq_compute_engine")
    if package is None or package.origin is None:
        return None
    found = list(Path(package.origin).parent.glob("tflite/python/interpreter_wrapper_lite*.so"))
    if not found:
        return None
    spec = importlib.util.spec_from_file_location("interpreter_wrapper_lite", found[0])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(
    model: bytes, inputs: Sequence[npt.NDArray[Any]], *, kernel: tuple[bool, bool] = REFERENCE
) -> list[npt.NDArray[Any]]:
    """Outputs of a model in subgraph order under one of LCE's kernels; RuntimeError where that kernel refuses it."""
    module = extension()
    assert module is not None, "LCE is not installed"
    reference, indirect = kernel
    interpreter = module.LiteInterpreter(model, 1, reference, indirect, False)
    # LCE compares dtypes by identity, and an unpickled array's is not numpy's own.
    return [np.array(output) for output in interpreter.predict([value.astype(value.dtype.type) for value in inputs])]


def right_kernel(op: Op) -> tuple[bool, bool] | None:
    """Which kernel computes this LceBconv2d as defined, None where none does.

    SAME padding with pad value 0: the reference kernel reads the multiplier even where bitpacked output has none, and
    refuses an odd number of channels; the others correct the edges, but leave out windows that reach over or touch
    both sides of an axis.
    """
    x, weights = op.inputs[0], op.inputs[1]
    assert x is not None and weights is not None
    options = op.options
    if options["padding"] != PADDING["SAME"] or options["pad_values"] != 0:
        return REFERENCE
    if x.shape[-1] % 2 == 0:
        return None if op.inputs[2] is None else REFERENCE
    strides = options["stride_height"], options["stride_width"]
    dilations = options["dilation_height_factor"], options["dilation_width_factor"]
    overhangs = [
        list(_overhangs(x.shape[axis + 1], weights.shape[axis + 1], strides[axis], dilations[axis])) for axis in (0, 1)
    ]
    return OPTIMISED if all(_corrected(*rows, *columns) for rows, columns in product(*overhangs)) else None


def _overhangs(size: int, filter_size: int, stride: int, dilation: int) -> Iterator[tuple[int, int]]:
    """By how many pixels each window sticks out (before, behind); negative where it lies inside."""
    out, before = window(size, filter_size, stride, dilation, "SAME")
    effective = (filter_size - 1) * dilation + 1
    return ((before - i * stride, i * stride - before + effective - size) for i in range(out))


def _corrected(top: int, bottom: int, left: int, right: int) -> bool:
    """Whether LCE's table of corrections has an entry for the window (core/bconv2d/zero_padding_correction.h)."""
    return (
        max(top, bottom, left, right) <= 0
        or (right <= 0 and top > 0 and bottom < 0)
        or (left < 0 and right > 0 and bottom <= 0)
        or (left > 0 and right < 0 and top <= 0)
        or (left <= 0 and top < 0 and bottom > 0)
    )
