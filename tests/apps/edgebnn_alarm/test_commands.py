"""The protocol of docs/alarm.md, command by command, on a simulated machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from edgebnn_alarm.alarm import from_json
from edgebnn_alarm.store import StoreError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.apps.edgebnn_alarm.machine import DAILY, EVENING_S, Machine
from tests.apps.edgebnn_alarm.test_alarm import ANYTHING


def test_a_plain_night(machine: Machine) -> None:
    answer = machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY, "name": "Work"}, by="page", id="q")
    assert answer["id"] == "q" and answer["alarm"]["id"] == 1
    assert answer["next"] == {
        "alarm": 1, "date": "2026-11-24", "time": "07:00", "snooze": 0, "name": "Work", "state": "planned",
        "deadline": "2026-11-24T07:00:00+01:00", "deadline_s": EVENING_S + 9 * 3600,
        "window_start": "2026-11-24T07:00:00+01:00", "window_start_s": EVENING_S + 9 * 3600,
    }  # fmt: skip
    assert machine.ask("status")["next"] == answer["next"]
    machine.at("06:59:59")
    assert not machine.speaker.playing
    machine.at("07:00:00")
    status = machine.ask("status")
    assert machine.speaker.playing and status["ringing"][0]["state"] == "ringing"
    assert status["ringing_since_s"] == EVENING_S + 9 * 3600 and status["next"]["date"] == "2026-11-25"
    assert machine.ask("stop", by="page")["occurrences"][0]["date"] == "2026-11-24"
    assert not machine.speaker.playing and machine.ask("stop")["occurrences"] == []
    assert machine.texts("rang") == ["rang 07:00: deadline 07:00"]
    assert machine.texts("stopped") == ["stopped 07:00: by page"]
    machine.at("06:59:00")
    assert not machine.speaker.playing


def test_a_hint_rings_in_the_window_and_says_why(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY, "window_min": 30})
    machine.at("06:29:00")
    assert machine.ask("hint", ring=True) == {"ok": True, "rang": False, "why": "no window is open"}
    machine.at("06:41:00")
    assert machine.ask("hint", ring=True, reason="awake 3 epochs")["rang"]
    assert machine.speaker.playing
    assert machine.ask("hint", ring=True)["why"] == "it rings already"
    assert machine.texts("rang") == ["rang 06:41: awake 3 epochs, deadline 07:00"]
    machine.ask("stop")
    machine.at("07:00:10")
    assert not machine.speaker.playing


def test_snooze_with_limit(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY, "snooze_limit": 2})
    assert "nothing rings" in machine.refused("snooze")
    machine.at("07:00:00")
    made = machine.ask("snooze", minutes=5, by="button")["occurrences"][0]
    assert (made["snooze"], made["deadline"]) == (1, "2026-11-24T07:05:00+01:00")
    assert machine.ask("status")["snoozed"] == [made] and not machine.speaker.playing
    machine.at("07:05:00")
    assert machine.speaker.playing and machine.texts("rang")[-1] == "rang 07:05: snooze 1 of 07:05 is over"
    machine.ask("snooze")
    machine.at("07:14:00")
    assert "the limit of 2 snoozes is reached" in machine.refused("snooze")
    assert machine.speaker.playing
    machine.ask("stop")
    assert not machine.speaker.playing


def test_stop_ends_a_waiting_snooze_and_delete_too(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("07:00:00")
    assert "rings: stop it first" in machine.refused("delete", alarm=1)
    assert "rings: stop it first" in machine.refused("set", alarm={"id": 1, "time": "08:00"})
    machine.ask("snooze")
    assert machine.ask("stop")["occurrences"][0]["snooze"] == 1
    machine.at("07:30:00")
    assert len(machine.texts("rang")) == 1
    machine.at("07:00:00")
    machine.ask("snooze")
    machine.ask("delete", alarm=1)
    machine.at("07:30:00")
    assert len(machine.texts("rang")) == 2 and machine.ask("list")["alarms"] == []


def test_skip_and_undo(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.ask("set", alarm={"time": "08:00", "date": "2026-11-24"})
    assert machine.ask("skip", by="mqtt")["occurrence"]["time"] == "07:00"
    assert machine.ask("status")["next"]["time"] == "08:00"
    assert machine.ask("list")["alarms"][0]["next"]["state"] == "skipped"
    machine.ask("skip", alarm=1, date="2026-11-25")
    assert "no occurrence to come" in machine.refused("skip", alarm=2, date="2026-11-25")
    machine.ask("skip", alarm=1, date="2026-11-25", undo=True)
    machine.at("07:30:00")
    assert machine.texts("rang") == []
    machine.at("08:00:00")
    machine.ask("stop")
    machine.at("07:00:00")
    assert machine.texts("rang")[-1] == "rang 07:00: deadline 07:00"


def test_out_of_bed_skips_only_after_ten_minutes_with_the_camera(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY, "skip_if_out_of_bed": True})
    machine.ask("set", alarm={"time": "07:20", "weekdays": DAILY})

    def out(first: str, minutes: int, camera: bool = True) -> None:
        machine.at(first)
        for _ in range(2 * minutes):
            machine.ask("hint", ring=False, out_of_bed=True, camera=camera)
            machine.clock.true_s += 30
            machine.clockwork.tick()

    out("06:49:00", 11)
    assert machine.texts("skipped") == ["skipped 07:00: out of bed for 10 min with the camera alive"]
    assert not machine.speaker.playing
    out("07:05:00", 15)  # the second alarm does not ask for it
    assert machine.speaker.playing
    machine.ask("stop")
    for first, minutes, camera in (
        ("06:51:30", 9, True),  # too short
        ("06:40:00", 18, True),  # silent for the last two minutes
        ("06:40:00", 21, False),  # no camera
    ):
        out(first, minutes, camera)
        if not machine.speaker.playing:
            machine.at("07:00:30")
        assert machine.speaker.playing, first
        machine.ask("stop")
        machine.at("07:30:00")
        machine.ask("stop")


def test_alarms_are_set_for_what_is_to_come(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "21:50", "weekdays": DAILY})
    assert machine.texts("passed") == ["21:50 was over when the alarm was set"]
    machine.clockwork.tick()
    assert not machine.speaker.playing
    assert "expected a date and time to come" in machine.refused("set", alarm={"time": "21:50", "date": "2026-11-23"})
    assert "there is no alarm 7" in machine.refused("set", alarm={"id": 7, "time": "01:00", "weekdays": DAILY})


def test_set_is_refused_when_it_cannot_be_kept(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})

    def refuse(*arguments: Any) -> None:
        raise StoreError("the disk is full")

    for method in ("put_alarm", "append", "delete_alarm"):
        monkeypatch.setattr(machine.clockwork.store, method, refuse)
    assert machine.refused("set", alarm={"time": "08:00", "weekdays": DAILY}) == "the disk is full"
    assert machine.refused("skip") == "the disk is full"
    assert machine.refused("delete", alarm=1) == "the disk is full"
    machine.at("07:00:00")
    assert machine.speaker.playing and "wait for the disk" in machine.ask("status")["storage"]
    machine.ask("stop")
    assert not machine.speaker.playing
    monkeypatch.undo()
    machine.at("07:01:00")
    assert machine.ask("status")["storage"] == "ok"
    assert {"rang", "stopped"} <= {entry.kind for entry in machine.clockwork.store.contents.journal}


def test_a_test_sound_never_disturbs_an_alarm(machine: Machine) -> None:
    machine.ask("test", sound="beep")
    assert machine.speaker.sounds[-1][0] == "beep"
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("07:00:00")
    assert "an alarm rings" in machine.refused("test")
    assert "without folders" in machine.refused("test", sound="../x")


def test_at_most_200_alarms(machine: Machine) -> None:
    dates = [f"2027-{month:02d}-{day:02d}" for month in range(1, 5) for day in range(1, 26)]
    raw = {"time": "07:00", "weekdays": DAILY, "except_dates": dates, "name": "ü" * 80}
    machine.clockwork.store.contents.alarms |= {number: from_json({**raw, "id": number}) for number in range(1, 200)}
    machine.ask("set", alarm=raw)
    assert "at most 200" in machine.refused("set", alarm={"time": "07:00", "weekdays": DAILY})
    assert len(json.dumps(machine.ask("list"))) < 1_000_000


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "expected a JSON object"),
        (b"[1]", "expected a JSON object"),
        (b'{"cmd": "stop"', "expected a JSON object"),
        (b"\xff\xfe", "expected a JSON object"),
        (b"[" * 60_000, "expected a JSON object"),
        (b'{"cmd": "ring"}', "expected cmd, one of list set"),
        (b'{"cmd": ["stop"]}', "expected cmd"),
        (b'{"cmd": "stop", "alarm": 3}', "stop has no key 'alarm'; it has by"),
        (b'{"cmd": "stop", "by": ""}', "by: expected who asks"),
        (b'{"cmd": "snooze", "minutes": 0}', "minutes: expected an integer of 1 to 60"),
        (b'{"cmd": "snooze", "minutes": 1e400}', "minutes: expected an integer"),
        (b'{"cmd": "hint"}', "expected ring"),
        (b'{"cmd": "hint", "ring": 1}', "ring: expected true or false"),
        (b'{"cmd": "hint", "ring": true, "reason": "a\\nb"}', "reason: expected printable text"),
        (b'{"cmd": "log", "limit": 1001}', "limit: expected an integer of 1 to 1000"),
        (b'{"cmd": "log", "since_s": NaN}', "NaN is no JSON"),
        (b'{"cmd": "delete"}', "expected alarm"),
        (b'{"cmd": "skip", "undo": 1}', "undo: expected true or false"),
        (b'{"cmd": "set"}', "expected an alarm as a JSON object"),
    ],
)
def test_wrong_requests_get_one_sentence(machine: Machine, line: bytes, says: str) -> None:
    answer = machine.raw(line)
    assert answer["ok"] is False and says in answer["error"] and "\n" not in answer["error"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["list", "set", "delete", "skip", "hint", "status", "log", "test", "snooze"]),
    st.dictionaries(
        st.sampled_from(
            ["alarm", "by", "date", "undo", "minutes", "ring", "limit", "since_s", "sound", "seconds", "id"]
        ),
        ANYTHING,
        max_size=4,
    ),
)
def test_anything_is_answered(machine: Machine, cmd: str, keys: dict[str, Any]) -> None:
    answer = machine.raw(json.dumps({**keys, "cmd": cmd}).encode())
    assert isinstance(answer["ok"], bool) and "failed inside" not in answer.get("error", "")


def test_the_documentation_names_every_command_and_key(machine: Machine) -> None:
    text = (Path(__file__).parents[3] / "docs/alarm.md").read_text()
    for command, (_, keys) in machine.commands._commands.items():
        assert f'"cmd": "{command}"' in text
        for key in keys - {"by"}:
            assert f'"{key}"' in text or f"`{key}`" in text, (command, key)
    for key in machine.ask("status"):
        assert f'"{key}"' in text, key
