"""The protocol of docs/alarm.md, command by command, on a simulated machine."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edgebnn_alarm.alarm import from_json
from edgebnn_alarm.clockwork import Clockwork
from edgebnn_alarm.commands import Commands
from edgebnn_alarm.light import NoLight
from edgebnn_alarm.planner import Rules
from edgebnn_alarm.simulation import Faults, SimulatedClock, SimulatedSpeaker
from edgebnn_alarm.store import Store, StoreError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.apps.edgebnn_alarm.night import memory_folder
from tests.apps.edgebnn_alarm.test_alarm import ANYTHING

EVENING_S = dt.datetime.fromisoformat("2026-11-23T22:00:00+01:00").timestamp()
DAILY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Machine:
    """A clock in memory, asked by JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SimulatedClock(EVENING_S, "Europe/Berlin", booted_s=EVENING_S - 9999)
        self.speaker = SimulatedSpeaker(self.clock)
        self.start()

    def start(self) -> None:
        self.faults = Faults()
        store = Store(self.folder, connect=self.faults.connect)
        self.clockwork = Clockwork(clock=self.clock, store=store, speaker=self.speaker, light=NoLight(), rules=Rules())
        self.commands = Commands(self.clockwork)
        self.clockwork.tick()

    def at(self, time: str) -> None:
        """Go to a time of the day to come, looking every half minute."""
        now = dt.datetime.fromtimestamp(self.clock.true_s, self.clockwork.zone)
        until = now.replace(hour=int(time[:2]), minute=int(time[3:5]), second=int(time[6:] or 0), microsecond=0)
        until_s = (until if until > now else until + dt.timedelta(days=1)).timestamp()
        while self.clock.true_s < until_s:
            idle_s = self.clockwork.tick()
            self.clock.true_s = min(until_s, self.clock.true_s + max(0.01, min(30.0, idle_s)))
        self.clockwork.tick()

    def raw(self, line: bytes) -> dict[str, Any]:
        answer, _ = self.commands.answer(line)
        json.dumps(answer, allow_nan=False)
        return answer

    def ask(self, cmd: str, **keys: Any) -> dict[str, Any]:
        answer = self.raw(json.dumps({"cmd": cmd, **keys}).encode())
        assert answer["ok"], answer
        return answer

    def refused(self, cmd: str, **keys: Any) -> str:
        answer = self.raw(json.dumps({"cmd": cmd, **keys}).encode())
        assert not answer["ok"]
        return str(answer["error"])

    def texts(self, kind: str) -> list[str]:
        return [entry["text"] for entry in self.ask("log", limit=1000)["entries"] if entry["kind"] == kind]


@pytest.fixture
def machine() -> Iterator[Machine]:
    with memory_folder() as folder:
        made = Machine(folder)
        yield made
        made.faults.kill()


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


@pytest.mark.parametrize(
    ("hints", "says"),
    [
        ([], "fell back to the deadline 07:00: no monitor was heard"),
        ([("06:59:30", {"ring": False})], "fell back to the deadline 07:00: no light phase was found"),
        ([("02:13:00", {"ring": False})], "fell back to the deadline 07:00: the monitor was silent since 02:13"),
        (
            [("06:59:00", {"ring": False, "status": "camera lost at 02:13"})],
            "fell back to the deadline 07:00: camera lost at 02:13",
        ),
    ],
)
def test_why_it_fell_back(machine: Machine, hints: list[tuple[str, dict[str, Any]]], says: str) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY, "window_min": 30})
    for time, hint in hints:
        machine.at(time)
        machine.ask("hint", **hint)
    machine.at("07:00:00")
    assert machine.texts("rang") == [f"rang 07:00: {says}"]


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


