"""Logging of a service: one line per event, on standard error. Standard library only.

Under journald (JOURNAL_STREAM) each line starts with `<N>`, its priority (sd-daemon(3)), and journald adds the time;
elsewhere it starts with the local time. Log through `logging.getLogger("edgebnn.<part>")`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from typing import TextIO

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
LONGEST = 4000  # characters of a line; what is longer is cut

_secrets: set[str] = set()
_lock = threading.Lock()


def mask(secret: str) -> None:
    """Every log line shows `***` instead of this text from now on."""
    if secret:
        with _lock:
            _secrets.add(secret)


def masked(text: str) -> str:
    """`text` without the secrets that were given to `mask`."""
    with _lock:
        secrets = sorted(_secrets, key=len, reverse=True)
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def set_up_log(*, debug: bool = False, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Write to `stream` (standard error): `edgebnn` from INFO on, with `debug` from DEBUG on; others from WARNING on.

    Handlers set up before are replaced. Only with `debug` an exception's traceback stands in the line.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine(journal=_is_journal(stream, environ), debug=debug))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)  # of other packages
    logging.getLogger("edgebnn").setLevel(logging.DEBUG if debug else logging.INFO)
    for name in ("uvicorn", "python_multipart"):  # they warn of each malformed request that anybody sends
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.captureWarnings(True)


class OneLine(logging.Formatter):
    """One line per record: priority or time, level, logger, message, and of an exception its kind and text."""

    def __init__(self, *, journal: bool, debug: bool = False) -> None:
        """`journal`: with journald's priority instead of time and level."""
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S%z")
        self.journal = journal
        self.debug = debug

    def format(self, record: logging.LogRecord) -> str:
        """The line, secrets masked, without control characters."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text += f" ({type(error).__name__}: {error})"
            if self.debug:
                text += " | " + self.formatException(record.exc_info)
        name = record.name.removeprefix("edgebnn.")
        text = f"{name}: {text}" if name not in ("root", "edgebnn") else text
        text = masked(" | ".join(line.strip() for line in text.splitlines() if line.strip()))
        text = "".join(c if c.isprintable() else "?" for c in text)
        if len(text) > LONGEST:
            text = text[:LONGEST] + " [cut]"
        if self.journal:
            return f"<{_priority(record.levelno)}>{text}"
        return f"{self.formatTime(record, self.datefmt)} {record.levelname.lower():7s} {text}"


def _priority(level: int) -> int:
    return PRIORITIES[max((known for known in PRIORITIES if known <= level), default=logging.DEBUG)]


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is the one that systemd connected with the journal: $JOURNAL_STREAM is its device:inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # in memory, closed
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
