from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def log_ends_with_the_test() -> Iterator[None]:
    """A command that sets up its log would leave a handler behind, which writes to a stream that pytest has closed."""
    root, ours = logging.getLogger(), logging.getLogger("edgebnn")
    before, levels = root.handlers[:], (root.level, ours.level)
    yield
    for handler in root.handlers[:]:
        if handler not in before:
            root.removeHandler(handler)
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