def test_a_step_of_the_clock_does_not_move_a_snooze(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("07:00:00")
    machine.ask("snooze", minutes=9)
    machine.clock.error_s = 4000.0
    machine.clockwork.tick()
    machine.clock.true_s += 539
    machine.clockwork.tick()
    assert not machine.speaker.playing
    machine.clock.true_s += 1
    machine.clockwork.tick()
    assert machine.speaker.playing


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


def test_nobody_comes(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("07:29:59")
    assert machine.speaker.playing
    machine.at("07:30:00")
    assert not machine.speaker.playing and machine.texts("unanswered") == ["unanswered 07:30: nobody came for 30 min"]


def test_alarms_are_set_for_what_is_to_come(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "21:50", "weekdays": DAILY})
    assert machine.texts("passed") == ["21:50 was over when the alarm was set"]
    machine.clockwork.tick()
    assert not machine.speaker.playing
    assert "expected a date and time to come" in machine.refused("set", alarm={"time": "21:50", "date": "2026-11-23"})
    assert "there is no alarm 7" in machine.refused("set", alarm={"id": 7, "time": "01:00", "weekdays": DAILY})


def test_a_change_of_an_alarm_that_is_due_does_not_silence_it(machine: Machine) -> None:
    """The request comes first: between the deadline and the next look, or while the clock waits for the time."""
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("06:59:59")
    machine.clock.true_s += 1.001
    machine.ask("set", alarm={"id": 1, "sound": "chime"})
    machine.clockwork.tick()
    assert machine.speaker.playing and machine.speaker.sounds[-1][0] == "chime"
    machine.ask("stop")
    machine.at("06:59")
    machine.faults.kill()
    machine.clock.boot(synchronised=False)
    machine.clock.true_s += 100
    machine.start()
    assert machine.ask("status")["clock"] == "waiting"
    machine.ask("set", alarm={"id": 1, "name": "Work"})
    machine.clock.true_s += 100
    machine.clockwork.tick()
    assert machine.speaker.playing and not machine.texts("passed")


def test_what_was_over_when_it_was_set_rings_when_it_comes_after_all(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "21:50", "weekdays": DAILY})
    machine.clockwork.tick()
    assert not machine.speaker.playing
    machine.clock.error_s = -1200.0  # the clock was wrong: it is 21:40
    machine.clockwork.tick()
    assert machine.ask("status")["next"]["deadline"] == "2026-11-23T21:50:00+01:00"
    machine.faults.kill()
    machine.start()
    machine.clock.true_s += 601
    machine.clockwork.tick()
    assert machine.speaker.playing and len(machine.texts("rang")) == 1


def test_what_was_over_when_it_was_set_rings_when_it_comes_after_a_boot_with_a_truer_clock(machine: Machine) -> None:
    machine.clock.error_s = 1200.0
    machine.ask("set", alarm={"time": "22:10", "weekdays": DAILY})
    assert machine.texts("passed") == ["22:10 was over when the alarm was set"]
    machine.faults.kill()
    machine.clock.true_s += 60
    machine.clock.boot()
    machine.start()
    assert not machine.speaker.playing
    machine.at("22:10:00")
    assert machine.speaker.playing and machine.texts("rang") == ["rang 22:10: deadline 22:10"]


def test_what_was_over_when_it_was_set_stays_over_in_a_clock_that_is_a_little_slower(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "21:59", "weekdays": DAILY})
    machine.clock.error_s = -30.0
    machine.clockwork.tick()
    assert not machine.speaker.playing
    assert machine.ask("status")["next"]["deadline"] == "2026-11-24T21:59:00+01:00"


def test_what_was_over_when_it_was_set_is_over_in_another_zone(machine: Machine) -> None:
    """Set at 22:00 in Berlin, 16:00 in New York."""
    machine.ask("set", alarm={"time": "15:50", "weekdays": DAILY})
    machine.ask("set", alarm={"time": "16:10", "weekdays": DAILY})
    machine.clock.zone_name = "America/New_York"
    machine.clockwork.tick()
    assert not machine.speaker.playing and not machine.texts("passed")
    machine.at("16:10:00")
    assert machine.speaker.playing and machine.texts("rang") == ["rang 16:10: deadline 16:10"]


def test_a_changed_time_is_another_occurrence(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "22:10", "weekdays": DAILY})
    machine.at("22:10:00")
    machine.ask("stop")
    machine.ask("set", alarm={"id": 1, "time": "22:20"})
    machine.at("22:20:00")
    assert machine.speaker.playing


def test_several_at_once_are_one_sound(machine: Machine) -> None:
    for _ in range(3):
        machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("07:00:00")
    assert len(machine.ask("status")["ringing"]) == 3 and len(machine.speaker.sounds) == 1
    assert len(machine.ask("stop")["occurrences"]) == 3 and not machine.speaker.playing


