"""What the monitor tells the alarm clock, in a thread of its own: a clock that hangs must not stop the measuring."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from edgebnn.errors import UnavailableError
from edgebnn_sleep.clock import ClockClient, RefusedError

log = logging.getLogger("edgebnn.clock")

LONGEST = 200
RETRY_S = 5.0
FRESH_S = 60.0
"""A hint is about now: one that could not be delivered for so long is dropped."""


@dataclass(frozen=True)
class Hint:
    """The keys of the clock's `hint` command (docs/alarm.md)."""

    ring: bool
    reason: str = ""
    status: str = "ok"
    out_of_bed: bool | None = None
    camera: bool | None = None


class HintSender:
    """Delivers the newest hint, again until the clock has taken it or it is too old."""

    def __init__(self, client: ClockClient, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """`monotonic_s`: the time by which a hint is fresh."""
        self._client = client
        self._monotonic_s = monotonic_s
        self._fresh = threading.Condition()
        self._slot: tuple[Hint, float] | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
        self.answer = ""
        """What the clock said to the last hint."""
        self.rang = 0
        """Hints that made it ring."""
        self.problem = ""
        """Why the last hint was not delivered; empty when it was."""

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def close(self) -> None:
        """Stop; a hint that waits is dropped."""
        with self._fresh:
            self._closing = True
            self._fresh.notify_all()
        if self._thread.ident is not None:
            self._thread.join(2)

    def offer(self, hint: Hint) -> None:
        """Deliver this one, and forget what was not delivered yet."""
        with self._fresh:
            self._slot = (hint, self._monotonic_s())
            self._fresh.notify_all()

    def _run(self) -> None:
        while True:
            with self._fresh:
                self._fresh.wait_for(lambda: self._slot is not None or self._closing)
                if self._closing:
                    return
                assert self._slot is not None
                hint, offered_s = self._slot
            delivered = self._deliver(hint)
            with self._fresh:
                newer = self._slot is not None and self._slot[0] is not hint
                if not newer and (delivered or self._monotonic_s() - offered_s > FRESH_S):
                    self._slot = None
                elif not delivered and not newer:
                    self._fresh.wait(RETRY_S)

    def _deliver(self, hint: Hint) -> bool:
        keys = {name: _text(value) for name, value in asdict(hint).items() if value is not None}
        try:
            answer = self._client.ask("hint", **keys)
        except UnavailableError as error:
            self.problem = str(error)
            return False
        except RefusedError as error:
            # It would refuse again: this is a defect, and the alarm rings at its deadline.
            if str(error) != self.problem:
                log.error("the alarm clock refuses hints: %s", error)
            self.problem = str(error)
            return True
        self.problem = ""
        self.answer = str(answer.get("why", ""))
        self.rang += bool(answer.get("rang"))
        return True


def _text(value: object) -> object:
    """Texts as the clock takes them: printable, at most LONGEST characters, one line (OpenCV's errors have several)."""
    if not isinstance(value, str):
        return value
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())[:LONGEST]
