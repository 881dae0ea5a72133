"""Nights as CSV and JSON, and a backup of everything as JSON lines that can be read back.

A backup is one JSON object a line: first `{"format": "edgebnn-sleep-backup", "version": 1}`, then any number of
`{"epoch": [...]}` with the columns of `epochs.COLUMNS`, `{"event": [time_s, kind, text, deadline_s]}` and `{"alarm":
{...}}` as the clock lists them. A reader MUST refuse other versions, unknown objects and values out of bounds, and then
import nothing at all.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

from edgebnn.errors import DataError
from edgebnn_sleep.epochs import COLUMNS, EPOCH_S, Epoch
from edgebnn_sleep.nights import Interval, intervals, state_of
from edgebnn_sleep.store import Event

HEADER = {"format": "edgebnn-sleep-backup", "version": 1}
MOST_BYTES = 24 * 1024 * 1024
"""Of a backup that is read: about three months of nights and days."""
MOST_ALARMS = 200
LATEST_S = 4_102_444_800  # the year 2100
_INTEGERS = {"presence": (0, 1), "asleep": (0, 1), "restless": (0, 1), "stage": (-1, 4)}
_NUMBERS = {
    "activity": (0, 1e15),
    "moved_s": (0, EPOCH_S * 1.1),
    "seen_s": (0, EPOCH_S * 1.1),
    "p_wake": (0, 1),
    "sound_db": (-400, 400),
    "peak_db": (-400, 400),
    "snore_db": (-400, 400),
    "light_lux": (0, 200_000),
    "temperature_c": (-40, 85),
    "humidity_percent": (0, 100),
    "pressure_hpa": (300, 1200),
    "co2_ppm": (0, 100_000),
}
_REQUIRED = ("start_s", "seen_s", "stage")


# Writing


def epochs_csv(epochs: Iterable[Epoch], zone: dt.tzinfo) -> Iterator[str]:
    """Raw epochs with a header; `time` is local with its offset, empty cells were not measured."""
    yield _csv_row(["time", *COLUMNS, "state"])
    for epoch in epochs:
        yield _csv_row([_iso(epoch.start_s, zone), *(_plain(value) for value in astuple(epoch)), state_of(epoch)])


def epochs_json(epochs: Iterable[Epoch], zone: dt.tzinfo) -> Iterator[str]:
    """A JSON array of objects, one a line."""
    yield from _json_array({"time": _iso(e.start_s, zone), **vars(e), "state": state_of(e)} for e in epochs)


def intervals_csv(epochs: Iterable[Epoch], zone: dt.tzinfo) -> Iterator[str]:
    """Stretches in one state with start and end."""
    yield _csv_row(["start", "end", "start_s", "end_s", "minutes", "state"])
    for each in intervals(epochs):
        start, end = _iso(each.start_s, zone), _iso(each.end_s, zone)
        yield _csv_row([start, end, each.start_s, each.end_s, (each.end_s - each.start_s) / 60, each.state])


def intervals_json(epochs: Iterable[Epoch], zone: dt.tzinfo) -> Iterator[str]:
    """A JSON array of stretches."""

    def describe(each: Interval) -> dict[str, Any]:
        return {"start": _iso(each.start_s, zone), "end": _iso(each.end_s, zone), **vars(each)}

    yield from _json_array(map(describe, intervals(epochs)))


def write_backup(epochs: Iterable[Epoch], events: Iterable[Event], alarms: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The lines of a backup, ends included."""
    yield json.dumps(HEADER) + "\n"
    for alarm in alarms:
        yield json.dumps({"alarm": {key: value for key, value in alarm.items() if key not in ("id", "next")}}) + "\n"
    for event in events:
        yield json.dumps({"event": astuple(event)}) + "\n"
    for epoch in epochs:
        yield json.dumps({"epoch": [_plain(value) for value in astuple(epoch)]}) + "\n"


def _json_array(items: Iterable[dict[str, Any]]) -> Iterator[str]:
    before = "[\n"
    for item in items:
        yield before + json.dumps(item)
        before = ",\n"
    yield ("[" if before == "[\n" else "\n") + "]\n"


def _csv_row(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _plain(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _iso(time_s: float, zone: dt.tzinfo) -> str:
    return dt.datetime.fromtimestamp(time_s, zone).isoformat()


# Reading


@dataclass
class Backup:
    """What a backup holds, every value checked but those of alarms, which the clock checks."""

    epochs: list[Epoch] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)


def read_backup(raw: bytes) -> Backup:
    """The content of a backup; DataError names line, what was expected and what came."""
    if len(raw) > MOST_BYTES:
        raise DataError(f"expected a backup of at most {MOST_BYTES >> 20} MB, got {len(raw) >> 20}: import in parts")
    lines = raw.splitlines()
    if not lines or _object(lines[0], 1) != HEADER:
        raise DataError(f"expected a backup that begins with {json.dumps(HEADER)}, got {_short(lines[:1])}")
    found = Backup()
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        entry = _object(line, number)
        if len(entry) != 1:
            raise DataError(f"line {number}: expected one of epoch, event, alarm, got {_short(sorted(entry))}")
        ((kind, value),) = entry.items()
        if kind == "epoch":
            found.epochs.append(_epoch(value, number))
        elif kind == "event":
            found.events.append(_event(value, number))
        elif kind == "alarm" and isinstance(value, dict) and len(found.alarms) < MOST_ALARMS:
            found.alarms.append({key: item for key, item in value.items() if key not in ("id", "next")})
        else:
            raise DataError(f"line {number}: expected epoch, event or at most {MOST_ALARMS} alarms, got {_short(kind)}")
    return found


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        raise DataError(f"line {number}: expected a JSON object, got {_short(line)}") from None
    if not isinstance(entry, dict):
        raise DataError(f"line {number}: expected a JSON object, got {_short(line)}")
    return entry


def _epoch(value: object, number: int) -> Epoch:
    if not isinstance(value, list) or len(value) != len(COLUMNS):
        raise DataError(f"line {number}: expected an epoch of {len(COLUMNS)} values, got {_short(value)}")
    given = dict(zip(COLUMNS, value, strict=True))
    for column, item in given.items():
        if item is None and column not in _REQUIRED:
            continue
        where = f"line {number}: {column} = {_short(item)}"
        if isinstance(item, bool) or not isinstance(item, int | float):
            raise DataError(f"{where}: expected a number{'' if column in _REQUIRED else ' or null'}")
        if column == "start_s":
            if not isinstance(item, int) or not 0 <= item <= LATEST_S:
                raise DataError(f"{where}: expected seconds since 1970 as an integer, at most {LATEST_S}")
            continue
        low, high = (_INTEGERS | _NUMBERS)[column]
        whole = column not in _INTEGERS or isinstance(item, int)
        if not (math.isfinite(item) and low <= item <= high and whole):
            raise DataError(
                f"{where}: expected {'an integer' if column in _INTEGERS else 'a number'} {low:g} to {high:g}"
            )
        if column in _NUMBERS:
            given[column] = float(item)
    return Epoch(**given)


def _event(value: object, number: int) -> Event:
    match value:
        case [int() | float() as time_s, str() as kind, str() as text, (None | int() | float()) as deadline_s]:
            times = [time for time in (time_s, deadline_s) if time is not None]
            in_range = all(not isinstance(time, bool) and 0 <= time <= LATEST_S for time in times)
            if in_range and len(kind) <= 40 and len(text) <= 2000:
                return Event(float(time_s), kind, text, None if deadline_s is None else float(deadline_s))
    raise DataError(f"line {number}: expected an event [time_s, kind, text, deadline_s or null], got {_short(value)}")


def _short(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
