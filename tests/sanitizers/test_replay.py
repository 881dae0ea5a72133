"""The fuzz corpus, shifted layouts and threads with any compiler; `scripts/test-sanitizers` adds the sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PROGRAMS = ("hammer_threads", "shift_host", "check_graph")
TARGETS = ("fuzz_options", "fuzz_graph", *PROGRAMS)


@pytest.fixture(scope="module")
def build() -> Path:
    folder = ROOT / "build" / "replay"
    for command in (["cmake", "-S", HERE, "-B", folder], ["cmake", "--build", folder, "-j2", "--target", *TARGETS]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("target", ["options", "graph"])
def test_corpus(target: str, build: Path) -> None:
    corpus = HERE / "corpus" / target
    done = subprocess.run([build / f"fuzz_{target}", corpus], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == f"{len(list(corpus.iterdir()))} passed, 0 failed\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(program: str, build: Path) -> None:
    done = subprocess.run([build / program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
