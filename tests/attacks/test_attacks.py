"""Every hostile file is refused, by the delegate, with its one line."""

from __future__ import annotations

import pytest
from ai_edge_litert.interpreter import Interpreter

import edgebnn

from .make_attacks import ATTACKS, FOLDER


def test_every_attack_has_its_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.tflite")} == set(ATTACKS)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("kernel", ["auto", "reference"])
def test_refused_with_one_line(name: str, kernel: str) -> None:
    model = FOLDER.joinpath(f"{name}.tflite").read_bytes()
    with pytest.raises((RuntimeError, ValueError)) as refused:
        interpreter = Interpreter(model_content=model, experimental_delegates=[edgebnn.load_delegate(kernel=kernel)])
        interpreter.allocate_tensors()
        interpreter.invoke()
    assert f"edgebnn: {ATTACKS[name].line}. " in str(refused.value)
