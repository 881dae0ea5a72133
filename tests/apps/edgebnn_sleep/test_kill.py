"""kill -9 of the monitor at random instants: the real clock beside it rings as set, and what was measured is kept."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from edgebnn_sleep.store import Store

from tests.apps.edgebnn_sleep.conftest import House, until
from tests.apps.edgebnn_sleep.nights import EVENING

KILLS = int(os.environ.get("EDGEBNN_MONITOR_KILLS", "12"))
SEED = int(os.environ.get("EDGEBNN_SEED", "1"))
SPEED = 600.0
EVERY_MIN, WINDOW_MIN = 15, 10
FIRST_S = EVENING.timestamp() + 600

NURSERY = """
import os, signal, sys
from pathlib import Path
from zoneinfo import ZoneInfo
from edgebnn_sleep.service import Service
from edgebnn_sleep.settings import SleepSettings
from edgebnn_sleep.simulate import FPS, Bed, Sleeper
from edgebnn_sleep.timekeeping import SimulatedTime
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried at once
folder = Path(sys.argv[1])
settings = SleepSettings.model_validate({
    "clock": {"socket": folder / "alarm.sock"}, "store": {"path": folder / "nights.sqlite3"},
    "environment": {"root": folder / "iio"}, "web": {"enabled": False},
})
sleeper = Sleeper(14, begins_s=float(sys.argv[2]))
for line in sys.stdin:
    now_s, speed = map(float, line.split())
    pid = os.fork()
    if pid == 0:
        clock = SimulatedTime(now_s, speed=speed, zone=ZoneInfo("Europe/Berlin"))
        bed = Bed(sleeper, clock, fps=FPS)
        os._exit(Service(settings, state=folder, time=clock, source=bed, fps=FPS, gap_s=60.0).run())
    print(pid, flush=True)
"""
"""Forks monitors that have imported what they need: starting Python itself touches nothing that could be lost."""


@contextmanager
def nursery(folder: Path) -> Iterator[subprocess.Popen[str]]:
    with (folder / "monitor.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", NURSERY, str(folder), str(EVENING.timestamp())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def start(nurse: subprocess.Popen[str], house: House) -> int:
    assert nurse.stdin is not None and nurse.stdout is not None
    nurse.stdin.write(f"{house.time.now_s()} {house.time.speed}\n")
    return int(nurse.stdout.readline())


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def kill(pid: int, folder: Path) -> None:
    assert not gone(pid), "the monitor ended by itself: " + (folder / "monitor.log").read_text()[-3000:]
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid), "the end of a monitor")


def starts_of_epochs(folder: Path) -> set[int]:
    """As another process sees them: those that are on the disk."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/nights.sqlite3?mode=ro", uri=True)) as connection:
            return {row[0] for row in connection.execute("SELECT start_s FROM epochs")}
    except sqlite3.OperationalError:  # not made yet
        return set()


def rang(house: House) -> list[dict[str, Any]]:
    return [entry for entry in house.client.ask("log", limit=1000)["entries"] if entry["kind"] == "rang"]


def test_kill_9_at_random_instants(house: House) -> None:
    rng = random.Random(SEED)
    minutes = range(22 * 60 + 40, 24 * 60, EVERY_MIN)
    for minute in minutes:
        house.set_alarm(time=f"{minute // 60:02d}:{minute % 60:02d}", window_min=WINDOW_MIN, fade_s=0)
    seen: set[int] = set()
    grown_up = 0
    with nursery(house.folder) as nurse:
        kill(start(nurse, house), house.folder)  # and the nursery has imported
        life_s = 1.0
        house.time.change_speed(SPEED)
        for _ in range(KILLS):
            before = len(seen)
            pid = start(nurse, house)
            time.sleep(rng.uniform(0.0, life_s))
            seen |= starts_of_epochs(house.folder)
            kill(pid, house.folder)
            # As many should die while they start as while they run, however busy this machine is.
            grown_up += len(seen) > before
            life_s *= 0.8 if len(seen) > before else 1 / 0.8
            house.client.ask("stop", by="test")
    until(lambda: house.time.now_s() > FIRST_S + 60 * (EVERY_MIN + 1), "two alarms")
    end_s = house.time.now_s()
    due = {FIRST_S + 60 * EVERY_MIN * number for number in range(len(minutes))}
    due = {deadline_s for deadline_s in due if deadline_s <= end_s}
    until(lambda: due <= {entry["deadline_s"] for entry in rang(house)}, "ringing")
    deadlines = [entry["deadline_s"] for entry in rang(house)]
    assert len(deadlines) == len(set(deadlines)) and len(due) >= 2
    for entry in rang(house):
        assert entry["at_s"] >= entry["deadline_s"] - 60 * WINDOW_MIN
        assert (entry["at_s"] - entry["deadline_s"]) / SPEED < 20, "seconds of a busy test machine"
    assert house.process.poll() is None
    store = Store(house.folder / "nights.sqlite3")
    kept = {epoch.start_s for epoch in store.epochs(0, 1e12)}
    store.close()
    print(f"{KILLS} kills, {grown_up} after the first epoch, {len(kept)} epochs, {len(due)} alarms due")
    assert store.problem == "" and not list(house.folder.glob("nights.sqlite3*damaged*"))
    assert seen <= kept and 0 < grown_up < KILLS
