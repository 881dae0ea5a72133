"""The clock of cameras: the machine's, or a simulated one for tests."""

from __future__ import annotations

import threading
import time


class Clock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        """Nanoseconds on the monotonic clock."""
        return time.monotonic_ns()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until `event` is set, for `seconds` at most; whether it is set."""
        return event.wait(max(0.0, seconds))


class SimulatedClock(Clock):
    """Stands still, but for waiting, which takes no time at all."""

    def __init__(self, now_ns: int = 0) -> None:
        """Start at `now_ns`."""
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Nanoseconds since 0, the simulation's own."""
        return self._now_ns

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ns += round(max(0.0, seconds) * 1e9)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Time passes at once unless `event` is set."""
        if not event.is_set():
            self.advance(seconds)
        return event.is_set()


class Pace:
    """Lets frames through at a steady rate; who is late does not catch up."""

    def __init__(self, clock: Clock) -> None:
        """The first frame passes at once."""
        self._clock = clock
        self._never = threading.Event()
        self._due_ns: int | None = None

    def wait(self, period_ns: int) -> None:
        """Wait until `period_ns` after the frame before."""
        now = self._clock.now_ns()
        if self._due_ns is not None and now < self._due_ns:
            self._clock.wait(self._never, (self._due_ns - now) / 1e9)
            now = self._due_ns
        self._due_ns = now + period_ns
