"""The clock's client against clocks that talk nonsense, hang or hang up; the real clock is in test_page.py."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import asdict

import pytest
from edgebnn_alarm.monitor import read_hint
from edgebnn_sleep.clock import ClockClient, ClockWatch, RefusedError
from edgebnn_sleep.hints import Hint, HintSender

from edgebnn.errors import InputError, UnavailableError
from tests.apps.edgebnn_sleep.conftest import until


@contextmanager
def clock(path, answer):
    """A socket that answers each line with `answer(request)`, bytes; None hangs up."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    requests = []

    def serve(connection):
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                requests.append(json.loads(line))
                reply = answer(requests[-1])
                if reply is None:
                    return
                try:
                    connection.sendall(reply)
                except OSError:
                    return

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield requests
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    path.unlink()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"nonsense\n", "no JSON object"),
        (b"[]\n", "no JSON object"),
        (b"[" * 100_000 + b"\n", "no JSON object"),
        (b"\xff\xfe\n", "no JSON object"),
        (b'{"ok": true', "did not answer in time"),
        (b"x" * 2_000_000, "talks nonsense"),
        (b"", "did not answer in time"),
        (None, "hung up"),
    ],
)
def test_a_clock_without_sense(tmp_path, reply, expected):
    with clock(tmp_path / "s", lambda request: reply), pytest.raises(UnavailableError, match=expected):
        ClockClient(tmp_path / "s", timeout_s=0.3).ask("status")


def test_its_refusal_is_its_own_sentence(tmp_path):
    reply = b'{"ok": false, "error": "nothing rings"}\n'
    with clock(tmp_path / "s", lambda request: reply), pytest.raises(RefusedError, match=r"^nothing rings$"):
        ClockClient(tmp_path / "s").ask("snooze")


def test_no_clock(tmp_path):
    with pytest.raises(UnavailableError, match=r"does not answer at .*systemctl status edgebnn-alarm"):
        ClockClient(tmp_path / "s").ask("status")


def test_watch_tells_of_loss_and_return_once(tmp_path):
    seen = []
    watch = ClockWatch(ClockClient(tmp_path / "s"), on_change=lambda status, problem: seen.append(bool(status)))
    watch.start()
    until(lambda: seen == [False], "an absence")
    status = b'{"ok": true, "now_s": 1}\n'
    event = b'{"event": "status", "status": {"ok": true, "now_s": 2}}\n'
    with clock(tmp_path / "s", lambda request: status + event):
        until(lambda: watch.status and watch.status["now_s"] == 2, "an event")
        assert watch.problem == ""
    watch.close()


def hint_answer(request):
    return json.dumps({"ok": True, "rang": request["ring"], "why": "no window is open"}).encode() + b"\n"


def test_hints_are_delivered(tmp_path):
    with clock(tmp_path / "s", hint_answer) as requests:
        sender = HintSender(ClockClient(tmp_path / "s"))
        sender.start()
        sender.offer(Hint(True, "awake 3 epochs", camera=True))
        until(lambda: sender.rang == 1, "a ring")
        sender.close()
    assert requests == [{"cmd": "hint", "ring": True, "reason": "awake 3 epochs", "status": "ok", "camera": True}]


def test_a_hint_waits_for_a_clock_that_is_away_until_it_is_old(tmp_path, monkeypatch):
    monkeypatch.setattr("edgebnn_sleep.hints.RETRY_S", 0.02)
    now = [0.0]
    sender = HintSender(ClockClient(tmp_path / "s"), monotonic_s=lambda: now[0])
    sender.start()
    sender.offer(Hint(True, "old"))
    until(lambda: sender.problem, "a problem")
    now[0] = 61.0
    until(lambda: sender._slot is None, "the end of patience")
    sender.offer(Hint(False, "waits"))
    with clock(tmp_path / "s", hint_answer) as requests:
        until(lambda: requests, "delivery")
        until(lambda: not sender.problem, "the end of the problem")
        sender.close()
    assert [request["reason"] for request in requests] == ["waits"]


def test_a_clock_that_hangs_does_not_stop_who_measures(tmp_path):
    with clock(tmp_path / "s", lambda request: b""):
        sender = HintSender(ClockClient(tmp_path / "s", timeout_s=0.2))
        sender.start()
        for number in range(1000):
            sender.offer(Hint(False, str(number)))
        until(lambda: sender.problem, "a problem")
        sender.close()


def test_an_error_of_several_lines_is_told_in_one(tmp_path):
    """As OpenCV's are: the clock, which reads its hints strictly, takes it."""
    refused = []

    def read(request):
        try:
            read_hint({key: value for key, value in request.items() if key != "cmd"})
        except InputError as error:
            refused.append(str(error))
        return hint_answer(request)

    with clock(tmp_path / "s", read) as requests:
        sender = HintSender(ClockClient(tmp_path / "s"))
        sender.start()
        sender.offer(Hint(False, status="camera lost at 02:13: OpenCV(4.10.0)\n\x1b[31m error:\t(-215)" + " x" * 200))
        until(lambda: requests and not sender.problem, "delivery")
        sender.close()
    assert refused == []
    assert requests[0]["status"].startswith("camera lost at 02:13: OpenCV(4.10.0) [31m error: (-215) x")


@pytest.mark.parametrize(
    "hint",
    [Hint(True, "movement, awake 2 epochs", out_of_bed=False, camera=True), Hint(False, status="camera lost: é" * 10)],
)
def test_the_real_clock_reads_our_hints(hint):
    assert asdict(read_hint(asdict(hint))) == asdict(hint) | {"alarm": None}
