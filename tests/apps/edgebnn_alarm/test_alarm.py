"""Alarms as JSON: what comes in is checked, and says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from edgebnn_alarm.alarm import from_json, to_json
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.errors import InputError

GOOD = {"time": "07:00", "weekdays": ["mon"]}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def test_round_trip_with_all_keys() -> None:
    raw = {
        "id": 3, "name": "Work", "time": "06:45", "weekdays": ["mon", "fri"], "date": None,
        "except_dates": ["2026-12-25"], "enabled": True, "window_min": 30, "sound": "chime", "fade_s": 60,
        "start_level": 0.1, "sunrise_min": 20, "snooze_min": 5, "snooze_limit": 2, "skip_if_out_of_bed": True,
    }  # fmt: skip
    assert to_json(from_json(raw)) == raw


def test_keys_not_given_are_kept() -> None:
    alarm = from_json(GOOD | {"window_min": 30})
    changed = from_json({"date": "2026-12-01", "weekdays": []}, onto=alarm)
    assert (changed.window_min, changed.weekdays, str(changed.date)) == (30, (), "2026-12-01")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"time": "24:00"}, "time: expected a time"),
        ({"time": "7:00"}, "time: expected a time"),
        ({"time": "٠٧:٠٠"}, "time: expected a time"),
        ({"weekdays": ["monday"]}, "weekdays: expected a list of mon"),
        ({"weekdays": []}, "expected weekdays or a date of the alarm, got neither"),
        ({"date": "2026-12-01"}, "got both"),
        ({"date": "2026-02-30"}, "date: expected a date"),
        ({"except_dates": ["2026-12-01"] * 101}, "except_dates: expected a list of at most 100"),
        ({"window_min": 91}, "window_min: expected an integer of 0 to 90, got 91"),
        ({"window_min": True}, "got True"),
        ({"fade_s": 1.5}, "got 1.5"),
        ({"start_level": float("nan")}, "start_level: expected a number of 0 to 1"),
        ({"sound": "../../etc/passwd"}, "sound: expected the name of a sound"),
        ({"sound": "a/b"}, "without folders"),
        ({"name": "a\nb"}, "name: expected printable text"),
        ({"name": "x" * 81}, "at most 80"),
        ({"snooze_limit": -1}, "0 to 20"),
        ({"volume": 3}, "has no key 'volume'"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*$") as caught:
        from_json(GOOD | change)
    assert says in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(to_json(from_json(GOOD)))), ANYTHING) | ANYTHING)
def test_anything_gives_an_alarm_or_one_sentence(raw: Any) -> None:
    try:
        alarm = from_json(raw)
    except InputError as error:
        assert len(str(error)) < 300
    else:
        assert from_json(to_json(alarm)) == alarm
