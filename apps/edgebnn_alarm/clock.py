"""The clock interface: what the machine says of time and zone; from the kernel, or from a file that simulates it."""

from __future__ import annotations

import ctypes
import json
import time
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from edgebnn.errors import ConfigError
from edgebnn_alarm.belief import Reading

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


class Clock(Protocol):
    """Time and zone of the place."""

    speed: float
    """Seconds of this clock in a second."""
    zone_problem: str | None
    """Why the machine's zone could not be used; the last good one, or UTC, is used instead."""

    def read(self) -> Reading:
        """What the machine says now."""

    def zone(self) -> ZoneInfo:
        """The local zone now."""


class SystemClock:
    """The kernel's clocks; the zone of the machine unless one is given."""

    speed = 1.0

    def __init__(self, zone_name: str = "", *, root: Path = Path("/")) -> None:
        """ConfigError when `zone_name` is no zone; `root` is where etc/ run/ sys/ and proc/ are."""
        self._root = root
        self._fixed = find_zone(zone_name) if zone_name else None
        self._boot_id = _read(root / "proc/sys/kernel/random/boot_id")
        self._battery = any(_read(file) == "1" for file in (root / "sys/class/rtc").glob("rtc*/hctosys"))
        self._zones: dict[str, ZoneInfo] = {}
        self._last = ZoneInfo("UTC") if self._fixed is None else self._fixed
        self.zone_problem: str | None = None

    def read(self) -> Reading:
        """See Clock."""
        return Reading(
            kernel_s=time.time(),
            boot_s=time.clock_gettime(time.CLOCK_BOOTTIME),
            boot_id=self._boot_id,
            synchronised=self._synchronised(),
            battery=self._battery,
        )

    def zone(self) -> ZoneInfo:
        """See Clock: the zone that /etc/localtime points to, so that a change is seen at once."""
        if self._fixed is not None:
            return self._fixed
        localtime = self._root / "etc/localtime"
        try:
            name = str(localtime.readlink()).partition("zoneinfo/")[2] if localtime.is_symlink() else ""
            if name not in self._zones:
                if name:
                    self._zones[name] = ZoneInfo(name)
                elif localtime.exists():
                    with localtime.open("rb") as file:
                        self._zones[name] = ZoneInfo.from_file(file, key="local")
                else:
                    self._zones[name] = ZoneInfo("UTC")
            self._last, self.zone_problem = self._zones[name], None
        except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
            self.zone_problem = f"the zone of /etc/localtime cannot be used ({error}): {self._last.key} is used"
        except KeyError:
            self.zone_problem = f"/etc/localtime names a zone that is not installed: {self._last.key} is used"
        return self._last

    def _synchronised(self) -> bool:
        # systemd-timesyncd's mark first: units that forbid the clock's system calls forbid to ask as well.
        return (self._root / "run/systemd/timesync/synchronized").exists() or _adjtimex() not in (None, _TIME_ERROR)


def _read(file: Path) -> str:
    """A line of the kernel; "" where a unit hides it (ProcSubset=pid), which makes every boot look like the same."""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def find_zone(name: str) -> ZoneInfo:
    """A zone by its name; ConfigError when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f'expected the name of a time zone like "Europe/Berlin", got {name!r}') from None


def _adjtimex() -> int | None:
    """The state of the kernel's clock, None when it may not be asked."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))  # modes = 0: only asks
    except (OSError, AttributeError):
        return None
    return None if state < 0 else int(state)


class FileClock:
    """A simulated clock: runs at `speed` from what a JSON file says; a changed file is a step, a new zone, a new boot.

    Keys: `real_s` (CLOCK_BOOTTIME of this machine when the others held), `utc_s`, `boot_s`, `speed`, `boot_id`,
    `synchronised`, `battery`, `zone`.
    """

    def __init__(self, file: Path) -> None:
        """ConfigError when the file is not as above."""
        self._file = file
        self.zone_problem: str | None = None
        self._stamp: tuple[int, int] | None = None
        self._raw: dict[str, Any] = {}
        self._refresh()

    def read(self) -> Reading:
        """See Clock."""
        self._refresh()
        passed_s = (time.clock_gettime(time.CLOCK_BOOTTIME) - self._raw["real_s"]) * self.speed
        return Reading(
            kernel_s=self._raw["utc_s"] + passed_s,
            boot_s=self._raw["boot_s"] + passed_s,
            boot_id=str(self._raw["boot_id"]),
            synchronised=bool(self._raw["synchronised"]),
            battery=bool(self._raw["battery"]),
        )

    def zone(self) -> ZoneInfo:
        """See Clock."""
        self._refresh()
        return self._zone

    def _refresh(self) -> None:
        try:
            status = self._file.stat()
            stamp = (status.st_ino, status.st_mtime_ns)
            if stamp == self._stamp:
                return
            raw = json.loads(self._file.read_text())
            for key in ("real_s", "utc_s", "boot_s", "speed"):
                raw[key] = float(raw[key])
            raw["boot_id"], raw["synchronised"], raw["battery"]  # KeyError now, not later
            self._zone = find_zone(raw["zone"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"the simulated clock {self._file} cannot be used: {error!r}") from None
        self._stamp, self._raw, self.speed = stamp, raw, raw["speed"]
