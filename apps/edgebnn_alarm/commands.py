"""The socket's commands: a request as JSON in, an answer as JSON out. docs/alarm.md is the contract."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import edgebnn
from edgebnn.errors import EdgebnnError, InputError
from edgebnn_alarm.alarm import from_json, read_date, to_json
from edgebnn_alarm.clockwork import Clockwork
from edgebnn_alarm.journal import Entry
from edgebnn_alarm.monitor import SILENT_S, read_hint
from edgebnn_alarm.occurrence import Key, Occurrence
from edgebnn_alarm.wall_time import iso

LOG = logging.getLogger("edgebnn.alarm.socket")
MAX_ENTRIES = 1000


class Commands:
    """Answers requests; never raises for what a client sends."""

    def __init__(self, clockwork: Clockwork) -> None:
        """`button` is set by who has the button: "ok", "none" or what is wrong."""
        self.button = "none"
        self._clockwork = clockwork
        self._commands: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], frozenset[str]]] = {
            "list": (self._list, frozenset()),
            "set": (self._set, frozenset({"alarm", "by"})),
            "delete": (self._delete, frozenset({"alarm", "by"})),
            "skip": (self._skip, frozenset({"alarm", "date", "undo", "by"})),
            "snooze": (self._snooze, frozenset({"minutes", "by"})),
            "stop": (self._stop, frozenset({"by"})),
            "hint": (self._hint, frozenset({"ring", "reason", "status", "out_of_bed", "camera", "alarm"})),
            "status": (lambda raw: self.status(), frozenset()),
            "watch": (lambda raw: self.status(), frozenset()),
            "log": (self._log, frozenset({"limit", "since_s"})),
            "test": (self._test, frozenset({"sound", "seconds"})),
        }
        self.test_ends_boot_s: float | None = None
        """When a test sound is to end."""

    def answer(self, line: bytes) -> tuple[dict[str, Any], bool]:
        """The answer to one line, and whether the client wants to watch."""
        back: dict[str, Any] = {}
        try:
            raw = _read(line)
            number = raw.pop("id", None)
            if isinstance(number, (str, int)) and len(str(number)) <= 80:
                back["id"] = number
            command = raw.pop("cmd", None)
            if not isinstance(command, str) or command not in self._commands:
                raise InputError(f"expected cmd, one of {' '.join(self._commands)}, got {command!r:.60}")
            run, keys = self._commands[command]
            unknown = sorted(set(raw) - keys)
            if unknown:
                has = ", ".join(sorted(keys)) or "no keys"
                raise InputError(f"{command} has no key {unknown[0][:40]!r}; it has {has}")
            return back | {"ok": True} | run(raw), command == "watch"
        except EdgebnnError as error:
            return back | {"ok": False, "error": str(error)}, False
        except Exception as error:  # a defect of ours in one request is not the clock's end
            LOG.exception("request failed")
            return back | {"ok": False, "error": f"this request failed inside the clock: {error!r:.200}"}, False

    def status(self) -> dict[str, Any]:
        """The whole state; see docs/alarm.md."""
        clockwork = self._clockwork
        now, zone, speaker = clockwork.now, clockwork.zone, clockwork.speaker.state
        following = clockwork.next_ring()
        monitor = clockwork.monitor.status or "none"
        if clockwork.monitor.status and clockwork.monitor.silent_s(now.boot_s) > SILENT_S:
            monitor = "the monitor is silent"
        return {
            "ok": True,
            "version": edgebnn.__version__,
            "now": iso(now.utc_s, zone),
            "now_s": now.utc_s,
            "zone": zone.key,
            "clock": now.status,
            "next": self._occurrence(following) if following else None,
            "ringing": [self._occurrence(each) for each in clockwork.ringing],
            "ringing_since_s": clockwork.ringing_since_s,
            "snoozed": [self._occurrence(each) for each in clockwork.ledger.waiting_snoozes(now)],
            "sound": {"output": speaker.output, "silent": speaker.silent, "failures": list(speaker.failures)},
            "light": clockwork.light,
            "storage": clockwork.decisions.storage,
            "button": self.button,
            "monitor": monitor,
            "notices": clockwork.notices,
        }

    def _list(self, raw: dict[str, Any]) -> dict[str, Any]:
        alarms = sorted(self._clockwork.store.contents.alarms.values(), key=lambda alarm: alarm.id)
        return {"alarms": [to_json(alarm) | {"next": self._next(alarm)} for alarm in alarms]}

    def _set(self, raw: dict[str, Any]) -> dict[str, Any]:
        given = raw.get("alarm")
        number = given.get("id", 0) if isinstance(given, dict) else 0
        alarms = self._clockwork.store.contents.alarms
        onto = alarms.get(number) if isinstance(number, int) and not isinstance(number, bool) else None
        alarm = from_json(given, onto=onto)
        if alarm.date is not None and alarm.enabled and alarm != onto:
            today = dt.datetime.fromtimestamp(self._clockwork.now.utc_s, self._clockwork.zone)
            if dt.datetime.combine(alarm.date, alarm.time) <= today.replace(tzinfo=None):
                raise InputError(
                    f"expected a date and time to come, got {alarm.date} {alarm.time:%H:%M}, which is over"
                )
        stored = self._clockwork.set_alarm(alarm, by=_by(raw))
        return {"alarm": to_json(stored), "next": self._next(stored)}

    def _delete(self, raw: dict[str, Any]) -> dict[str, Any]:
        number = _integer(raw, "alarm")
        if number is None:
            raise InputError("expected alarm, the id of the alarm to delete, got none")
        self._clockwork.delete_alarm(number, by=_by(raw))
        return {}

    def _skip(self, raw: dict[str, Any]) -> dict[str, Any]:
        date = None if raw.get("date") is None else read_date("date", raw["date"])
        undo = raw.get("undo", False)
        if not isinstance(undo, bool):
            raise InputError(f"undo: expected true or false, got {undo!r:.60}")
        each = self._clockwork.skip(by=_by(raw), alarm=_integer(raw, "alarm"), date=date, undo=undo)
        return {"occurrence": self._occurrence(each)}

    def _snooze(self, raw: dict[str, Any]) -> dict[str, Any]:
        minutes = _integer(raw, "minutes")
        if minutes is not None and not 1 <= minutes <= 60:
            raise InputError(f"minutes: expected an integer of 1 to 60, got {minutes}")
        made = self._clockwork.snooze(by=_by(raw), minutes=minutes)
        return {"occurrences": [self._occurrence(each) for each in made]}

    def _stop(self, raw: dict[str, Any]) -> dict[str, Any]:
        return {"occurrences": [self._occurrence(each) for each in self._clockwork.stop(by=_by(raw))]}

    def _hint(self, raw: dict[str, Any]) -> dict[str, Any]:
        rang, why = self._clockwork.hint(read_hint(raw))
        return {"rang": rang, "why": why}

    def _log(self, raw: dict[str, Any]) -> dict[str, Any]:
        limit, since_s = raw.get("limit", 100), raw.get("since_s", 0)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_ENTRIES:
            raise InputError(f"limit: expected an integer of 1 to {MAX_ENTRIES}, got {limit!r:.60}")
        if isinstance(since_s, bool) or not isinstance(since_s, (int, float)):
            raise InputError(f"since_s: expected seconds since 1970, got {since_s!r:.60}")
        entries = [*self._clockwork.store.contents.journal, *self._clockwork.decisions.unstored]
        return {"entries": [self._entry(entry) for entry in entries if entry.utc_s >= since_s][-limit:]}

    def _test(self, raw: dict[str, Any]) -> dict[str, Any]:
        sound, seconds = raw.get("sound", "bell"), raw.get("seconds", 3)
        if not isinstance(sound, str) or not 1 <= len(sound) <= 80 or "/" in sound or "\0" in sound:
            raise InputError(f"sound: expected the name of a sound, without folders, got {sound!r:.60}")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0.5 <= seconds <= 30:
            raise InputError(f"seconds: expected a number of 0.5 to 30, got {seconds!r:.60}")
        self._clockwork.test_sound(sound)
        self.test_ends_boot_s = self._clockwork.now.boot_s + seconds
        return {}

    def _next(self, alarm: Any) -> dict[str, Any] | None:
        each = self._clockwork.next_occurrence(alarm)
        return self._occurrence(each) if each else None

    def _occurrence(self, each: Occurrence) -> dict[str, Any]:
        ledger, zone = self._clockwork.ledger, self._clockwork.zone
        alarm = self._clockwork.store.contents.alarms.get(each.key.alarm)
        state = "ringing" if each.key in ledger.ringing else "skipped" if each.key in ledger.skipped else "planned"
        return {
            **_key(each.key),
            "name": alarm.name if alarm else "",
            "deadline": iso(each.deadline_s, zone),
            "deadline_s": float(each.deadline_s),
            "window_start": iso(each.window_start_s, zone),
            "window_start_s": float(each.window_start_s),
            "state": state,
        }

    def _entry(self, entry: Entry) -> dict[str, Any]:
        return entry_json(entry, self._clockwork.zone)


def entry_json(entry: Entry, zone: ZoneInfo) -> dict[str, Any]:
    """A journal entry as the socket gives it."""
    return {
        "id": entry.id,
        "at": iso(entry.utc_s, zone),
        "at_s": entry.utc_s,
        "kind": entry.kind,
        "text": entry.text,
        "by": entry.by,
        **_key(entry.key),
        "deadline_s": entry.deadline_s,
    }


def _key(key: Key | None) -> dict[str, Any]:
    if key is None:
        return dict.fromkeys(("alarm", "date", "time", "snooze"))
    return {"alarm": key.alarm, "date": key.date.isoformat(), "time": key.time.strftime("%H:%M"), "snooze": key.snooze}


def _read(line: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected a JSON object in UTF-8 in one line, got something else: {error!s:.100}") from None
    if not isinstance(raw, dict):
        raise InputError(f"expected a JSON object in one line, got {raw!r:.60}")
    return raw


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _integer(raw: dict[str, Any], key: str) -> int | None:
    value = raw.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise InputError(f"{key}: expected an integer, got {value!r:.60}")
    return value


def _by(raw: dict[str, Any]) -> str:
    by = raw.get("by", "socket")
    if not isinstance(by, str) or not 1 <= len(by) <= 40 or not by.isprintable():
        raise InputError(f"by: expected who asks, at most 40 printable characters, got {by!r:.60}")
    return by
