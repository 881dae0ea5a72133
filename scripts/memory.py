"""What a model adds to the memory of a process that runs it with the delegate: scripts/memory.py MODEL.

A fresh process imports what it needs; then come the model's file, interpreter, delegate and 20 invokes on one thread.
Prints the growth of VmHWM (peak resident), of PSS and of private dirty pages, in MB, and the library's size. Of a
detector whose input turns with the picture, also what the first picture of the other orientation adds to that.
"""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import edgebnn
from edgebnn.card import read_card
from edgebnn.runtime.model import read_model
from edgebnn.runtime.turned import turned

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


def run(content: bytes) -> Interpreter:
    """The interpreter of a .tflite after `INVOKES` invokes."""
    interpreter = Interpreter(model_content=content, experimental_delegates=[edgebnn.load_delegate()])
    interpreter.allocate_tensors()
    for _ in range(INVOKES):
        interpreter.invoke()
    return interpreter


def grown(before: dict[str, float], after: dict[str, float]) -> str:
    """By how much each figure grew."""
    return ", ".join(f"{figure} +{after[figure] - before[figure]:.2f} MB" for figure in FIGURES)


def main(model: str) -> None:
    """Measure `model`, a file or the name of one in the package."""
    library = edgebnn.delegate_path().stat().st_size
    np.zeros(1)
    before = read()
    name, content = read_model(model)
    interpreter = run(content)
    after = read()
    print(f"{name}: {grown(before, after)}; {edgebnn.delegate_path().name} {library / 1e6:.2f} MB as it lies there")
    card = read_card(content)
    if card is not None and card.preprocess is not None and card.preprocess.turns:
        both = interpreter, run(turned(content))
        print(f"{name}, turned: {grown(after, read())}; {len(both)} interpreters then")


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["face"])
