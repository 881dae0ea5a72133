"""Ending a command cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """`asked` is the first SIGINT or SIGTERM, for whoever works to look at between two pieces of work.

    An exception out of a signal handler would come at any place, within another's clean-up too.
    """

    asked: signal.Signals | None = None

    @property
    def exit_code(self) -> int:
        """As a shell has it: 130 after SIGINT, 143 after SIGTERM; 0 when not asked."""
        return 0 if self.asked is None else 128 + self.asked


@contextmanager
def stopping() -> Iterator[Stop]:
    """While inside, the first SIGINT or SIGTERM sets `asked`; a second one acts as before.

    A signal that is ignored stays so: SIGINT is in the background jobs of a script. Outside of the main thread signals
    are left to whoever owns them.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.asked = signal.Signals(number)
        signal.signal(number, before[stop.asked])

    try:
        for number, handler in before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, ask)
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
