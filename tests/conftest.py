from __future__ import annotations

import contextlib
import logging
import shutil
import signal
from collections.abc import Iterator
from typing import Any

import pytest

with contextlib.suppress(ImportError):  # tests of whole machines do without
    import hypothesis

    # No example has a deadline: a busy machine is no failure.
    hypothesis.settings.register_profile("edgebnn", parent=hypothesis.settings.default, deadline=None)
    hypothesis.settings.load_profile("edgebnn")


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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless browser."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT interrupts this process and those it starts, as in a terminal; in a script's background it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
