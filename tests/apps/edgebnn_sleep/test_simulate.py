"""`edgebnn-sleep simulate night`: the command, the real clock as its child, a short night at high speed."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from edgebnn_sleep.motion import MotionMeter, thumbnail
from edgebnn_sleep.simulate import Bed, Sleeper

from tests.apps.edgebnn_sleep.nights import EVENING
from tests.apps.edgebnn_sleep.test_monitor import ManualTime


def simulate(*options: str) -> str:
    command = [sys.executable, "-m", "edgebnn_sleep.cli", "simulate", "night", "--port", "0", "--no-stay", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_rings_in_the_window_and_says_why():
    told = simulate("--speed", "1800", "--alarm", "03:30", "--window", "90", "--seed", "14")
    found = re.search(r"^(\d\d:\d\d)  rang \1: (.*), deadline 03:30$", told, re.MULTILINE)
    assert found, told
    assert "02:00" <= found[1] < "03:30"
    assert "movement" in found[2]
    assert float(re.search(r"database ([\d.]+) MB", told)[1]) < 1


def test_without_a_camera_it_rings_at_the_deadline_and_says_why():
    told = simulate("--speed", "1800", "--alarm", "02:50", "--camera-lost-at", "23:33")
    lost = re.search(r"^(\d\d:\d\d)  camera lost: the simulated camera is unplugged$", told, re.MULTILINE)
    assert lost, told
    why = re.search(r"^02:50  .*fell back to the deadline 02:50: camera lost at (\d\d:\d\d): ", told, re.MULTILINE)
    assert why, told
    assert "23:33" <= why[1] <= lost[1], "a busy machine sees it later"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["day"], "expected night"),
        (["night", "--alarm", "7"], "expected a time like 06:45"),
        (["night", "--alarm", "23:30"], "expected an alarm between"),
        (["night", "--rule", "best"], "expected network, motion, cole-kripke"),
        (["night", "--speed", "0"], "speed"),
    ],
)
def test_what_cannot_be_simulated(options, expected):
    command = [sys.executable, "-m", "edgebnn_sleep.cli", "simulate", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode in (2, 78)
    assert expected in done.stderr and "Traceback" not in done.stderr


def test_the_drawn_sleeper_moves_when_the_simulated_one_does():
    time = ManualTime()
    sleeper = Sleeper(14, begins_s=EVENING.timestamp())
    meter = MotionMeter()
    energy = np.zeros(120)
    for frame in Bed(sleeper, time, fps=0.5):
        motion = meter.update(thumbnail(frame.small), frame.timestamp_ns)
        epoch = int(time.monotonic_s() // 30)
        if epoch >= len(energy):
            break
        energy[epoch] += motion.energy if motion else 0.0
    truth = sleeper.night.activity[: len(energy)]
    assert energy[truth > np.median(truth[truth > 0])].mean() > 20 * max(energy[truth == 0].mean(), 0.1)
