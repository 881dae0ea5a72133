"""What a model adds to the memory of a process that runs it with the delegate: scripts/memory.py MODEL.

A fresh process imports what it needs; then come the model's file, interpreter, delegate and 20 invokes on one thread.
Prints the growth of VmHWM (peak resident), of PSS and of private dirty pages, in MB, and the library's size.
"""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import edgebnn
from edgebnn.runtime.model import read_model

INVOKES = 20
FIGURES = {"VmHWM": "status", "Pss": "smaps_rollup", "Private_Dirty": "smaps_rollup"}


def read() -> dict[str, float]:
    """The figures of this process, MB."""
    found = {}
    for name, file in FIGURES.items():
        lines = Path(f"/proc/self/{file}").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith(f"{name}:"))
        found[name] = int(line.split()[1]) / 1024
    return found


def main(model: str) -> None:
    """Measure `model`, a file or the name of one in the package."""
    library = edgebnn.delegate_path().stat().st_size
    np.zeros(1)
    before = read()
    name, content = read_model(model)
    interpreter = Interpreter(model_content=content, experimental_delegates=[edgebnn.load_delegate()])
    interpreter.allocate_tensors()
    for _ in range(INVOKES):
        interpreter.invoke()
    after = read()
    grown = ", ".join(f"{figure} +{after[figure] - before[figure]:.2f} MB" for figure in FIGURES)
    print(f"{name}: {grown}; {edgebnn.delegate_path().name} {library / 1e6:.2f} MB as it lies there")


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["face"])
