"""Stretches and figures of nights that are counted by hand."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from edgebnn_sleep.nights import Week, bounds, by_night, intervals, night_of, summarize

from tests.apps.edgebnn_sleep.nights import BERLIN, EVENING, night

MONDAY = dt.date(2026, 11, 23)


def test_a_plain_night():
    """15 min awake, 2 h asleep, 10 min awake, 5 h asleep of which 15 min restless, 5 min awake, up."""
    epochs = night("w" * 3 + "s" * 24 + "w" * 2 + "s" * 30 + "r" * 3 + "s" * 27 + "w" + "o" * 12)
    found = summarize(MONDAY, epochs)
    assert found.latency_min == 15
    assert found.in_bed_min == 450
    assert found.asleep_min == 420
    assert found.awake_min == 10
    assert found.restless_min == 15
    assert found.efficiency == pytest.approx(420 / 450)
    assert found.onset_s == EVENING.timestamp() + 900
    assert found.up_s - found.bed_s == 450 * 60
    assert found.unseen_min == 0


def test_a_visit_to_the_bathroom_is_awake_and_not_in_bed():
    found = summarize(MONDAY, night("w" + "s" * 12 + "w" + "o" * 2 + "w" + "s" * 12))
    assert found.in_bed_min == 27 * 5
    assert found.awake_min == 20
    assert found.asleep_min == 120


def test_an_evening_on_the_bed_hours_before_does_not_count():
    found = summarize(MONDAY, night("w" * 6 + "o" * 12 + "w" + "s" * 20))
    assert found.bed_s == EVENING.timestamp() + 90 * 60
    assert found.latency_min == 5


def test_a_moment_of_stillness_is_no_onset():
    """Nine minutes asleep, awake again: sleep begins later."""
    found = summarize(MONDAY, night("w" * 5 + "s" * 9 + "w" * 5 + "s" * 60, minutes=1))
    assert found.latency_min == 19


def test_one_epoch_awake_does_not_delay_onset():
    epochs = night("w" * 2 + "s" * 60, minutes=1)
    epochs[10] = night("w", minutes=1, start=EVENING + dt.timedelta(minutes=5))[0]
    assert summarize(MONDAY, epochs).latency_min == 2


def test_a_lost_camera_is_counted_as_unseen():
    found = summarize(MONDAY, night("w" + "s" * 24 + "x" * 6 + "s" * 24))
    assert found.unseen_min == 30
    assert found.in_bed_min == 55 * 5
    assert found.asleep_min == 240


def test_without_presence_the_sleep_is_the_time_in_bed():
    epochs = [e.__class__(**{**vars(e), "presence": None}) for e in night("w" + "s" * 24 + "w")]
    found = summarize(MONDAY, epochs)
    assert found.in_bed_min == found.asleep_min == 120


@pytest.mark.parametrize("letters", ["", "w" * 50, "o" * 50, "x" * 50, "s"])
def test_nobody_slept(letters):
    assert summarize(MONDAY, night(letters)) is None


def test_intervals_are_joined_and_gaps_are_not():
    found = intervals(night("ws--sro", minutes=1))
    assert [(i.state, i.end_s - i.start_s) for i in found] == [
        ("awake", 60), ("asleep", 60), ("asleep", 60), ("restless", 60), ("out_of_bed", 60)
    ]  # fmt: skip
    assert found[2].start_s - found[1].end_s == 120


@pytest.mark.parametrize(
    ("day", "hours"), [(dt.date(2026, 11, 23), 24), (dt.date(2026, 3, 28), 23), (dt.date(2026, 10, 24), 25)]
)
def test_nights_of_23_and_25_hours(day, hours):
    since_s, until_s = bounds(day, BERLIN)
    assert until_s - since_s == hours * 3600
    assert night_of(since_s, BERLIN) == day == night_of(until_s - 1, BERLIN)
    assert night_of(until_s, BERLIN) == day + dt.timedelta(days=1)


def test_the_zone_decides_which_night():
    noon_in_berlin = dt.datetime(2026, 11, 24, 12, 30, tzinfo=BERLIN).timestamp()
    assert night_of(noon_in_berlin, BERLIN) == dt.date(2026, 11, 24)
    assert night_of(noon_in_berlin, ZoneInfo("America/New_York")) == dt.date(2026, 11, 23)


def test_week():
    first = night("w" * 2 + "s" * 24)
    second = night("w" * 4 + "s" * 48, start=EVENING + dt.timedelta(days=1))
    nights = [summarize(day, epochs) for day, epochs in by_night([*first, *second], BERLIN)]
    week = Week(tuple(nights))
    assert week.mean("latency_min") == 15
    assert week.mean("asleep_min") == 180
    assert week.mean("efficiency") == pytest.approx(24 / 26)
    assert Week(()).mean("asleep_min") is None
