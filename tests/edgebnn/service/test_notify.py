from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebnn.service.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens like systemd's, and its name as in NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@edgebnn-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1))
        listener.settimeout(5)
        yield listener, name


def test_messages(systemd: tuple[socket.socket, str]) -> None:
    listener, name = systemd
    notifier = Notifier(environ={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "8000000", "WATCHDOG_PID": str(os.getpid())})
    assert notifier.enabled and notifier.watchdog_s == 8.0
    notifier.ready("watching\nREADY=0")
    notifier.watchdog()
    notifier.status("12 fps")
    notifier.stopping()
    received = [listener.recv(1000).decode() for _ in range(4)]
    assert received == ["READY=1\nSTATUS=watching READY=0", "WATCHDOG=1", "STATUS=12 fps", "STOPPING=1"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
    ],
)
def test_the_watchdog_is_ours_or_none(environ: dict[str, str], expected: float | None) -> None:
    assert Notifier(environ={"NOTIFY_SOCKET": "/nowhere", **environ}).watchdog_s == expected


def test_no_watchdog_no_message(systemd: tuple[socket.socket, str]) -> None:
    listener, name = systemd
    notifier = Notifier(environ={"NOTIFY_SOCKET": name})
    notifier.watchdog()
    notifier.status("only this")
    assert listener.recv(1000) == b"STATUS=only this"


def test_outside_systemd_nothing_happens() -> None:
    notifier = Notifier(environ={"WATCHDOG_USEC": "1000"})
    assert not notifier.enabled and notifier.watchdog_s is None
    notifier.ready("up")
    notifier.watchdog()
    notifier.stopping()


@pytest.mark.parametrize("name", ["/does/not/exist", "@nobody-listens-here", "relative", "/" + 200 * "long"])
def test_a_deaf_systemd_stops_nobody(name: str) -> None:
    Notifier(environ={"NOTIFY_SOCKET": name}).ready()


def test_a_full_socket_drops_the_message_and_does_not_block(systemd: tuple[socket.socket, str]) -> None:
    listener, name = systemd
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        waiting = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"STATUS=full", name.replace("@", "\0", 1))
                waiting += 1
    Notifier(environ={"NOTIFY_SOCKET": name}, timeout_s=0.01).status("dropped")
    assert {listener.recv(1000) for _ in range(waiting)} == {b"STATUS=full"}
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.recv(1000)


def test_notify_pulls_the_standard_library_alone() -> None:
    program = "import sys; before = set(sys.modules); import edgebnn.service.notify; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    new = {name.split(".")[0] for name in done.stdout.split()}
    assert new - sys.stdlib_module_names == {"edgebnn"}
