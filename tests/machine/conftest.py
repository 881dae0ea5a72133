"""The machine that all tests of a run share; ./scripts/test-pi services makes its root and starts them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.machine.machine import Machine

REPOSITORY = Path(__file__).parents[2]
ROOT = os.environ.get("EDGEBNN_MACHINE_ROOT", "")
"""The root file system; beside it, `wheels`: ours, and all that it needs."""

collect_ignore_glob = [] if ROOT else ["test_*.py"]


@pytest.fixture(scope="session")
def wheels() -> Path:
    return Path(ROOT).with_name("wheels")


@pytest.fixture(scope="session")
def more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for more wheels; the machine sees it as /mnt/more."""
    return tmp_path_factory.mktemp("more")


@pytest.fixture(scope="session")
def machine(wheels: Path, more: Path) -> Iterator[Machine]:
    shared = {
        "/mnt/deploy": REPOSITORY / "deploy",
        "/mnt/machine": REPOSITORY / "tests" / "machine",
        "/mnt/wheels": wheels,
        "/mnt/more": more,
    }
    with Machine(Path(ROOT), shared=shared) as booted:
        yield booted


@pytest.fixture(scope="session", autouse=True)
def pristine(machine: Machine) -> set[str]:
    """The machine's files before anything was installed."""
    return machine.files()


_measured: dict[str, float] = {}


@pytest.fixture
def timed() -> Callable[[str], object]:
    """`with timed("restart after kill -9"):` notes how long it took, in seconds, for the report at the end."""

    @contextmanager
    def measure(name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        _measured[name] = round(time.monotonic() - began, 2)

    return measure


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _measured:
        terminalreporter.section("seconds")
        for name, seconds in _measured.items():
            terminalreporter.line(f"{seconds:8.2f}  {name}")
