"""Backups: what is written is read again, what is wrong is refused as a whole."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from edgebnn_sleep.backup import HEADER, MOST_BYTES, read_backup, write_backup
from edgebnn_sleep.epochs import COLUMNS, Epoch
from edgebnn_sleep.store import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.errors import DataError
from tests.apps.edgebnn_sleep.nights import night

FIRST = json.dumps(HEADER).encode() + b"\n"
EPOCH = list(asdict(night("s")[0]).values())


def change(column: str, value: object) -> bytes:
    changed = list(EPOCH)
    changed[COLUMNS.index(column)] = value
    return FIRST + json.dumps({"epoch": changed}).encode() + b"\n"


def test_round_trip():
    epochs, events = night("wsrox"), [Event(1.5, "rang", "rang 06:41 – früh", 7.0), Event(2.0, "camera", "lost")]
    alarms = [{"id": 3, "time": "07:00", "next": {"date": "2026-11-24"}, "weekdays": ["mon"]}]
    found = read_backup("".join(write_backup(epochs, events, alarms)).encode())
    assert found.epochs == epochs
    assert found.events == events
    assert found.alarms == [{"time": "07:00", "weekdays": ["mon"]}]


def test_an_empty_backup_is_good():
    assert read_backup(FIRST).epochs == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"{}",
        b"[]\n",
        b"nonsense",
        b"\x00\xff",
        json.dumps(HEADER | {"version": 2}).encode(),
        FIRST + b"[]\n",
        FIRST + b"{}\n",
        FIRST + b'{"epoch": [], "event": []}\n',
        FIRST + b'{"epoch": []}\n',
        FIRST + b'{"epoch": {}}\n',
        FIRST + b'{"night": []}\n',
        FIRST + b'{"alarm": []}\n',
        FIRST + b'{"event": [1, 2, 3, 4]}\n',
        FIRST + b'{"event": [NaN, "a", "b", null]}\n',
        FIRST + b'{"event": [true, "a", "b", null]}\n',
        FIRST + b'{"event": [1, "a", "b", 1e300]}\n',
        FIRST + json.dumps({"event": [1, "a" * 41, "b", None]}).encode(),
        FIRST + b'{"epoch": ' + b"[" * 100_000 + b"\n",
        FIRST + b'{"alarm": {"time": "07:00"}}\n' * 201,
        change("start_s", None),
        change("start_s", "1"),
        change("start_s", -1),
        change("start_s", 1.5),
        change("start_s", 10**18),
        change("start_s", True),
        change("seen_s", None),
        change("seen_s", 1e9),
        change("activity", -1),
        change("activity", float("nan")),
        change("activity", float("inf")),
        change("activity", [1]),
        change("asleep", 2),
        change("asleep", 0.5),
        change("stage", 9),
        change("p_wake", 1.5),
        change("temperature_c", 1e6),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(raw):
    with pytest.raises(DataError, match="expected") as error:
        read_backup(raw)
    assert len(str(error.value)) < 400 and "\n" not in str(error.value)


def test_one_bad_line_refuses_all():
    raw = FIRST + json.dumps({"epoch": EPOCH}).encode() + b"\n" + change("stage", 9).split(b"\n")[1]
    with pytest.raises(DataError, match="line 3"):
        read_backup(raw)


def test_too_large():
    with pytest.raises(DataError, match="MB"):
        read_backup(b" " * (MOST_BYTES + 1))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(raw):
    with pytest.raises(DataError):
        read_backup(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=17) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=20,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(["epoch", "event", "alarm"]), json_values, min_size=1, max_size=2))
def test_any_json(entry):
    try:
        found = read_backup(FIRST + json.dumps(entry).encode())
    except DataError:
        return
    assert all(isinstance(epoch, Epoch) for epoch in found.epochs)
