"""Occurrences: one alarm on one local date at one local time; and the timetable of all alarms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

from edgebnn_alarm.alarm import Alarm
from edgebnn_alarm.wall_time import first_instant

BACK_DAYS = 2
"""A timetable holds occurrences from so many days ago: more than the longest grace and the widest change of zone."""
AHEAD_DAYS = 8
"""... to so many days ahead: a week, the window before it and a change of zone."""


class Key(NamedTuple):
    """What makes an occurrence the same one: not the zone, but another `time` is another occurrence."""

    alarm: int
    date: dt.date
    time: dt.time
    snooze: int


@dataclass(frozen=True, order=True)
class Occurrence:
    """An occurrence at its instants, seconds since 1970 UTC; a snooze has no window."""

    deadline_s: float
    key: Key
    window_start_s: float = field(compare=False)


def occurrence(alarm: Alarm, date: dt.date, zone: ZoneInfo) -> Occurrence | None:
    """The occurrence of an alarm on a local date, None when it has none."""
    if not alarm.rings_on(date):
        return None
    deadline_s = first_instant(date, alarm.time, zone)
    if deadline_s is None:
        return None
    return Occurrence(deadline_s, Key(alarm.id, date, alarm.time, 0), deadline_s - 60 * alarm.window_min)


def occurrences(alarms: Iterable[Alarm], zone: ZoneInfo, first: dt.date, last: dt.date) -> list[Occurrence]:
    """All occurrences on the local dates `first` to `last`, by deadline."""
    dates = [first + dt.timedelta(days=day) for day in range((last - first).days + 1)]
    found = (occurrence(alarm, date, zone) for alarm in alarms for date in dates if alarm.rings_on(date))
    return sorted(each for each in found if each is not None)


def next_of(alarm: Alarm, zone: ZoneInfo, today: dt.date) -> Iterable[Occurrence]:
    """The occurrences of one alarm from `today` on, as far as exceptions can push them."""
    days = AHEAD_DAYS + 7 * (len(alarm.except_dates) + 1)
    if alarm.date is not None:
        days, today = 1, max(today, alarm.date)
    for day in range(days):
        found = occurrence(alarm, today + dt.timedelta(days=day), zone)
        if found is not None:
            yield found
