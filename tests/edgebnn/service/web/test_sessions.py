from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebnn.service.web.sessions import MOST_SESSIONS, Attempts, Sessions, form_token, is_id, new_id


class Clock:
    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


def test_ids() -> None:
    assert is_id(new_id()) and new_id() != new_id()
    assert not any(map(is_id, ["", "a", 44 * "a", 42 * "a" + "é", 42 * "a" + "\n", 42 * "a" + "."]))
    assert form_token("a") != form_token("b") and len(form_token("")) == 64


def test_sessions_end() -> None:
    clock = Clock()
    sessions = Sessions("token", days=2, clock=clock)
    session_id = sessions.open()
    clock.now += 2 * 86400 - 1
    assert sessions.is_open(session_id)
    clock.now += 1
    assert not sessions.is_open(session_id) and not sessions.is_open("") and not sessions.is_open(new_id())


def test_the_oldest_leaves_when_there_are_too_many() -> None:
    sessions = Sessions("token", days=1)
    ids = [sessions.open() for _ in range(MOST_SESSIONS + 3)]
    assert [sessions.is_open(one) for one in ids] == 3 * [False] + MOST_SESSIONS * [True]


def test_kept_and_ended_over_a_restart(tmp_path: Path) -> None:
    clock, state = Clock(), tmp_path / "sessions.json"
    first = Sessions("token", days=1, state=state, clock=clock)
    stays, closed = first.open(), first.open()
    first.close(closed)
    second = Sessions("token", days=1, state=state, clock=clock)
    assert second.is_open(stays) and not second.is_open(closed)
    assert not Sessions("another", days=1, state=state, clock=clock).is_open(stays)
    clock.now += 86400
    second.open()
    assert len(json.loads(state.read_text())) == 1  # what has ended goes


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a": "b"}', b'{"a": null}', b"\xff", 100_000 * b"["])
def test_a_damaged_file_signs_everybody_out(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    state = tmp_path / "sessions.json"
    state.write_bytes(content)
    sessions = Sessions("token", days=1, state=state)
    assert sessions.is_open(sessions.open())
    assert "is ignored" in caplog.text


def test_a_disk_that_takes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sessions = Sessions("token", days=1, state=tmp_path / "missing" / "sessions.json")
    assert sessions.is_open(sessions.open()) and "cannot be written" in caplog.text


def test_attempts() -> None:
    clock = Clock()
    attempts = Attempts(burst=3, every_s=10, clock=clock)
    for _ in range(3):
        assert attempts.wait_s("10.0.0.1") == 0
        attempts.fail("10.0.0.1")
    assert attempts.wait_s("10.0.0.1") == 10 and attempts.wait_s("10.0.0.2") == 0
    clock.now += 9
    assert attempts.wait_s("10.0.0.1") == 1
    clock.now += 1
    assert attempts.wait_s("10.0.0.1") == 0
    attempts.fail("10.0.0.1")
    assert attempts.wait_s("10.0.0.1") == 10
    clock.now += 1000
    attempts.fail("10.0.0.1")
    assert attempts.wait_s("10.0.0.1") == 0


def test_a_network_of_ipv6_is_one_guesser_and_memory_is_bounded() -> None:
    attempts = Attempts(burst=1, clock=Clock())
    attempts.fail("2001:db8::1")
    assert attempts.wait_s("2001:db8::2") > 0 and attempts.wait_s("2001:db8:1::1") == 0
    for index in range(3000):
        attempts.fail(f"10.0.{index // 256}.{index % 256}")
    assert len(attempts._full_at) == Attempts.MOST_ADDRESSES
