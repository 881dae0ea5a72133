"""What LCE refuses, or computes wrongly, the delegate refuses with a reason that names the op."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ai_edge_litert.interpreter import Interpreter

import edgebnn

from . import judge, lce
from .isolated import LCE_KERNELS, Worker
from .refusals import REFUSALS
from .run_golden import invoke


@pytest.fixture(scope="module")
def lce_workers() -> Iterator[list[Worker]]:
    workers = [Worker(engine) for engine in LCE_KERNELS]
    yield workers
    for worker in workers:
        worker.__exit__()


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses_with_the_reason(name: str) -> None:
    refusal = REFUSALS[name]
    case = refusal.build()
    with pytest.raises((RuntimeError, ValueError)) as refused:
        interpreter = Interpreter(model_content=judge.model(case), experimental_delegates=[edgebnn.load_delegate()])
        invoke(interpreter, case.inputs)
    message = str(refused.value)
    assert refusal.op in message
    assert refusal.words in message


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_interpreter_stays_refused(name: str) -> None:
    case = REFUSALS[name].build()
    try:
        interpreter = Interpreter(model_content=judge.model(case), experimental_delegates=[edgebnn.load_delegate()])
    except (RuntimeError, ValueError):
        return
    for attempt in (interpreter.allocate_tensors, interpreter.invoke, interpreter.allocate_tensors):
        with pytest.raises((RuntimeError, ValueError)):
            attempt()


@pytest.mark.skipif(lce.extension() is None, reason="larq-compute-engine is not installed")
@pytest.mark.parametrize("name", [name for name, refusal in REFUSALS.items() if refusal.evidence != "nonsense"])
def test_lce_refuses_or_crashes_too(name: str, lce_workers: list[Worker]) -> None:
    refusal = REFUSALS[name]
    case = refusal.build()
    kinds = {worker.run(judge.model(case), case.inputs).kind for worker in lce_workers}
    assert kinds == {"error"} if refusal.evidence == "refuses" else "crash" in kinds
