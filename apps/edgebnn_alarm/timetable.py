"""The timetable: the occurrences of all alarms around now, and two questions about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from contextlib import suppress
from zoneinfo import ZoneInfo

from edgebnn_alarm.alarm import Alarm
from edgebnn_alarm.belief import Memory
from edgebnn_alarm.occurrence import AHEAD_DAYS, BACK_DAYS, Key, Occurrence, occurrence, occurrences
from edgebnn_alarm.wall_time import local

MISSED_DAYS = 8
"""So far back missed occurrences are reported."""


class Timetable:
    """Made anew when the alarms, the zone or the days change."""

    def __init__(self) -> None:
        """Empty."""
        self._about: tuple[object, ...] = ()
        self._found: list[Occurrence] = []

    def around(self, now_s: float, alarms: Iterable[Alarm], zone: ZoneInfo, *, checked_s: float) -> list[Occurrence]:
        """From what may have been missed since `checked_s`, the last look, to a week ahead; by deadline."""
        today = local(now_s, zone).date()
        back = dt.timedelta(days=BACK_DAYS)
        first = max(min(today, local(checked_s, zone).date()) - back, today - dt.timedelta(days=MISSED_DAYS))
        alarms = tuple(alarms)
        about = (alarms, zone, first, today)
        if about != self._about:
            self._found = occurrences(alarms, zone, first, today + dt.timedelta(days=AHEAD_DAYS))
            self._about = about
        return self._found


def came_before(saved: Memory, alarms: Iterable[Alarm], zone: ZoneInfo) -> frozenset[Key]:
    """What was to come when the time was last saved, in the zone of then, else in `zone`."""
    with suppress(KeyError, ValueError, OSError):  # of a file, or no longer installed
        zone = ZoneInfo(saved.zone) if saved.zone else zone
    date = local(saved.utc_s, zone).date()
    first, last = date - dt.timedelta(days=1), date + dt.timedelta(days=AHEAD_DAYS)
    found = occurrences(alarms, zone, first, last)
    return frozenset(each.key for each in found if each.deadline_s > saved.utc_s)


def last_over(now_s: float, alarm: Alarm, zone: ZoneInfo, *, before: Alarm | None) -> Occurrence | None:
    """The last one over of an alarm that is set now: a person who sets it means what comes after that.

    Not what the alarm `before` the change was to ring, and still is.
    """
    today = local(now_s, zone).date()
    dates = [today + dt.timedelta(days=day) for day in range(-BACK_DAYS, 2)]
    fresh = [date for date in dates if before is None or before.time != alarm.time or not before.rings_on(date)]
    found = [occurrence(alarm, date, zone) for date in fresh]
    return max((each for each in found if each is not None and each.deadline_s <= now_s), default=None)
