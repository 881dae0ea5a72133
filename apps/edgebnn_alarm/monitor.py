"""What the sleep monitor says, and how far it is believed: its words never silence the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgebnn.errors import InputError

SILENT_S = 90.0
"""After so long without a hint (three epochs) the monitor counts as silent."""
ABSENT_S = 600.0
"""So long out of bed, without a break, skips an alarm that asks for it."""


@dataclass(frozen=True, kw_only=True)
class Hint:
    """One message of the monitor; see docs/alarm.md."""

    ring: bool
    reason: str = ""
    status: str = "ok"
    out_of_bed: bool | None = None
    camera: bool | None = None
    alarm: int | None = None


def read_hint(raw: dict[str, Any]) -> Hint:
    """A hint from the keys of its request; InputError names the key."""
    given: dict[str, Any] = {}
    for key, value in raw.items():
        if key in ("reason", "status"):
            good = isinstance(value, str) and len(value) <= 200 and value.isprintable()
            expected = "printable text of at most 200 characters"
        elif key == "alarm":
            good = value is None or (isinstance(value, int) and not isinstance(value, bool))
            expected = "the id of an alarm or null"
        elif key in ("ring", "out_of_bed", "camera"):
            good = isinstance(value, bool) or (value is None and key != "ring")
            expected = "true or false" if key == "ring" else "true, false or null"
        else:
            raise InputError(f"a hint has no key {key[:40]!r}; it has ring, reason, status, out_of_bed, camera, alarm")
        if not good:
            raise InputError(f"{key}: expected {expected}, got {value!r:.60}")
        given[key] = value
    if "ring" not in given:
        raise InputError("expected ring (true or false) in the hint, got none")
    return Hint(**given)


class Monitor:
    """What was heard, by the time since boot."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self.status: str | None = None
        self._heard_s: float | None = None
        self._absent_since_s: float | None = None

    def hear(self, hint: Hint, boot_s: float) -> None:
        """Take a hint into account."""
        if not (hint.out_of_bed is True and hint.camera is True):
            self._absent_since_s = None
        elif self._absent_since_s is None or self.silent_s(boot_s) > SILENT_S:
            self._absent_since_s = boot_s
        self._heard_s, self.status = boot_s, hint.status

    def silent_s(self, boot_s: float) -> float:
        """Seconds since the last hint, infinite without any."""
        return float("inf") if self._heard_s is None else boot_s - self._heard_s

    def absent(self, boot_s: float) -> bool:
        """Out of bed with the camera alive, heard without a break for long enough, up to now."""
        since_s = self._absent_since_s
        return since_s is not None and self.silent_s(boot_s) <= SILENT_S and boot_s - since_s >= ABSENT_S
