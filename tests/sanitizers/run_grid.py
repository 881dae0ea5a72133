"""Runs every case of the grid and every refusal with the delegate of EDGEBNN_DELEGATE, for use under sanitizers.

    python -m tests.sanitizers.run_grid [--every N]

Needs no TensorFlow and no LCE: outputs are compared with the numpy oracle. --every N takes each N-th case of the grid.
Prints each failure, then `N passed, M failed`. Error found by a sanitizer ends the process.
"""

from __future__ import annotations

import argparse
import sys

from ai_edge_litert.interpreter import Interpreter

import edgebnn
from tests.delegate import grid, judge, oracle
from tests.delegate.cases import Case
from tests.delegate.kernels import KERNELS
from tests.delegate.refusals import REFUSALS, Refusal
from tests.delegate.run_golden import invoke

WAYS = (("auto", 2), *((kernel, 1) for kernel in KERNELS))  # kernel, threads


def run(case: Case, kernel: str, threads: int) -> list[judge.Array]:
    """The delegate's outputs."""
    delegate = edgebnn.load_delegate(num_threads=threads, kernel=kernel)
    interpreter = Interpreter(model_content=judge.model(case), experimental_delegates=[delegate], num_threads=1)
    return invoke(interpreter, case.inputs)


def check_case(case: Case) -> str:
    """Why a case fails, "" where it passes."""
    wanted = oracle.run(case.graph, case.inputs)
    for kernel, threads in WAYS:
        if difference := judge.difference(run(case, kernel, threads), wanted):
            return f"{kernel}, {threads} threads: {difference}"
    return ""


def check_refusal(refusal: Refusal) -> str:
    """Why a model that must be refused fails, "" where it is refused for its reason."""
    try:
        run(refusal.build(), "auto", 1)
    except (RuntimeError, ValueError) as error:
        message = str(error)
        return "" if refusal.op in message and refusal.words in message else message
    return "it runs"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="take each N-th case of the grid")
    every = parser.parse_args().every
    outcomes = {name: check_case(grid.case(name)) for name in list(grid.CASES)[::every]}
    outcomes |= {name: check_refusal(refusal) for name, refusal in REFUSALS.items()}
    failures = {name: reason for name, reason in outcomes.items() if reason}
    for name, reason in failures.items():
        print(f"FAILED {name}: {reason}")
    print(f"{len(outcomes) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
