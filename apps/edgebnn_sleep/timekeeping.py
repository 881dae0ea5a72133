"""What time it is in the bedroom: the machine's, or a simulated night's."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path
from typing import Protocol


class Time(Protocol):
    """Wall time for what is written down, monotonic time for how long something lasted."""

    speed: float
    """Seconds of the bedroom in a second of the machine."""

    def now_s(self) -> float:
        """Unix time."""

    def monotonic_s(self) -> float:
        """Seconds since some instant; never set back."""

    def offset_s(self) -> float:
        """Unix time minus monotonic time: it changes when the clock is set."""

    def zone(self) -> dt.tzinfo:
        """The local zone."""


class MachineTime:
    """The machine's clocks and zone."""

    speed = 1.0

    def __init__(self, zone: dt.tzinfo | None = None) -> None:
        """The machine's zone unless one is given."""
        self._zone = zone or LocalZone()

    def now_s(self) -> float:
        """Unix time."""
        return time.time()

    def monotonic_s(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def offset_s(self) -> float:
        """Unix time minus monotonic time."""
        return time.time() - time.monotonic()

    def zone(self) -> dt.tzinfo:
        """The zone that was given, else the machine's with its rules for summer time."""
        return self._zone


class LocalZone(dt.tzinfo):
    """The C library's local zone; `datetime.astimezone()` alone would freeze the offset of one instant."""

    def fromutc(self, moment: dt.datetime) -> dt.datetime:
        """Local wall time of an instant given in UTC."""
        instant = moment.replace(tzinfo=dt.timezone.utc)
        local = time.localtime(instant.timestamp())
        wall = dt.datetime(*local[:6], moment.microsecond, tzinfo=self)
        # In the hour that comes twice, the second one is told by its fold.
        return wall.replace(fold=int(_offset(wall.replace(fold=0)) != dt.timedelta(seconds=local.tm_gmtoff)))

    def utcoffset(self, moment: dt.datetime | None) -> dt.timedelta | None:
        """East of Greenwich."""
        return _offset(moment) if moment is not None else None

    def dst(self, moment: dt.datetime | None) -> dt.timedelta | None:
        """Not asked for by anybody here."""
        return None

    def tzname(self, moment: dt.datetime | None) -> str | None:
        """Abbreviation."""
        return time.localtime(_stamp(moment)).tm_zone if moment is not None else None


def _stamp(moment: dt.datetime) -> float:
    # A naive datetime is understood by the C library, fold included.
    return moment.replace(tzinfo=None).timestamp()


def _offset(moment: dt.datetime) -> dt.timedelta:
    return dt.timedelta(seconds=time.localtime(_stamp(moment)).tm_gmtoff)


class SimulatedTime:
    """Begins at `start_s` (Unix time) and runs `speed` times as fast as the machine; the speed may change."""

    def __init__(self, start_s: float, *, speed: float, zone: dt.tzinfo, share: Path | None = None) -> None:
        """Runs from now on. `share`: a file that lets `edgebnn-alarm run --simulated-clock` live in the same time."""
        self.speed = speed
        self._start_s = start_s
        self._zone = zone
        self._share = share
        # Machine's time, seconds since the start then, speed since then: replaced as one.
        self._course = (time.clock_gettime(time.CLOCK_BOOTTIME), 0.0, speed)
        self._write()

    def now_s(self) -> float:
        """Unix time in the simulation."""
        return self._start_s + self.monotonic_s()

    def monotonic_s(self) -> float:
        """Seconds since the start of the simulation, its own."""
        real_s, passed_s, speed = self._course
        return passed_s + (time.clock_gettime(time.CLOCK_BOOTTIME) - real_s) * speed

    def wait_until(self, monotonic_s: float) -> bool:
        """Sleep until then; False when it is then already."""
        wait_s = (monotonic_s - self.monotonic_s()) / self.speed
        if wait_s > 0:
            time.sleep(wait_s)
        return wait_s > 0

    def offset_s(self) -> float:
        """Nobody sets this clock."""
        return self._start_s

    def zone(self) -> dt.tzinfo:
        """The zone that was given."""
        return self._zone

    def change_speed(self, speed: float) -> None:
        """Go on from now at another speed."""
        real_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        before_s, passed_s, before = self._course
        self._course = (real_s, passed_s + (real_s - before_s) * before, speed)
        self.speed = speed
        self._write()

    def _write(self) -> None:
        if self._share is None:
            return
        real_s, passed_s, speed = self._course
        content = {
            "real_s": real_s,
            "utc_s": self._start_s + passed_s,
            "boot_s": 1000.0 + passed_s,
            "speed": speed,
            "boot_id": "simulated",
            "synchronised": True,
            "battery": False,
            "zone": str(self._zone),
        }
        new = self._share.with_name(self._share.name + ".new")
        new.write_text(json.dumps(content))
        new.replace(self._share)
