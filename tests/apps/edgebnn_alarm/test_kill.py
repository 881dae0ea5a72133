"""Promise 1, live: kill -9 of the real process at random instants, on a simulated clock that runs fast."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edgebnn_alarm.alarm import from_json
from edgebnn_alarm.client import ask
from edgebnn_alarm.store import Store

from edgebnn.errors import EdgebnnError
from tests.apps.edgebnn_alarm.night import deadlines, memory_folder

KILLS = int(os.environ.get("EDGEBNN_KILLS", "200"))
SEED = int(os.environ.get("EDGEBNN_SEED", "1"))
STARTS = 200
"""The grace lasts as long as so many starts: the simulated clock runs as fast as this machine can be killed."""
ZONE = "Europe/Berlin"
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
START_S = dt.datetime(2026, 10, 25, 0, 2, tzinfo=ZoneInfo(ZONE)).timestamp()
"""Three hours before the clocks go back."""
EVERY_MIN = 7
GRACE_MIN = 180


NURSERY = """
import os, signal, sys
import edgebnn_alarm.cli, edgebnn_alarm.guard, edgebnn_alarm.service
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried at once
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os._exit(edgebnn_alarm.cli.main(sys.argv[1:]))
    print(pid, flush=True)
"""
"""Forks clocks that have imported what they need: starting Python itself touches nothing that could be lost."""


class Machine:
    """A clock process in a folder, which is killed and started anew."""

    def __init__(self, folder: Path, speed: float) -> None:
        self.folder, self.speed = folder, speed
        self.socket = folder / "alarm.sock"
        (folder / "alarm.toml").write_text(
            f'[service]\nstate_dir = "{folder}"\nsocket = "{self.socket}"\n[time]\ngrace_min = {GRACE_MIN}\n'
            f'[sound]\nring_limit_min = 2\noutputs = ["file:{folder}/sound.raw"]\n'
        )
        self.began_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        simulated = {"real_s": self.began_s, "utc_s": START_S, "boot_s": 4000.0, "speed": speed, "boot_id": "one"}
        (folder / "clock.json").write_text(
            json.dumps({**simulated, "synchronised": True, "battery": False, "zone": ZONE})
        )
        self.started_s: list[float] = []
        self.pid = 0
        arguments = ["run", "--config", str(folder / "alarm.toml"), "--simulated-clock", str(folder / "clock.json")]
        with (folder / "log").open("ab") as log:
            self.nursery = subprocess.Popen(
                [sys.executable, "-c", NURSERY, *arguments],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1,
            )  # fmt: skip

    def now_s(self) -> float:
        return START_S + (time.clock_gettime(time.CLOCK_BOOTTIME) - self.began_s) * self.speed

    def start(self) -> None:
        assert self.nursery.stdin is not None and self.nursery.stdout is not None
        self.started_s.append(self.now_s())
        self.nursery.stdin.write("start\n")
        self.pid = int(self.nursery.stdout.readline())

    def kill(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            raise AssertionError("the clock ended by itself: " + (self.folder / "log").read_text()[-3000:]) from None
        while True:
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.001)

    def close(self) -> None:
        self.nursery.kill()
        self.nursery.communicate()


def test_kill_9_at_random_instants() -> None:
    rng = random.Random(SEED)
    with memory_folder() as folder:
        store = Store(folder)
        for number in range(24 * 60 // EVERY_MIN - 6):
            minutes = number * EVERY_MIN
            raw = {"id": number + 1, "time": f"{minutes // 60:02d}:{minutes % 60:02d}", "weekdays": DAYS, "fade_s": 0}
            store.put_alarm(from_json(raw), [])
        store.close()
        start_s = measured_start_s()
        machine = Machine(folder, min(840.0, 60 * GRACE_MIN / (STARTS * start_s)))
        try:
            stops, sets = run(machine, rng, start_s)
            check(machine, stops, sets)
        finally:
            machine.close()


def measured_start_s() -> float:
    """Seconds from the start to the first answer."""
    with memory_folder() as folder:
        machine = Machine(folder, 1.0)
        try:
            wait_for(machine)  # and for the nursery's imports
            machine.kill()
            before_s = time.monotonic()
            wait_for(machine)
            machine.kill()
            return time.monotonic() - before_s
        finally:
            machine.close()


def run(machine: Machine, rng: random.Random, start_s: float) -> tuple[int, list[int]]:
    """KILLS kills; what was answered: stops of ringing alarms, new alarms."""
    stops, sets = 0, []
    wait_for(machine)
    machine.kill()
    life_s, grown_up = 2 * start_s, 0
    for _ in range(KILLS):
        machine.start()
        answers = 0
        die_s = time.monotonic() + rng.uniform(0.0, life_s)
        while (left_s := die_s - time.monotonic()) > 0:
            try:
                if rng.random() < 0.1:
                    alarm = {"time": "00:00", "weekdays": ["mon"], "enabled": False}
                    if len(sets) < 5:
                        sets.append(
                            ask(machine.socket, {"cmd": "set", "alarm": alarm}, timeout_s=left_s)["alarm"]["id"]
                        )
                else:
                    stops += len(ask(machine.socket, {"cmd": "stop", "by": "test"}, timeout_s=left_s)["occurrences"])
                    ask(machine.socket, {"cmd": "hint", "ring": True}, timeout_s=left_s)
                answers += 1
            except (EdgebnnError, ValueError):
                pass
            time.sleep(0.005)
        machine.kill()
        # As many should die while they start as while they run, however busy this machine is.
        grown_up += answers > 0
        life_s *= 0.9 if answers else 1 / 0.9
    assert KILLS / 4 < grown_up < 3 * KILLS / 4, f"{grown_up} of {KILLS} came to answer"
    return stops, sets


def wait_for(machine: Machine) -> list[dict[str, Any]]:
    """Start, and wait for the first answer: the alarms."""
    machine.start()
    until_s = time.monotonic() + 60
    while True:
        try:
            alarms: list[dict[str, Any]] = ask(machine.socket, {"cmd": "list"})["alarms"]
            return alarms
        except EdgebnnError:
            assert time.monotonic() < until_s, "the clock does not start"
            time.sleep(0.01)


def check(machine: Machine, stops: int, sets: list[int]) -> None:
    end_s = machine.now_s()
    listed = wait_for(machine)  # and for what was due while it was dead
    machine.kill()
    assert set(sets) <= {alarm["id"] for alarm in listed}, "an alarm that was answered for is gone"
    with sqlite3.connect(machine.folder / "alarms.sqlite3") as connection:
        rang = connection.execute("SELECT alarm, date, utc_s, deadline_s FROM journal WHERE kind = 'rang'").fetchall()
        missed = connection.execute("SELECT text FROM journal WHERE kind = 'missed'").fetchall()
        stopped = connection.execute("SELECT count(*) FROM journal WHERE kind = 'stopped'").fetchone()[0]
    connection.close()
    times = {alarm["id"]: dt.time.fromisoformat(alarm["time"]) for alarm in listed if alarm["enabled"]}
    first_min = int(START_S // 86400) * 1440 - 1440
    expected = {
        (number, date.isoformat()): at_s
        for number, at in times.items()
        for date, at_s in deadlines(ZONE, at, first_min, int(end_s // 60) + 1).items()
        if START_S < at_s <= end_s
    }
    counts: dict[tuple[int, str], int] = {}
    late_s = []
    for number, date, utc_s, deadline_s in rang:
        counts[(number, date)] = counts.get((number, date), 0) + 1
        assert utc_s >= deadline_s - 1e-3, "rang too early"
        if (number, date) in expected:
            assert deadline_s == expected[(number, date)]
            up_s = max(at_s for at_s in machine.started_s if at_s <= utc_s)
            late_s.append((utc_s - max(deadline_s, up_s)) / machine.speed)
    assert not missed, missed
    assert not [key for key in expected if key not in counts], "an alarm was missed"
    assert not [key for key, count in counts.items() if count > 1], "an alarm rang twice"
    assert stopped >= stops, "a stop that was answered is not on the disk"
    assert any((machine.folder / "sound.raw").read_bytes())
    print(
        f"{KILLS} kills, {len(expected)} alarms due, late by at most {max(late_s):.2f} s after deadline or start; "
        f"{machine.speed:.0f} times as fast as time"
    )
    assert len(expected) > KILLS / 20
    assert max(late_s) < 20  # seconds of a busy test machine, Python's start among them
