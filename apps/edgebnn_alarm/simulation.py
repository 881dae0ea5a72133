"""A machine in memory behind the production interfaces: its clocks, its speaker, faults in every call it makes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from edgebnn_alarm.belief import Reading
from edgebnn_alarm.sounds import Fade
from edgebnn_alarm.speaker import SpeakerState

Result = TypeVar("Result")


class Crash(BaseException):
    """The process dies here, as by kill -9."""


@dataclass
class Faults:
    """Counts the calls to the outside; raises what `choose(number, name)` returns, before or after the call is done."""

    choose: Callable[[int, str], tuple[str, BaseException] | None] = lambda number, name: None
    calls: int = 0
    connections: list[sqlite3.Connection] = field(default_factory=list)

    def call(self, name: str, do: Callable[[], Result]) -> Result:
        """`do()`, unless a fault comes first."""
        self.calls += 1
        fault = self.choose(self.calls, name)
        if fault is not None and fault[0] == "before":
            raise fault[1]
        result = do()
        if fault is not None and fault[0] == "after":
            raise fault[1]
        return result

    def connect(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        """sqlite3.connect with a fault point around every statement."""
        connection = sqlite3.connect(*arguments, factory=self._connection_class(), **options)
        self.connections.append(connection)
        return connection

    def kill(self) -> None:
        """What the kernel does for a dead process: its files are closed, whatever was being written."""
        while self.connections:
            connection = self.connections.pop()
            with suppress(sqlite3.ProgrammingError):  # closed already
                connection.rollback()  # close() alone waits for cursors that a traceback still holds
                connection.close()

    def _connection_class(self) -> type[sqlite3.Connection]:
        faults = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                run = super().execute
                return faults.call(sql[:40], lambda: run(sql, *arguments))

            def executemany(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                run = super().executemany
                return faults.call(sql[:40], lambda: run(sql, *arguments))

        return Connection


@dataclass
class SimulatedClock:
    """A clock: `true_s` is the time of the world, `error_s` what the kernel's clock is off."""

    true_s: float
    zone_name: str = "UTC"
    error_s: float = 0.0
    synchronised: bool = True
    battery: bool = False
    booted_s: float = 0.0
    boots: int = 1
    speed: float = 1.0
    zone_problem: str | None = None
    faults: Faults = field(default_factory=Faults)

    def read(self) -> Reading:
        """See Clock."""
        return self.faults.call("clock.read", self.peek)

    def zone(self) -> ZoneInfo:
        """See Clock."""
        return self.faults.call("clock.zone", lambda: ZoneInfo(self.zone_name))

    def peek(self) -> Reading:
        """A reading without a fault."""
        return Reading(
            kernel_s=self.true_s + self.error_s,
            boot_s=self.true_s - self.booted_s,
            boot_id=f"boot-{self.boots}",
            synchronised=self.synchronised,
            battery=self.battery,
        )

    def boot(self, *, error_s: float = 0.0, synchronised: bool = True) -> None:
        """The machine starts anew, now."""
        self.booted_s, self.error_s, self.synchronised = self.true_s, error_s, synchronised
        self.boots += 1


@dataclass
class SimulatedSpeaker:
    """A speaker that remembers: `sounds` is (name, when it began, by the clock of the world)."""

    clock: SimulatedClock
    faults: Faults = field(default_factory=Faults)
    playing: bool = False
    sounds: list[tuple[str, float]] = field(default_factory=list)
    failures: tuple[str, ...] = ()

    @property
    def state(self) -> SpeakerState:
        """See Player."""
        return SpeakerState(self.playing, None if self.failures else "simulated", self.failures)

    def play(self, name: str, fade: Fade) -> None:
        """See Player."""
        self.faults.call("speaker.play", lambda: self._play(name))

    def silence(self) -> None:
        """See Player."""
        self.faults.call("speaker.silence", self.die)

    def join(self, timeout_s: float) -> None:
        """See Player."""

    def die(self) -> None:
        """The process is gone, and its sound with it."""
        self.playing = False

    def _play(self, name: str) -> None:
        self.playing = True
        self.sounds.append((name, self.clock.true_s))
