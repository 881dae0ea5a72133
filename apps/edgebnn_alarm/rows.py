"""Alarms, journal entries and the clock's memory as rows of the database and as JSON of the last good copy."""

from __future__ import annotations

import datetime as dt
import json
import math
from dataclasses import dataclass, field
from typing import Any

from edgebnn.errors import DataError, EdgebnnError
from edgebnn_alarm.alarm import Alarm, from_json, to_json
from edgebnn_alarm.belief import Memory
from edgebnn_alarm.journal import KINDS, Entry
from edgebnn_alarm.occurrence import Key

ENTRY_COLUMNS = (
    "id", "utc_s", "boot_s", "boot_id", "kind", "text", "author", "alarm", "date", "time", "snooze", "deadline_s",
)  # fmt: skip
MEMORY_COLUMNS = ("boot_id", "kernel_epoch_s", "offset_s", "verified", "utc_s", "zone")


@dataclass
class Contents:
    """All that the clock keeps."""

    alarms: dict[int, Alarm] = field(default_factory=dict)
    journal: list[Entry] = field(default_factory=list)
    memory: Memory | None = None


def alarm_row(alarm: Alarm) -> tuple[int, str]:
    """(id, body)"""
    return alarm.id, json.dumps(to_json(alarm))


def read_alarm(number: object, body: object) -> Alarm:
    """The alarm of a row; keys of a newer version are left out. DataError when it is none."""
    try:
        raw = json.loads(str(body))
        known = set(to_json(_ANY))
        alarm = from_json({key: value for key, value in raw.items() if key in known})
    except (ValueError, AttributeError, EdgebnnError) as error:
        raise DataError(f"alarm {number!r} cannot be read: {error}") from None
    if alarm.id != number:
        raise DataError(f"alarm {number!r} says that it is alarm {alarm.id}")
    return alarm


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """The values of ENTRY_COLUMNS."""
    key = entry.key
    key_columns: tuple[object, ...] = (None, None, None, None)
    if key is not None:
        key_columns = (key.alarm, key.date.isoformat(), key.time.strftime("%H:%M"), key.snooze)
    return (
        entry.id or None, entry.utc_s, entry.boot_s, entry.boot_id, entry.kind, entry.text, entry.by, *key_columns,
        entry.deadline_s,
    )  # fmt: skip


def read_entry(row: tuple[Any, ...]) -> Entry | None:
    """The entry of a row, None for a kind of a newer version; DataError when it is none."""
    number, utc_s, boot_s, boot_id, kind, text, by, alarm, date, time, snooze, deadline_s = row
    if kind not in KINDS:
        return None
    try:
        key = None
        if alarm is not None:
            key = Key(int(alarm), dt.date.fromisoformat(date), dt.time.fromisoformat(time), int(snooze))
        return Entry(
            id=int(number or 0), utc_s=_finite(utc_s), boot_s=_finite(boot_s), boot_id=str(boot_id), kind=kind,
            text=str(text), by=by, key=key, deadline_s=None if deadline_s is None else _finite(deadline_s),
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise DataError(f"journal entry {number!r} cannot be read: {error}") from None


def memory_row(memory: Memory) -> tuple[Any, ...]:
    """The values of MEMORY_COLUMNS."""
    return memory.boot_id, memory.kernel_epoch_s, memory.offset_s, int(memory.verified), memory.utc_s, memory.zone


def read_memory(row: tuple[Any, ...]) -> Memory:
    """The memory of a row; DataError when it is none."""
    boot_id, kernel_epoch_s, offset_s, verified, utc_s, *zone = row  # the copies of version 1 have no zone
    try:
        return Memory(
            boot_id=str(boot_id), kernel_epoch_s=_finite(kernel_epoch_s), offset_s=max(0.0, _finite(offset_s)),
            verified=bool(verified), utc_s=_finite(utc_s), zone=str(zone[0]) if zone else "",
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise DataError(f"the clock's memory cannot be read: {error}") from None


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {value!r}")
    return number


_ANY = Alarm(time=dt.time())
