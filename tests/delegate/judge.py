"""The oracles' answers for the grid and how an answer is judged (the project's rule of parity)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy.typing as npt

from . import lce, oracle, run_golden
from .cases import Case
from .flatfile import to_bytes

Array = npt.NDArray[Any]


@cache
def model(case: Case) -> bytes:
    """The case as a .tflite file."""
    return to_bytes(case.graph, alignment=case.alignment)


@cache
def expected(case: Case) -> dict[str, list[Array]]:
    """The outputs by oracle: "numpy" always, "LCE" where it is installed and has a kernel that is right."""
    answers = {"numpy": oracle.run(case.graph, case.inputs)}
    if case.lce_kernel is not None and lce.extension() is not None:
        answers["LCE"] = lce.run(model(case), case.inputs, kernel=case.lce_kernel)
    return answers


def difference(got: Sequence[Array], wanted: Sequence[Array]) -> str:
    """How outputs differ, "" where they are equal: bits, bools and int8 exactly, floats within 1e-4 of the range."""
    if len(got) != len(wanted):
        return f"{len(got)} outputs, expected {len(wanted)}"
    reports = (run_golden.difference(*pair) for pair in zip(got, wanted, strict=True))
    return "; ".join(f"output {i}: {report}" for i, report in enumerate(reports) if report)
