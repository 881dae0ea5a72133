"""Runs the golden models under one stock runtime with the delegate; needs numpy, that runtime and edgebnn only.

    python tests/delegate/run_golden.py --runtime ai_edge_litert|tflite_runtime|tensorflow [--kernel K] [--fuse 0|1]
        [--threads N]

Prints each failure, then `N passed, M failed`; exit code 1 if any failed. The files: see make_golden.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
FLOAT_TOLERANCE = 1e-4
RUNTIMES = {
    "ai_edge_litert": "ai_edge_litert.interpreter",
    "tflite_runtime": "tflite_runtime.interpreter",
    "tensorflow": "tensorflow.lite",
}


def interpreter_class(runtime: str) -> Any:
    """The class Interpreter of a runtime."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if runtime == "tensorflow":
        return import_module("tensorflow").lite.Interpreter
    return import_module(RUNTIMES[runtime]).Interpreter


def invoke(interpreter: Any, inputs: Sequence[Any]) -> list[Any]:
    """Outputs in the order of the subgraph; allocates the tensors."""
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def difference(got: Any, wanted: Any) -> str:
    """How one output differs, "" where it is equal: floats within 1e-4 of the range, all else exactly."""
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
        return f"{got.dtype}{got.shape}, expected {wanted.dtype}{wanted.shape}"
    tolerance = FLOAT_TOLERANCE * np.ptp(wanted) if wanted.dtype == np.float32 and wanted.size else 0
    unequal = ~(np.abs(got.astype(np.float64) - wanted.astype(np.float64)) <= tolerance)
    if not unequal.any():
        return ""
    where = tuple(int(i) for i in np.argwhere(unequal)[0])
    return f"{int(unequal.sum())} of {unequal.size} differ, first at {where}: {got[where]}, expected {wanted[where]}"


def check(path: Path, interpreter: Any, delegate: Any) -> str:
    """Run one golden model; the reason it fails, "" where it passes."""
    with np.load(path.with_suffix(".npz")) as arrays:
        inputs = [arrays[f"in{i}"] for i in range(sum(name.startswith("in") for name in arrays.files))]
        wanted = [arrays[f"out{i}"] for i in range(len(arrays.files) - len(inputs))]
    try:
        host = interpreter(model_content=path.read_bytes(), experimental_delegates=[delegate], num_threads=1)
        outputs = invoke(host, inputs)
    except (RuntimeError, ValueError) as error:
        return str(error)
    if len(outputs) != len(wanted):
        return f"{len(outputs)} outputs, expected {len(wanted)}"
    return "; ".join(filter(None, map(difference, outputs, wanted)))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", choices=list(RUNTIMES), default="ai_edge_litert")
    parser.add_argument("--kernel", choices=("auto", "avx2", "portable", "reference"), default="auto")
    parser.add_argument("--fuse", type=int, choices=(0, 1), default=1)
    parser.add_argument("--threads", type=int, default=1, help="threads of the delegate")
    options = parser.parse_args()
    from edgebnn.delegate.loader import load_delegate

    interpreter = interpreter_class(options.runtime)
    delegate = load_delegate(num_threads=options.threads, kernel=options.kernel, fuse=options.fuse)
    models = sorted(GOLDEN.glob("*.tflite"))
    failures = {path.stem: reason for path in models if (reason := check(path, interpreter, delegate))}
    for name, reason in failures.items():
        print(f"FAILED {name}: {reason}")
    print(f"{len(models) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures or not models else 0


if __name__ == "__main__":
    sys.exit(main())
