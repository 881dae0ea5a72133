"""The kernel registry of a test build, driven through ctypes with numpy arrays."""

from __future__ import annotations

import ctypes
import os
import subprocess
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[3]
FORMS = {"float32": 0, "int8": 1, "bits": 2}
NO_LIMIT = (-(2**31), 2**31 - 1)
FAMILIES = ("bconv2d", "quantize", "dequantize", "bmaxpool", "elementwise", "pool", "move")


@cache
def library() -> ctypes.CDLL:
    """EDGEBNN_KERNELS names a library that is built already; otherwise CMake builds one under build/."""
    ready = os.environ.get("EDGEBNN_KERNELS")
    if not ready:
        build = ROOT / "build" / "kernels-testing"
        options = ["-DEDGEBNN_KERNEL_LIBRARY=ON", "-DEDGEBNN_WERROR=ON"]
        subprocess.run(
            ["cmake", "-S", ROOT / "edgebnn/delegate", "-B", build, *options], check=True, capture_output=True
        )
        built = subprocess.run(["cmake", "--build", build, "-j2"], capture_output=True, text=True)
        assert built.returncode == 0, built.stdout + built.stderr
        ready = str(build / "libedgebnn_kernels_testing.so")
    loaded = ctypes.CDLL(ready)
    for family in FAMILIES:
        getattr(loaded, f"edgebnn_{family}_name").restype = ctypes.c_char_p
    return loaded


def variants(family: str) -> list[tuple[int, str]]:
    """(index, name) of all variants of a family, in the registry's order."""
    found: list[tuple[int, str]] = []
    while name := getattr(library(), f"edgebnn_{family}_name")(len(found)):
        found.append((len(found), name.decode()))
    return found


@dataclass
class Convolution:
    """BConv2DShape, in its order."""

    batches: int = 1
    in_height: int = 5
    in_width: int = 6
    channels_in: int = 32
    out_height: int = 0
    out_width: int = 0
    channels_out: int = 8
    filter_height: int = 3
    filter_width: int = 3
    groups: int = 1
    stride_height: int = 1
    stride_width: int = 1
    dilation_height: int = 1
    dilation_width: int = 1
    pad_top: int = 0
    pad_left: int = 0
    zero_padding: int = 0

    def same(self) -> Convolution:
        """With TFLite's SAME output size and padding."""
        for axis in ("height", "width"):
            size, stride = getattr(self, f"in_{axis}"), getattr(self, f"stride_{axis}")
            reach = (getattr(self, f"filter_{axis}") - 1) * getattr(self, f"dilation_{axis}") + 1
            out = -(-size // stride)
            setattr(self, f"out_{axis}", out)
            setattr(self, "pad_top" if axis == "height" else "pad_left", max((out - 1) * stride + reach - size, 0) // 2)
        return self

    def valid(self) -> Convolution:
        """With TFLite's VALID output size."""
        for axis in ("height", "width"):
            reach = (getattr(self, f"filter_{axis}") - 1) * getattr(self, f"dilation_{axis}") + 1
            setattr(self, f"out_{axis}", (getattr(self, f"in_{axis}") - reach) // getattr(self, f"stride_{axis}") + 1)
        return self

    def numbers(self) -> Any:
        return (ctypes.c_int * 17)(*(getattr(self, field.name) for field in fields(self)))


def pointer(array: np.ndarray | None) -> Any:
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)


def bconv2d(
    variant: int,
    shape: Convolution,
    form: str,
    *,
    filters: np.ndarray,
    images: np.ndarray,
    multiplier: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    thresholds: np.ndarray | None = None,
    clamp: tuple[int, int] = NO_LIMIT,
    threads: int = 1,
) -> np.ndarray | None:
    """Output of a variant, None where it does not take the shape. A guard behind the output must stay untouched."""
    words = -(-shape.channels_out // 32) if form == "bits" else shape.channels_out
    dtype = {"float32": np.float32, "int8": np.int8, "bits": np.int32}[form]
    count = shape.batches * shape.out_height * shape.out_width * words
    guarded = np.full(count + 64, 77, dtype)
    status = library().edgebnn_bconv2d(
        variant,
        shape.numbers(),
        FORMS[form],
        (ctypes.c_int32 * 2)(*clamp),
        pointer(multiplier),
        pointer(bias),
        pointer(thresholds),
        pointer(filters),
        pointer(images),
        pointer(guarded),
        threads,
    )
    if status != 0:
        return None
    assert (guarded[count:] == 77).all(), "wrote behind its output"
    return guarded[:count].reshape(shape.batches, shape.out_height, shape.out_width, words)
