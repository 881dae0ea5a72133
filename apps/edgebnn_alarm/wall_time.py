"""From local wall time to an instant, right at both daylight-saving changes."""

from __future__ import annotations

import datetime as dt
import functools
from zoneinfo import ZoneInfo


@functools.lru_cache(8192)
def first_instant(date: dt.date, time: dt.time, zone: ZoneInfo) -> int | None:
    """The first second (since 1970 UTC) at which the zone's clocks show `date` and `time`, or the first time after it
    where a change of the clocks leaves it out; None on a date that the zone left out altogether.

    A time that comes twice is the first of the two; a time that is left out is the instant of the change.
    """
    wall = dt.datetime.combine(date, time)
    low, high = sorted(int(wall.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    if _wall(low, zone) >= wall:  # the time exists; with two of them `low` is the first
        return low
    while high - low > 1:  # the change lies in (low, high]: before it clocks show less than `wall`
        middle = (low + high) // 2
        low, high = (low, middle) if _wall(middle, zone) >= wall else (middle, high)
    midnight = dt.datetime.combine(date, dt.time())
    left_out = _wall(high, zone).date() > date and _wall(high - 1, zone) < midnight
    return None if left_out else high


def local(instant_s: float, zone: ZoneInfo) -> dt.datetime:
    """What the zone's clocks show at an instant."""
    return dt.datetime.fromtimestamp(instant_s, zone)


def iso(instant_s: float, zone: ZoneInfo) -> str:
    """An instant in ISO 8601 with the zone's offset, whole seconds."""
    return local(instant_s, zone).replace(microsecond=0).isoformat()


def hh_mm(instant_s: float, zone: ZoneInfo) -> str:
    """The time of the day, for sentences."""
    return local(instant_s, zone).strftime("%H:%M")


def _wall(instant_s: int, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.fromtimestamp(instant_s, zone).replace(tzinfo=None, fold=0)
