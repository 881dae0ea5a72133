"""The alarm clock on a machine that systemd has booted: it rings, whatever is killed, full, broken or gone.

Deadlines are at full minutes of the real clock, so each test has a minute of its own, in the order of the file.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.machine.install import install
from tests.machine.machine import Machine, wait_for
from tests.machine.sound import CONFIGURATION, FILE, seconds_heard

Timed = Callable[[str], AbstractContextManager[None]]
CLOCK, MONITOR, GUARD = "edgebnn-alarm.service", "edgebnn-sleep.service", "edgebnn-alarm-guard.timer"
STATE = "/var/lib/edgebnn/alarm"
# The first output is a sound card that is not there: the second has its turn.
SETTINGS = """
[sound]
outputs = ["aplay:plughw:9,0", "aplay"]
[guard]
after_s = 10
"""


@dataclass
class Minutes:
    """Deadlines, in seconds since 1970: full minutes, one after the other."""

    killed: float
    dead: float
    full: float


def set_alarm(machine: Machine, deadline_s: float) -> None:
    at = time.gmtime(deadline_s)
    date, clock = time.strftime("%Y-%m-%d", at), time.strftime("%H:%M", at)
    machine.run("edgebnn-alarm", "set", "--time", clock, "--date", date, "--fade", "0", "--start-level", "1")


def log(machine: Machine, kind: str) -> list[dict[str, Any]]:
    lines = machine.run("edgebnn-alarm", "log", "--json", "-n", "1000").splitlines()
    return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]


def sleep_until(instant_s: float) -> None:
    time.sleep(max(0.0, instant_s - time.time()))


def wait_for_sound(machine: Machine, seconds: float, *, timeout_s: float, file: str = FILE) -> None:
    before = seconds_heard(machine, file)
    wait_for(f"{seconds} s of sound", lambda: seconds_heard(machine, file) >= before + seconds, timeout_s=timeout_s)


def stop_ringing(machine: Machine) -> None:
    """As a person does; then it is silent."""
    assert "stopped" in machine.run("edgebnn-alarm", "stop")
    wait_for("silence", lambda: not machine.try_run("pidof", "aplay").stdout.strip(), timeout_s=5)


@pytest.fixture(scope="module")
def minutes(machine: Machine, wheels: Path) -> Minutes:
    """Clock and monitor are installed, and an alarm is set for each test."""
    machine.run("ln", "-sf", "/usr/share/zoneinfo/Etc/UTC", "/etc/localtime")
    machine.path("/etc/asound.conf").write_text(CONFIGURATION)
    machine.run("mkdir", "-p", "/etc/edgebnn", "/run/systemd/timesync")
    machine.run("touch", "/run/systemd/timesync/synchronized")  # the host's clock is
    machine.path("/etc/edgebnn/alarm.toml").write_text(SETTINGS)
    install(machine, wheels, "sleep")
    first = (time.time() + 12) // 60 * 60 + 60
    made = Minutes(killed=first, dead=first + 60, full=first + 120)
    for deadline_s in (made.killed, made.dead, made.full):
        set_alarm(machine, deadline_s)
    return made


def test_clock_monitor_and_guard_run(machine: Machine, minutes: Minutes) -> None:
    for unit in (CLOCK, MONITOR, GUARD):
        assert machine.is_active(unit), machine.journal(unit)
        assert machine.unit(unit, "UnitFileState")["UnitFileState"] == "enabled"
    assert json.loads(machine.run("edgebnn-alarm", "status", "--json"))["clock"] == "verified"
    assert machine.path("/etc/edgebnn/alarm.toml").read_text() == SETTINGS  # a user's file is never replaced


def test_units_of_this_release_are_accepted(machine: Machine, minutes: Minutes) -> None:
    for unit in (CLOCK, MONITOR, GUARD, "edgebnn-alarm-guard.service"):
        found = machine.try_run("systemd-analyze", "verify", unit)
        assert (found.returncode, found.stderr) == (0, "")


def test_rings_although_both_services_are_killed_across_the_deadline(
    machine: Machine, minutes: Minutes, timed: Timed
) -> None:
    chance = random.Random(7)
    sleep_until(minutes.killed - 6)
    kills = 0
    while time.time() < minutes.killed + 6:
        for unit in (CLOCK, MONITOR):
            machine.try_run("systemctl", "kill", "--signal=KILL", unit)
        kills += 1
        time.sleep(chance.uniform(0.1, 3.5))  # they come back after 2 s
    with timed(f"clock and monitor killed {kills} times across the deadline: ringing after the last kill"):
        wait_for_sound(machine, 2, timeout_s=20)
    wait_for("the clock", lambda: machine.is_active(CLOCK))
    rang = [entry for entry in log(machine, "rang") if entry["deadline_s"] == minutes.killed]
    assert len(rang) == 1
    stop_ringing(machine)


def test_database_that_is_damaged_is_replaced_by_the_last_good_copy(machine: Machine, minutes: Minutes) -> None:
    before = json.loads(machine.run("edgebnn-alarm", "list", "--json"))
    machine.run("systemctl", "stop", CLOCK)
    machine.run("sh", "-c", f"rm -f {STATE}/alarms.sqlite3-*; head -c 40000 /dev/urandom >{STATE}/alarms.sqlite3")
    machine.run("systemctl", "start", CLOCK)
    after = json.loads(machine.run("edgebnn-alarm", "list", "--json"))
    assert [alarm["id"] for alarm in after] == [alarm["id"] for alarm in before]
    assert json.loads(machine.run("edgebnn-alarm", "status", "--json"))["notices"]
    machine.run("systemctl", "stop", CLOCK)  # for the next test


def test_guard_rings_when_the_clock_is_dead(machine: Machine, minutes: Minutes, timed: Timed) -> None:
    sleep_until(minutes.dead)
    with timed("clock dead (after_s = 10): from the deadline until the guard is heard"):
        wait_for_sound(machine, 1, timeout_s=60)
    assert "the guard" in machine.run("edgebnn-alarm", "stop")
    wait_for("silence", lambda: not machine.try_run("pidof", "aplay").stdout.strip(), timeout_s=5)
    machine.run("systemctl", "start", CLOCK)


def test_quiet_guard_leaves_no_lines(machine: Machine, minutes: Minutes) -> None:
    lines = machine.journal("edgebnn-alarm-guard.service").splitlines()
    assert not [line for line in lines if "Starting" in line or "Finished" in line or "Deactivated" in line]


def test_rings_on_a_full_disk(machine: Machine, minutes: Minutes) -> None:
    machine.run("systemctl", "stop", CLOCK)
    machine.run("mkdir", "-p", "/mnt/small")
    machine.run("mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", "/mnt/small")
    machine.run("sh", "-c", f"cp -a {STATE}/alarms* /mnt/small/ && chown edgebnn:edgebnn /mnt/small")
    machine.run("mount", "--bind", "/mnt/small", STATE)
    elsewhere = "/dev/shm/played.raw"
    machine.path("/etc/asound.conf").write_text(CONFIGURATION.replace(FILE, elsewhere))
    machine.run("systemctl", "start", CLOCK)
    machine.try_run("dd", "if=/dev/zero", f"of={STATE}/full", "bs=4k", "status=none")
    sleep_until(minutes.full)
    wait_for(
        "ringing", lambda: json.loads(machine.run("edgebnn-alarm", "status", "--json"))["sound"]["output"] == "aplay"
    )
    wait_for_sound(machine, 2, timeout_s=20, file=elsewhere)
    stop_ringing(machine)
    assert machine.is_active(CLOCK)
    machine.run("systemctl", "stop", CLOCK)
    machine.run("umount", STATE, "/mnt/small")
    machine.run("systemctl", "start", CLOCK)


def test_wrong_configuration_waits_for_a_person(machine: Machine, minutes: Minutes) -> None:
    machine.path("/etc/edgebnn/alarm.toml").write_text(SETTINGS + "ring_min = 0\n")
    machine.try_run("systemctl", "restart", CLOCK)
    properties = machine.unit(CLOCK, "ActiveState", "ExecMainStatus", "NRestarts")
    assert properties == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    machine.path("/etc/edgebnn/alarm.toml").write_text(SETTINGS)
    machine.run("systemctl", "start", CLOCK)


def test_watchdog_ends_a_clock_that_hangs(machine: Machine, minutes: Minutes, timed: Timed) -> None:
    before = machine.main_pid(CLOCK)
    with timed("alarm clock: restart after a hang (SIGSTOP), watchdog of 10 s"):
        machine.run("systemctl", "kill", "--signal=STOP", CLOCK)
        wait_for("a restart", lambda: machine.main_pid(CLOCK) not in (0, before) and machine.is_active(CLOCK))
