"""Keeping what TensorFlow and LCE write to stderr out of the user's sight, until it is needed."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

_DIAGNOSTIC = re.compile(r"\b(error|warning): (.+)")


@dataclass
class Captured:
    """What was written to file descriptor 2; filled in when the block ends."""

    text: str = ""

    def diagnostics(self) -> list[str]:
        """The compiler's errors and warnings, each once, without the places in C++ or Python they came from."""
        found = (match.group(2).strip() for match in map(_DIAGNOSTIC.search, self.text.splitlines()) if match)
        return list(dict.fromkeys(found))


@contextlib.contextmanager
def captured_stderr() -> Iterator[Captured]:
    """Capture stderr of Python, C++ and Python's warnings; nothing else of the process may use it meanwhile."""
    captured = Captured()
    try:
        saved = os.dup(2)
    except OSError:  # closed: there is nothing to capture
        yield captured
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(file.fileno(), 2)
        try:
            yield captured
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            captured.text = file.read().decode("utf-8", "replace")
