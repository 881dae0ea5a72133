"""When it rings, and why, on a simulated machine: late power, a wrong time, several alarms, a disk that refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apps.edgebnn_alarm.machine import DAILY, Machine


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


def test_nobody_comes(machine: Machine) -> None:
    machine.ask("set", alarm={"time": "07:00", "weekdays": DAILY})
    machine.at("07:29:59")
    assert machine.speaker.playing
    machine.at("07:30:00")
    assert not machine.speaker.playing and machine.texts("unanswered") == ["unanswered 07:30: nobody came for 30 min"]


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
