"""Promise 1, in process: random and hostile nights, a crash at every call to the outside, disks that refuse."""

from __future__ import annotations

import os
import random
import sqlite3
from dataclasses import replace
from typing import Any
from unittest import mock
from zoneinfo import available_timezones

import edgebnn_alarm.clockwork
import edgebnn_alarm.planner
import pytest
from edgebnn_alarm.belief import Belief
from edgebnn_alarm.planner import Plan
from edgebnn_alarm.simulation import Crash, Faults
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.apps.edgebnn_alarm.night import Night, crash_at, memory_folder
from tests.apps.edgebnn_alarm.scenarios import Event, Scenario, random_scenario

NIGHTS = int(os.environ.get("EDGEBNN_NIGHTS", "60"))
CRASH_SCENARIOS = int(os.environ.get("EDGEBNN_CRASH_SCENARIOS", "1"))
FIRST = int(os.environ.get("EDGEBNN_FIRST_NIGHT", "0"))
ALL_ZONES = sorted(available_timezones())
AT_00_30 = 1795480200.0
"""2026-11-24 00:30 UTC"""


@settings(
    max_examples=int(os.environ.get("EDGEBNN_EXAMPLES", "40")), deadline=None, suppress_health_check=list(HealthCheck)
)
@given(st.randoms(use_true_random=False))
def test_every_due_alarm_rings_once_in_time_whatever_happens(rng: random.Random) -> None:
    with memory_folder() as folder:
        Night(random_scenario(rng, zones=ALL_ZONES), folder).run()


def test_random_nights_with_crashes() -> None:
    looks = crashes = 0
    for seed in range(FIRST, FIRST + NIGHTS):
        rng = random.Random(seed)
        scenario = random_scenario(rng)
        fault_rng = random.Random(seed)
        died = []

        def choose(
            number: int, name: str, rng: random.Random = fault_rng, died: list[str] = died
        ) -> tuple[str, BaseException] | None:
            if rng.random() < 0.005:
                died.append(name)
                return rng.choice(["before", "after"]), Crash()
            return None

        with memory_folder() as folder:
            night = Night(scenario, folder, Faults(choose=choose))
            try:
                night.run()
            except AssertionError as error:
                raise AssertionError(f"night {seed}: {error}") from error
        looks += night.looks
        crashes += len(died)
    print(f"{NIGHTS} nights, {looks} looks, {crashes} crashes")
    assert crashes > NIGHTS / 4 and looks > 10 * NIGHTS


