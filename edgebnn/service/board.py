"""The state of the board, from sysfs and procfs: temperature, throttling, clock governor, memory, disk."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# Bits of get_throttled: https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
THROTTLED_BITS = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
    16: "under-voltage has occurred",
    17: "frequency capping has occurred",
    18: "throttling has occurred",
    19: "soft temperature limit has occurred",
}


@dataclass(frozen=True)
class Board:
    """What a board says of itself; None where it does not say.

    throttled: the names of the bits that are set, as in THROTTLED_BITS; empty when none is.
    disk_free_bytes: for processes without privileges, of the file system asked for.
    """

    model: str | None
    temperature_c: float | None
    throttled: tuple[str, ...] | None
    governors: tuple[str, ...] | None
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    process_rss_bytes: int | None
    disk_free_bytes: int | None

    @property
    def throttled_now(self) -> tuple[str, ...] | None:
        """What holds now, without what has occurred since boot."""
        return None if self.throttled is None else tuple(t for t in self.throttled if "occurred" not in t)


def read_board(*, root: Path = Path("/"), disk: Path = Path("/")) -> Board:
    """The board as it is now. `root` is where sys/ and proc/ lie; `disk` any path on the file system of interest."""
    memory = _memory(root)
    return Board(
        model=_model(root),
        temperature_c=_temperature_c(root),
        throttled=_throttled(root),
        governors=_governors(root),
        memory_total_bytes=memory.get("MemTotal"),
        memory_available_bytes=memory.get("MemAvailable"),
        process_rss_bytes=_memory(root, "proc/self/status").get("VmRSS"),
        disk_free_bytes=_disk_free_bytes(disk),
    )


def decode_throttled(value: int) -> tuple[str, ...]:
    """The names of the bits set in what the firmware's get_throttled returned."""
    return tuple(name for bit, name in THROTTLED_BITS.items() if value >> bit & 1)


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None


def _number(text: str | None, base: int = 10) -> int | None:
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None


def _model(root: Path) -> str | None:
    return _text(root / "proc/device-tree/model") or _text(root / "sys/firmware/devicetree/base/model")


def _temperature_c(root: Path) -> float | None:
    """Of the zone that is the processor's, else of the first one."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    zones.sort(key=lambda zone: "cpu" not in (_text(zone / "type") or ""))
    for zone in zones:
        millidegrees = _number(_text(zone / "temp"))
        if millidegrees is not None and -40_000 <= millidegrees <= 150_000:
            return millidegrees / 1000
    return None


def _throttled(root: Path) -> tuple[str, ...] | None:
    for file in sorted((root / "sys/devices/platform").glob("soc*/*:firmware/get_throttled")):
        value = _number(_text(file), 16)
        if value is not None:
            return decode_throttled(value)
    for monitor in sorted((root / "sys/class/hwmon").glob("hwmon*")):  # newer kernels: under-voltage only
        if _text(monitor / "name") == "rpi_volt":
            alarm = _number(_text(monitor / "in0_lcrit_alarm"))
            if alarm is not None:
                return decode_throttled(1 << 16 if alarm else 0)
    return None


def _governors(root: Path) -> tuple[str, ...] | None:
    """The governors in use, without repetition."""
    policies = sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor"))
    found = dict.fromkeys(filter(None, map(_text, policies)))
    return tuple(found) or None


def _memory(root: Path, file: str = "proc/meminfo") -> dict[str, int]:
    """Bytes by name."""
    found = {}
    for line in (_text(root / file) or "").splitlines():
        name, _, value = line.partition(":")
        number, _, unit = value.strip().partition(" ")
        if unit == "kB" and number.isdigit():
            found[name] = 1024 * int(number)
    return found


def _disk_free_bytes(disk: Path) -> int | None:
    try:
        status = os.statvfs(disk)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize
