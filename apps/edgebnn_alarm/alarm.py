"""An alarm as a person sets it, and its JSON form on the socket, in the database and in the last good copy."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from typing import Any

from edgebnn.errors import InputError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_EXCEPT_DATES = 100
_SOUND = re.compile(r"[\w][\w .-]{0,79}")


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """When and how to ring; docs/alarm.md gives each field's meaning and bounds. `id` 0 is an alarm not yet stored."""

    id: int = 0
    name: str = ""
    time: dt.time
    weekdays: tuple[str, ...] = ()
    date: dt.date | None = None
    except_dates: tuple[dt.date, ...] = ()
    enabled: bool = True
    window_min: int = 0
    sound: str = "bell"
    fade_s: int = 30
    start_level: float = 0.05
    sunrise_min: int = 0
    snooze_min: int = 9
    snooze_limit: int = 3
    skip_if_out_of_bed: bool = False

    def rings_on(self, date: dt.date) -> bool:
        """Whether the alarm has an occurrence on that local date."""
        if self.date is not None:
            return self.enabled and date == self.date
        return self.enabled and WEEKDAYS[date.weekday()] in self.weekdays and date not in self.except_dates


def to_json(alarm: Alarm) -> dict[str, Any]:
    """The alarm with times and dates as strings; `from_json` reads it back."""
    raw = dict(vars(alarm))
    raw["time"] = alarm.time.strftime("%H:%M")
    raw["weekdays"] = list(alarm.weekdays)
    raw["date"] = alarm.date.isoformat() if alarm.date else None
    raw["except_dates"] = [date.isoformat() for date in alarm.except_dates]
    return raw


def from_json(raw: object, *, onto: Alarm | None = None) -> Alarm:
    """An alarm from its JSON form; keys that are not given keep the value of `onto`, else the default.

    InputError names the key, what was expected and what came.
    """
    if not isinstance(raw, dict):
        raise InputError(f"expected an alarm as a JSON object, got {_short(raw)}")
    unknown = sorted(set(map(str, raw)) - set(_READERS))
    if unknown:
        raise InputError(f"an alarm has no key {_short(unknown[0])}; its keys are {', '.join(_READERS)}")
    given = {key: _READERS[key](key, value) for key, value in raw.items()}
    if onto is None:
        if "time" not in given:
            raise InputError('expected a time of the alarm ("HH:MM"), got none')
        alarm = Alarm(**given)
    else:
        alarm = replace(onto, **given)
    if bool(alarm.weekdays) == (alarm.date is not None):
        came = "both" if alarm.date else "neither"
        raise InputError(f"expected weekdays or a date of the alarm, got {came}: give one of them")
    return alarm


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _wrong(key: str, expected: str, value: object) -> InputError:
    return InputError(f"{key}: expected {expected}, got {_short(value)}")


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > 80 or not value.isprintable():
        raise _wrong(key, "printable text of at most 80 characters", value)
    return value


def _sound(key: str, value: object) -> str:
    if not isinstance(value, str) or not _SOUND.fullmatch(value):
        raise _wrong(key, "the name of a sound, without folders", value)
    return value


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(key, "true or false", value)
    return value


def _integer(low: int, high: int) -> Any:
    def read(key: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(key, f"an integer of {low} to {high}", value)
        return value

    return read


def _share(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise _wrong(key, "a number of 0 to 1", value)
    return float(value)


def _time(key: str, value: object) -> dt.time:
    if isinstance(value, str) and re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value, re.ASCII):
        return dt.time(int(value[:2]), int(value[3:]))
    raise _wrong(key, 'a time "HH:MM" of 00:00 to 23:59', value)


def read_date(key: str, value: object) -> dt.date:
    """A date "YYYY-MM-DD" from 2000 to 2199; InputError names `key`."""
    if isinstance(value, str) and re.fullmatch(r"2[01][0-9]{2}-[0-9]{2}-[0-9]{2}", value, re.ASCII):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            pass  # a 31st of June: said below
    raise _wrong(key, 'a date "YYYY-MM-DD"', value)


def _date_or_none(key: str, value: object) -> dt.date | None:
    return None if value is None else read_date(key, value)


def _dates(key: str, value: object) -> tuple[dt.date, ...]:
    if not isinstance(value, list) or len(value) > MAX_EXCEPT_DATES:
        raise _wrong(key, f'a list of at most {MAX_EXCEPT_DATES} dates "YYYY-MM-DD"', value)
    return tuple(sorted({read_date(key, date) for date in value}))


def _weekdays(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(day, str) and day in WEEKDAYS for day in value):
        raise _wrong(key, f"a list of {' '.join(WEEKDAYS)}", value)
    return tuple(day for day in WEEKDAYS if day in value)


_READERS: dict[str, Any] = {
    "id": _integer(0, 2**53),
    "name": _text,
    "time": _time,
    "weekdays": _weekdays,
    "date": _date_or_none,
    "except_dates": _dates,
    "enabled": _flag,
    "window_min": _integer(0, 90),
    "sound": _sound,
    "fade_s": _integer(0, 600),
    "start_level": _share,
    "sunrise_min": _integer(0, 60),
    "snooze_min": _integer(1, 60),
    "snooze_limit": _integer(0, 20),
    "skip_if_out_of_bed": _flag,
}
