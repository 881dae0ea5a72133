"""The delegate in a stock interpreter equals the oracles on the whole grid, with every choice of kernels."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import edgebnn
from edgebnn.delegate.loader import Delegate

from . import grid, judge
from .kernels import KERNELS
from .run_golden import invoke

CHOICES = [("auto", 3), *((kernel, 1) for kernel in KERNELS)]


@cache
def delegate(kernel: str, num_threads: int) -> Delegate:
    return edgebnn.load_delegate(kernel=kernel, num_threads=num_threads)


@pytest.mark.parametrize(("kernel", "num_threads"), CHOICES)
@pytest.mark.parametrize("name", grid.CASES)
def test_equals_oracles(name: str, kernel: str, num_threads: int) -> None:
    case = grid.case(name)
    interpreter = Interpreter(
        model_content=judge.model(case), experimental_delegates=[delegate(kernel, num_threads)], num_threads=1
    )
    outputs = invoke(interpreter, case.inputs)
    for label, wanted in judge.expected(case).items():
        assert not judge.difference(outputs, wanted), label


@pytest.mark.parametrize("wrong", [np.float32(1e-3), np.float32(np.nan)])
def test_the_judge_sees_a_small_error(wrong: np.float32) -> None:
    case = grid.case("conv-same1-float32")
    (wanted,) = judge.expected(case)["numpy"]
    got = wanted.copy()
    got[0, 1, 2, 3] += wrong * np.ptp(wanted)
    assert judge.difference([got], [wanted])
