"""An alarm as the editor's form sends it, as the clock takes it, and in words. Bounds are the clock's business."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Protocol

from edgebnn.errors import InputError

WEEKDAYS = {"mon": "Mon", "tue": "Tue", "wed": "Wed", "thu": "Thu", "fri": "Fri", "sat": "Sat", "sun": "Sun"}
NEW: dict[str, Any] = {
    "name": "",
    "time": "07:00",
    "weekdays": ["mon", "tue", "wed", "thu", "fri"],
    "date": None,
    "except_dates": [],
    "enabled": True,
    "window_min": 30,
    "sound": "bell",
    "fade_s": 30,
    "start_level": 0.05,
    "sunrise_min": 0,
    "snooze_min": 9,
    "snooze_limit": 3,
    "skip_if_out_of_bed": False,
}
SOUNDS = ("bell", "chime", "beep")
"""Built in; others are names of WAV files in the clock's folder."""


class Form(Protocol):
    """What Starlette's form data and a dict of lists have in common."""

    def get(self, key: str) -> Any:
        """One value or None."""

    def getlist(self, key: str) -> list[Any]:
        """All values."""


def read_form(form: Form) -> dict[str, Any]:
    """The alarm's keys as docs/alarm.md has them; InputError when a number is none."""
    once = _text(form, "repeat") == "once"
    percent = _number(form, "start_percent")
    return {
        "name": _text(form, "name").strip(),
        "time": _text(form, "time"),
        "weekdays": [] if once else [day for day in WEEKDAYS if day in form.getlist("weekdays")],
        "date": _text(form, "date") or None if once else None,
        "except_dates": [] if once else sorted(set(re.split(r"[\s,;]+", _text(form, "except_dates").strip())) - {""}),
        "enabled": form.get("enabled") == "on",
        "window_min": _integer(form, "window_min"),
        "sound": _text(form, "sound").strip(),
        "fade_s": _integer(form, "fade_s"),
        "start_level": percent / 100,
        "sunrise_min": _integer(form, "sunrise_min"),
        "snooze_min": _integer(form, "snooze_min"),
        "snooze_limit": _integer(form, "snooze_limit"),
        "skip_if_out_of_bed": form.get("skip_if_out_of_bed") == "on",
    }


def _text(form: Form, key: str) -> str:
    value = form.get(key)
    return value if isinstance(value, str) else ""


def _integer(form: Form, key: str) -> int:
    text = _text(form, key)
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise InputError(f"{key.replace('_', ' ')}: expected a whole number, got {text[:40]!r}")
    return int(text)


def _number(form: Form, key: str) -> float:
    text = _text(form, key)
    if not re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", text):
        raise InputError(f"{key.replace('_', ' ')}: expected a number, got {text[:40]!r}")
    return float(text)


def describe_days(alarm: Mapping[str, Any]) -> str:
    """ "Mon to Fri", "every day", "Sat, Sun", "once on 2026-12-24", "never"."""
    if alarm.get("date"):
        return f"once on {alarm['date']}"
    days = [day for day in WEEKDAYS if day in alarm["weekdays"]]
    if len(days) == 7:
        return "every day"
    if not days:
        return "never"
    places = [list(WEEKDAYS).index(day) for day in days]
    if len(days) > 2 and places[-1] - places[0] == len(days) - 1:
        return f"{WEEKDAYS[days[0]]} to {WEEKDAYS[days[-1]]}"
    return ", ".join(WEEKDAYS[day] for day in days)


def describe_rest(alarm: Mapping[str, Any]) -> list[str]:
    """What else matters of an alarm, a few words each."""
    words = []
    if alarm["window_min"]:
        words.append(f"up to {alarm['window_min']} min earlier")
    words.append(str(alarm["sound"]))
    if alarm["fade_s"]:
        words.append(f"{alarm['fade_s']} s fade")
    if alarm["sunrise_min"]:
        words.append(f"sunrise {alarm['sunrise_min']} min")
    words.append(
        f"snooze {alarm['snooze_limit']} × {alarm['snooze_min']} min" if alarm["snooze_limit"] else "no snooze"
    )
    if alarm["except_dates"]:
        words.append(f"not on {', '.join(alarm['except_dates'][:3])}{' …' if len(alarm['except_dates']) > 3 else ''}")
    if alarm["skip_if_out_of_bed"]:
        words.append("skipped if out of bed")
    return words


def describe_distance(seconds: float) -> str:
    """ "in 7 h 35 min", "in 2 days", "now"."""
    minutes = round(seconds / 60)
    if minutes <= 0:
        return "now"
    if minutes < 60:
        return f"in {minutes} min"
    if minutes < 36 * 60:
        return f"in {minutes // 60} h {minutes % 60} min"
    return f"in {round(minutes / 1440)} days"


def describe_moment(time_s: float, now_s: float, zone: dt.tzinfo) -> str:
    """ "today 07:00", "tomorrow 07:00", "Fri 07:00", "24 Dec 07:00"."""
    moment, today = (dt.datetime.fromtimestamp(s, zone) for s in (time_s, now_s))
    days = (moment.date() - today.date()).days
    if days in (0, 1):
        return f"{('today', 'tomorrow')[days]} {moment:%H:%M}"
    return f"{moment:%a %H:%M}" if 1 < days < 7 else f"{moment.day} {moment:%b %H:%M}"
