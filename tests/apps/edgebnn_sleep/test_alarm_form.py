"""Alarms in words, and the editor's form."""

from __future__ import annotations

import datetime as dt

import pytest
from edgebnn_sleep.alarm_form import NEW, describe_days, describe_distance, describe_moment, describe_rest, read_form
from starlette.datastructures import FormData

from edgebnn.errors import InputError
from tests.apps.edgebnn_sleep.nights import BERLIN, EVENING

FIELDS = [
    ("name", " Work "), ("time", "06:30"), ("repeat", "weekly"), ("weekdays", "fri"), ("weekdays", "mon"),
    ("weekdays", "someday"), ("except_dates", "2026-12-25,2026-12-24;2026-12-25"), ("enabled", "on"),
    ("window_min", "30"), ("sound", "bell"), ("fade_s", "20"), ("start_percent", "7.5"), ("sunrise_min", "0"),
    ("snooze_min", "9"), ("snooze_limit", "3"), ("date", "2026-11-30"),
]  # fmt: skip


def test_a_weekly_alarm():
    assert read_form(FormData(FIELDS)) == {
        "name": "Work", "time": "06:30", "weekdays": ["mon", "fri"], "date": None,
        "except_dates": ["2026-12-24", "2026-12-25"], "enabled": True, "window_min": 30, "sound": "bell", "fade_s": 20,
        "start_level": 0.075, "sunrise_min": 0, "snooze_min": 9, "snooze_limit": 3, "skip_if_out_of_bed": False,
    }  # fmt: skip
    assert read_form(FormData(FIELDS)).keys() == NEW.keys()


def test_once_has_a_date_and_no_days():
    alarm = read_form(FormData([*(f for f in FIELDS if f[0] != "repeat"), ("repeat", "once")]))
    assert (alarm["date"], alarm["weekdays"], alarm["except_dates"]) == ("2026-11-30", [], [])


@pytest.mark.parametrize("text", ["", "ten", "1e3", "1.5", "9" * 20, "٣"])
def test_what_is_no_number(text):
    with pytest.raises(InputError, match="window min: expected a whole number"):
        read_form(FormData([*(f for f in FIELDS if f[0] != "window_min"), ("window_min", text)]))


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ("mon tue wed thu fri", "Mon to Fri"),
        ("mon tue wed thu fri sat sun", "every day"),
        ("sat sun", "Sat, Sun"),
        ("mon wed fri", "Mon, Wed, Fri"),
        ("", "never"),
    ],
)
def test_days_in_words(days, words):
    assert describe_days(NEW | {"weekdays": days.split()}) == words


def test_the_rest_in_words():
    words = describe_rest(NEW | {"except_dates": ["a", "b", "c", "d"], "skip_if_out_of_bed": True, "snooze_limit": 0})
    assert words == [
        "up to 30 min earlier",
        "bell",
        "30 s fade",
        "no snooze",
        "not on a, b, c …",
        "skipped if out of bed",
    ]
    assert describe_days(NEW | {"date": "2026-12-24"}) == "once on 2026-12-24"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "now"), (61, "in 1 min"), (27_300, "in 7 h 35 min"), (100_000, "in 27 h 47 min"), (3 * 86_400, "in 3 days")],
)
def test_distance_in_words(seconds, words):
    assert describe_distance(seconds) == words


@pytest.mark.parametrize(
    ("hours", "words"), [(1, "today 23:30"), (9, "tomorrow 07:30"), (57, "Thu 07:30"), (24 * 31, "24 Dec 22:30")]
)
def test_moment_in_words(hours, words):
    now_s = EVENING.timestamp()
    assert describe_moment(now_s + dt.timedelta(hours=hours).total_seconds(), now_s, BERLIN) == words
