"""The golden models pass, and are what their generator makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import edgebnn

from . import lce, make_golden, run_golden
from .kernels import KERNELS
from .run_golden import GOLDEN

needs_lce = pytest.mark.skipif(lce.extension() is None, reason="larq-compute-engine is not installed")


@pytest.mark.parametrize("fuse", [0, 1])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", make_golden.GRID + make_golden.CONVERTED + make_golden.GLUE)
def test_passes(name: str, kernel: str, fuse: int) -> None:
    delegate = edgebnn.load_delegate(kernel=kernel, fuse=fuse)
    assert not run_golden.check(GOLDEN / f"{name}.tflite", Interpreter, delegate)


def test_command() -> None:
    command = [sys.executable, run_golden.__file__, "--runtime", "ai_edge_litert", "--threads", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert finished.stdout.splitlines()[-1] == "41 passed, 0 failed", finished.stderr
    assert finished.returncode == 0


def test_41_models_below_five_megabytes() -> None:
    files = list(GOLDEN.iterdir())
    names = {*make_golden.GRID, *make_golden.CONVERTED, *make_golden.GLUE}
    assert len(names) == 41
    assert {path.stem for path in files} == names
    assert sum(path.stat().st_size for path in files) < 5_000_000


@needs_lce
@pytest.mark.parametrize("name", make_golden.GRID)
def test_grid_is_regenerated(name: str) -> None:
    _equals_golden(name, make_golden.from_grid(name))


@needs_lce
@pytest.mark.parametrize("name", make_golden.CONVERTED)
def test_converted_is_regenerated(name: str, converted_models: dict[str, bytes]) -> None:
    _equals_golden(name, make_golden.from_converter(name, converted_models))


def test_glue_is_regenerated() -> None:
    _equals_golden("glue-every-op", make_golden.from_glue())


def _equals_golden(name: str, made: make_golden.Golden) -> None:
    model, arrays = made
    assert Path(GOLDEN, f"{name}.tflite").read_bytes() == model
    with np.load(GOLDEN / f"{name}.npz") as golden:
        assert set(golden.files) == set(arrays)
        for key, value in arrays.items():
            assert np.array_equal(golden[key], value, equal_nan=value.dtype == np.float32)
