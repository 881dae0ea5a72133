"""The board that all tests of a run share; ./scripts/test-long makes its disk and starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.board.board import Board

MADE = os.environ.get("EDGEBNN_BOARD", "")

collect_ignore_glob = [] if MADE else ["test_*.py"]

_notes: list[str] = []


@pytest.fixture(scope="session")
def notes() -> list[str]:
    """Lines for the report at the end."""
    return _notes


@pytest.fixture(scope="session")
def board(notes: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    made = Board(Path(MADE), tmp_path_factory.mktemp("board"))
    try:
        notes.append(f"{made.power_on():7.0f} s  boot until systemd has started all")
        yield made
    finally:
        made.throw_away()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _notes:
        terminalreporter.section("emulated board")
        for line in _notes:
            terminalreporter.line(line)