def test_a_night_without_power_is_reported_once(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("06:00:00")
    machine.faults.kill()
    machine.clock.true_s += 7200
    machine.clock.boot()
    for _ in range(2):
        machine.start()
        assert not machine.speaker.playing
        assert [text[:24] for text in machine.texts("missed")] == ["missed 2026-11-24 07:00:"]
        machine.faults.kill()
    machine.start()


def test_back_within_the_grace_it_rings_at_once_and_once(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("06:50:00")
    machine.faults.kill()
    machine.clock.true_s += 1200
    machine.clock.boot()
    machine.clock.true_s += 20
    machine.start()
    assert machine.speaker.playing
    assert machine.texts("rang") == ["rang 07:10: 10 min after the deadline 07:00, the service started at 07:10"]
    machine.faults.kill()
    machine.speaker.die()
    machine.start()
    assert machine.speaker.playing and len(machine.texts("rang")) == 1 and len(machine.texts("resumed")) == 1


def test_no_battery_no_network(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("06:50:00")
    machine.clockwork.save()
    machine.faults.kill()
    machine.clock.true_s += 60
    machine.clock.boot(error_s=-1e9, synchronised=False)
    machine.start()
    assert machine.ask("status")["clock"] == "waiting"
    machine.clock.true_s += 181
    machine.clockwork.tick()
    status = machine.ask("status")
    assert status["clock"] == "unverified" and status["now"] == "2026-11-24T06:53:01+01:00"
    machine.clock.true_s += 419
    machine.clockwork.tick()
    assert machine.texts("rang") == ["rang 07:00: deadline 07:00 (clock unverified)"]
    machine.ask("stop")
    machine.clock.error_s, machine.clock.synchronised = 0.0, True
    machine.clockwork.tick()
    assert machine.ask("status")["clock"] == "verified" and not machine.speaker.playing


@pytest.mark.parametrize(("true_time", "rings"), [("07:10", True), ("07:40", False)])
def test_the_time_comes_after_the_deadline(machine: Machine, true_time: str, rings: bool) -> None:
    """No battery, and the network only after a while: within the grace it rings at once, later it is reported."""
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("06:30:00")
    machine.clockwork.save()
    machine.faults.kill()
    machine.clock.true_s += 60 * (int(true_time[3:]) + 60 - 30) - 600
    machine.clock.boot(error_s=-1e9, synchronised=False)
    machine.start()
    machine.clock.true_s += 600
    machine.clockwork.tick()
    assert machine.ask("status")["now"] == "2026-11-24T06:40:00+01:00" and not machine.speaker.playing
    machine.clock.error_s, machine.clock.synchronised = 0.0, True
    for _ in range(2):
        machine.clockwork.tick()
        assert machine.speaker.playing is rings
    assert (len(machine.texts("rang")), len(machine.texts("missed"))) == ((1, 0) if rings else (0, 1))


def test_a_zone_that_cannot_be_used_is_a_notice(machine: Machine) -> None:
    machine.clock.zone_problem = "the zone is gone: UTC is used"
    for _ in range(3):
        machine.clockwork.tick()
    assert machine.ask("status")["notices"] == ["the zone is gone: UTC is used"]
    assert machine.texts("clock") == ["the zone is gone: UTC is used"]


def test_sound_comes_before_the_disk(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("06:59:59")
    machine.clock.true_s += 1
    calls: list[str] = []
    machine.faults.choose = lambda number, name: calls.append(name)
    machine.clock.faults = machine.speaker.faults = machine.faults
    machine.clockwork.tick()
    assert calls[:3] == ["clock.read", "clock.zone", "speaker.play"] and "BEGIN IMMEDIATE" in calls


def test_sunrise(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY, "sunrise_min": 20})
    levels = []
    for time in ("06:39:30", "06:45:00", "06:50:00", "06:59:00", "07:00:00"):
        machine.at(time)
        levels.append(machine.ask("status")["light"])
    assert levels == [0.0, 0.25, 0.5, 0.95, 1.0]
    machine.ask("stop")
    machine.clockwork.tick()
    assert machine.ask("status")["light"] == 0


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