def short_scenario(seed: int) -> Scenario:
    """Two hours with two alarms, a hint, a snooze, a stop, a skip and a change: every path, and few calls."""
    rng = random.Random(seed)
    scenario = random_scenario(rng, hours=2.5)
    start_min = rng.randrange(40, 60)
    when = [f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in (60 + start_min, 80 + start_min)]
    days = {"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "snooze_min": 5}
    alarms = [{"time": when[0], "window_min": rng.choice([0, 30])} | days, {"time": when[1]} | days]
    own = [event for event in scenario.events if event.what in ("hint", "skip", "set", "step")][:4]
    events = [Event(300, "skip", False), Event(600, "skip", True), Event(900, "set", {"time": "05:00"} | days), *own]
    return Scenario(AT_00_30, 2.5, "UTC", alarms, events, [(20, "snooze"), (40, "stop"), (5, "stop"), (9, "stop")])


@pytest.mark.parametrize("seed", range(CRASH_SCENARIOS))
def test_a_crash_at_every_call(seed: int) -> None:
    crash_at_every_call(short_scenario(seed), at_least=50)


def test_a_crash_while_an_alarm_is_set_whose_time_was_just_over() -> None:
    """Alarm and decision are stored together or not at all: it never rings for the time that was over."""
    alarm = {"time": "00:50", "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    crash_at_every_call(Scenario(AT_00_30, 1.0, "UTC", [], [Event(1500, "set", alarm)]), at_least=10)


def crash_at_every_call(scenario: Scenario, *, at_least: int) -> None:
    with memory_folder() as folder:
        counted = Night(scenario, folder)
        counted.run()
    assert counted.faults.calls > at_least
    for number in range(1, counted.faults.calls + 1):
        for when in ("before", "after"):
            with memory_folder() as folder:
                try:
                    Night(scenario, folder, Faults(choose=crash_at(number, when))).run()
                except AssertionError as error:
                    raise AssertionError(f"crash {when} call {number} of {scenario}: {error}") from error


def test_disks_that_refuse_and_crashes_together() -> None:
    for seed in range(FIRST, FIRST + NIGHTS // 3):
        rng = random.Random(seed)
        scenario = random_scenario(rng)
        fault_rng = random.Random(seed)

        def choose(number: int, name: str, rng: random.Random = fault_rng) -> tuple[str, BaseException] | None:
            chance = rng.random()
            if chance < 0.003:
                return "before", Crash()
            if chance < 0.1 and name.startswith(("INSERT", "REPLACE", "BEGIN", "COMMIT")):
                return "before", sqlite3.OperationalError("database or disk is full")
            if chance < 0.1 and name == "write_state":
                return "before", OSError(28, "No space left on device")
            return None

        with memory_folder() as folder:
            try:
                Night(scenario, folder, Faults(choose=choose), crashes=False).run()
            except AssertionError as error:
                raise AssertionError(f"night {seed}: {error}") from error


@pytest.mark.parametrize(("killed_min", "rings"), [(10, 2), (40, 1)])
def test_a_stop_that_a_refusing_disk_lost_with_the_process(killed_min: int, rings: int) -> None:
    """After the restart it rings once more within the grace, for nothing says that it rang; later it does not."""
    with memory_folder() as folder:

        def choose(number: int, name: str) -> tuple[str, BaseException] | None:
            refuses = night.speaker.sounds and name.startswith(("INSERT", "BEGIN"))
            return ("before", sqlite3.OperationalError("database or disk is full")) if refuses else None

        alarm = {"time": "01:00", "date": "2026-11-24"}
        events = [Event(1800 + 60 * killed_min, "kill", 2.0)]
        scenario = Scenario(AT_00_30, 3.0, "UTC", [alarm], events, [(20, "stop"), (20, "stop")])
        night = Night(scenario, folder, Faults(choose=choose), crashes=False)
        night.run()
        assert len(night.speaker.sounds) == rings and night.heard == night.done


def test_a_clock_without_battery_whose_time_was_never_saved() -> None:
    """The kernel's clock, decades behind, is all there is: it rings by that."""
    with memory_folder() as folder:

        def choose(number: int, name: str) -> tuple[str, BaseException] | None:
            refuses = name.startswith("REPLACE INTO clock")
            return ("before", sqlite3.OperationalError("database or disk is full")) if refuses else None

        alarm = {"time": "01:00", "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
        events = [Event(600, "power_cut", (60.0, 1e9, False)), Event(4 * 3600, "sync")]
        night = Night(
            Scenario(AT_00_30, 6.0, "UTC", [alarm], events, [(20, "stop")]),
            folder, Faults(choose=choose), crashes=False,
        )  # fmt: skip
        night.run()
        assert [key.date.year for key in night.done] == [1995]


def late(now: Belief, *arguments: Any, **options: Any) -> Plan:
    return edgebnn_alarm.planner.plan(replace(now, utc_s=now.utc_s - 3), *arguments, **options)


def early(now: Belief, *arguments: Any, **options: Any) -> Plan:
    return edgebnn_alarm.planner.plan(replace(now, utc_s=now.utc_s + 70), *arguments, **options)


def deaf(now: Belief, *arguments: Any, **options: Any) -> Plan:
    found = edgebnn_alarm.planner.plan(now, *arguments, **options)
    return replace(found, ring=tuple(ring for ring in found.ring if ring.occurrence.key.alarm != 2))


def forgetful(now: Belief, *arguments: Any, **options: Any) -> Plan:
    found = edgebnn_alarm.planner.plan(now, *arguments, **options)
    return replace(found, ring=tuple(ring for ring in found.ring if ring.cause != "resume"))


def secretive(now: Belief, *arguments: Any, **options: Any) -> Plan:
    return replace(edgebnn_alarm.planner.plan(now, *arguments, **options), missed=())


@pytest.mark.parametrize("flawed", [late, early, deaf, forgetful, secretive])
def test_the_oracle_notices_a_flawed_planner(flawed: Any) -> None:
    for seed in range(60):
        rng = random.Random(seed)
        scenario = random_scenario(rng)
        faults = Faults(choose=lambda n, name, rng=rng: ("after", Crash()) if rng.random() < 0.003 else None)
        with mock.patch.object(edgebnn_alarm.clockwork, "plan", flawed), memory_folder() as folder:
            try:
                Night(scenario, folder, faults).run()
            except AssertionError:
                return
    pytest.fail("60 nights with this planner were found to be good")
