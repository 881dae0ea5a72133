"""Local time to instants: against walking through every minute, at every change of clocks of every zone."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo, available_timezones

import pytest
from edgebnn_alarm.wall_time import first_instant
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.apps.edgebnn_alarm.night import minutes

BERLIN = ZoneInfo("Europe/Berlin")


def instant(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("date", "time", "zone", "expected"),
    [
        ("2026-11-23", "07:00", "Europe/Berlin", "2026-11-23T07:00:00+01:00"),
        ("2026-03-29", "02:30", "Europe/Berlin", "2026-03-29T03:00:00+02:00"),  # left out: the change itself
        ("2026-03-29", "03:00", "Europe/Berlin", "2026-03-29T03:00:00+02:00"),
        ("2026-10-25", "02:30", "Europe/Berlin", "2026-10-25T02:30:00+02:00"),  # comes twice: the first
        ("2026-10-25", "03:00", "Europe/Berlin", "2026-10-25T03:00:00+01:00"),
        ("2026-04-05", "01:45", "Australia/Lord_Howe", "2026-04-05T01:45:00+11:00"),  # half an hour back
        ("2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-04T02:30:00+11:00"),
        ("2026-09-06", "00:00", "America/Santiago", "2026-09-06T01:00:00-03:00"),  # the change at midnight
    ],
)
def test_changes_of_the_clocks(date: str, time: str, zone: str, expected: str) -> None:
    found = first_instant(dt.date.fromisoformat(date), dt.time.fromisoformat(time), ZoneInfo(zone))
    assert found == instant(expected)


def test_a_date_that_was_left_out_has_no_alarm() -> None:
    assert first_instant(dt.date(2011, 12, 30), dt.time(7), ZoneInfo("Pacific/Apia")) is None
    assert first_instant(dt.date(2011, 12, 31), dt.time(0), ZoneInfo("Pacific/Apia")) is not None


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(available_timezones())), st.dates(dt.date(2024, 1, 3), dt.date(2037, 12, 28)), st.data())
def test_as_by_walking_through_the_minutes(name: str, date: dt.date, data: st.DataObject) -> None:
    zone = ZoneInfo(name)
    noon = dt.datetime.combine(date, dt.time(12), dt.timezone.utc)
    offsets = [(noon + dt.timedelta(day)).astimezone(zone).utcoffset() for day in range(366)]
    later = next((day for day in range(366) if offsets[day] != offsets[0]), 0)
    date = min(date + dt.timedelta(later), dt.date(2037, 12, 28))  # to the day after the next change, if there is one
    date -= dt.timedelta(data.draw(st.integers(0, 2)))
    time = data.draw(st.times().map(lambda t: dt.time(t.hour, t.minute)))
    low = int(dt.datetime.combine(date, dt.time(), dt.timezone.utc).timestamp() // 60) - 2000
    walls = minutes.__wrapped__(name, low, low + 6000)
    if (date, 0) < min(walls):
        return
    wanted = (date, 60 * time.hour + time.minute)
    walked = next(low + i for i, wall in enumerate(walls) if wall >= wanted)
    assert first_instant(date, time, zone) == 60 * walked
