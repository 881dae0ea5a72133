"""The services on a whole arm64 machine: a V4L2 camera of its kernel, a power cut, and all is back.

The tests build on each other, in the order of the file. vivid shows a test pattern, so there are frames and no faces.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.board.board import Board
from tests.machine.machine import wait_for

FACE, CLOCK = "edgebnn-face.service", "edgebnn-alarm.service"
CONFIGURATION = """
[camera]
source = "v4l2:/dev/video0"
fps = 10
"""
METRICS = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/metrics').read().decode())"
CHECK = """
import sqlite3, sys
for file in sys.argv[1:]:
    print(sqlite3.connect(file).execute("PRAGMA integrity_check").fetchone()[0])
"""


def metric(board: Board, name: str) -> float:
    done = board.try_run("python3", "-c", METRICS)
    found = re.search(rf"^edgebnn_face_{name} (\S+)$", done.stdout, re.MULTILINE)
    return float(found[1]) if found else 0.0


def wait_for_frames(board: Board, frames: int) -> float:
    """Seconds in which the service has looked at so many more."""
    first = metric(board, "frames_total")
    began = time.monotonic()
    wait_for("frames", lambda: metric(board, "frames_total") >= first + frames, timeout_s=600)
    return time.monotonic() - began


def is_up(board: Board) -> bool:
    return board.is_active(FACE) and board.is_active(CLOCK)


@pytest.fixture(scope="module")
def installed(board: Board, notes: list[str]) -> None:
    wheel = board.run("sh", "-c", "echo /mnt/wheels/edgebnn-*.whl").strip()
    began = time.monotonic()
    board.run("/mnt/deploy/install.sh", "--wheel", wheel, "--wheels", "/mnt/wheels", "face", "sleep", timeout_s=3000)
    notes.append(f"{time.monotonic() - began:7.0f} s  install.sh, without a network")
    board.run("systemctl", "disable", "--now", "edgebnn-sleep.service")  # one service is enough for the one camera


def test_install_ends_with_running_services(board: Board, installed: None) -> None:
    assert board.run("uname", "-m") == "aarch64\n"
    assert is_up(board)


def test_kernel_enforces_what_containers_cannot(board: Board, installed: None) -> None:
    assert board.run("cat", f"/proc/{board.main_pid(CLOCK)}/oom_score_adj") == "-900\n"
    group = board.unit(FACE, "ControlGroup")["ControlGroup"]
    assert board.run("cat", f"/sys/fs/cgroup{group}/memory.max") == f"{512 << 20}\n"


def test_service_reads_the_v4l2_camera(board: Board, installed: None, notes: list[str]) -> None:
    board.run("sh", "-c", "echo vivid >/etc/modules-load.d/vivid.conf")
    board.run("sh", "-c", "echo options vivid n_devs=1 node_types=0x1 >/etc/modprobe.d/vivid.conf")
    board.run("modprobe", "vivid")
    wait_for("the camera", lambda: board.try_run("test", "-c", "/dev/video0").returncode == 0)
    board.run("sh", "-c", f"printf '%s' '{CONFIGURATION}' >/etc/edgebnn/face.toml")
    board.run("systemctl", "restart", FACE)
    wait_for("the camera's first frames", lambda: metric(board, "camera_up") == 1, timeout_s=300)
    seconds = wait_for_frames(board, 20)
    notes.append(f"{seconds:7.0f} s  20 frames of vivid looked at by edgebnn-face")
    notes.append(f"{int(board.unit(FACE, 'MemoryPeak')['MemoryPeak']) >> 20:7.0f} MB memory peak of edgebnn-face")


def test_comes_back_after_kill_9(board: Board, installed: None, notes: list[str]) -> None:
    before = board.main_pid(FACE)
    began = time.monotonic()
    board.run("systemctl", "kill", "--signal=KILL", FACE)
    wait_for("a restart", lambda: board.main_pid(FACE) not in (0, before) and board.is_active(FACE), timeout_s=300)
    notes.append(f"{time.monotonic() - began:7.0f} s  edgebnn-face back after kill -9")
    wait_for_frames(board, 5)


def test_survives_a_power_cut(board: Board, installed: None, notes: list[str]) -> None:
    board.run("edgebnn-alarm", "set", "--time", "06:30", "--weekdays", "workdays", "--name", "Work")
    alarms = board.run("edgebnn-alarm", "list")
    configuration = board.run("cat", "/etc/edgebnn/face.toml")
    board.cut_power()
    seconds = board.power_on()
    wait_for("the services", lambda: is_up(board), timeout_s=600)
    notes.append(f"{seconds:7.0f} s  boot after the power cut, with the services")
    assert board.run("edgebnn-alarm", "list") == alarms
    assert board.run("cat", "/etc/edgebnn/face.toml") == configuration
    databases = board.run("sh", "-c", "find /var/lib/edgebnn -name '*.sqlite3'").split()
    assert databases
    assert set(board.run("python3", "-c", CHECK, *map(Path, databases)).split()) == {"ok"}
    wait_for_frames(board, 20)
    assert board.unit(FACE, "NRestarts")["NRestarts"] == "0"
