"""The socket under hostile clients: the clock's loop never waits for them."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edgebnn_alarm import server as server_module
from edgebnn_alarm.server import MAX_CLIENTS, MAX_LINE, MAX_WATCHERS, Server

from edgebnn.errors import UnavailableError


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def server(tmp_path: Path, time: Time) -> Iterator[Server]:
    made = Server(tmp_path / "alarm.sock", answer, now_s=time)
    yield made
    made.close()


def answer(line: bytes) -> tuple[dict[str, Any], bool]:
    return {"ok": True, "size": len(line), "big": "x" * (500_000 if b"big" in line else 0)}, b"watch" in line


def connect(server: Server) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(2)
    client.connect(str(server._path))
    turns(server, 2)
    return client


def turns(server: Server, number: int = 4) -> None:
    for _ in range(number):
        server.turn(0)


def ask(server: Server, client: socket.socket, line: bytes = b"{}\n") -> dict[str, Any]:
    client.sendall(line)
    received = b""
    while not received.endswith(b"\n"):
        turns(server)
        received += client.recv(65_536)
    answer: dict[str, Any] = json.loads(received)
    return answer


def is_closed(server: Server, client: socket.socket) -> bool:
    turns(server)
    client.settimeout(0.2)
    try:
        while client.recv(1_000_000):
            turns(server, 1)
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def test_one_answer_for_each_line_in_order_one_a_turn(server: Server) -> None:
    client = connect(server)
    client.sendall(b"a\nbb\nccc\n")
    more = [server.turn(0.1), server.turn(0), server.turn(0)]
    assert more == [True, True, False]
    assert [json.loads(line)["size"] for line in client.recv(9999).splitlines()] == [1, 2, 3]
    client.close()


def test_only_owner_and_group_may_open_it(server: Server) -> None:
    assert stat.S_IMODE(server._path.stat().st_mode) == 0o660


def test_long_lines_are_refused_and_nothing_is_kept(server: Server) -> None:
    client = connect(server)
    with pytest.raises(OSError):
        for _ in range(100):
            client.sendall(b"x" * 60_000)
            turns(server)
            if is_closed(server, client):
                raise OSError
    assert not server._clients
    client.close()
    client = connect(server)
    client.sendall(b"x" * (MAX_LINE + 1000) + b"\n")
    turns(server, 20)
    assert "lines of at most" in json.loads(client.recv(9999))["error"]
    client.close()


def test_half_lines_and_silence_end(server: Server, time: Time) -> None:
    half, silent, watcher = connect(server), connect(server), connect(server)
    assert ask(server, watcher, b"watch\n")["ok"]
    half.sendall(b"{")
    turns(server)
    for _ in range(12):  # a byte a second does not help
        time.now_s += 1
        try:
            half.sendall(b" ")
        except OSError:
            break
        turns(server, 1)
    assert b"end of a line" in half.recv(9999)
    time.now_s += 60
    assert is_closed(server, half) and is_closed(server, silent) and not is_closed(server, watcher)
    for client in (half, silent, watcher):
        client.close()


def test_many_connections_make_room_for_the_newest(server: Server, time: Time) -> None:
    clients = []
    for _ in range(3 * MAX_CLIENTS):
        clients.append(connect(server))
        time.now_s += 0.01
    assert len(server._clients) == MAX_CLIENTS
    assert ask(server, clients[-1])["ok"]
    for client in clients:
        client.close()


def test_a_flood_does_not_keep_others_waiting(server: Server) -> None:
    flood, polite = connect(server), connect(server)
    flood.setblocking(False)
    for _ in range(200):
        try:
            flood.send(b"{}\n" * 1000)
        except BlockingIOError:
            break
        server.turn(0)
    polite.sendall(b"{}\n")
    for turn in range(5):
        server.turn(0)
        polite.setblocking(False)
        try:
            assert json.loads(polite.recv(999))["ok"]
            break
        except BlockingIOError:
            assert turn < 4, "the flood comes first"
    assert all(len(client.received) < 3 * MAX_LINE for client in server._clients.values())
    flood.close()
    polite.close()


def test_who_does_not_read_is_dropped(server: Server) -> None:
    client = connect(server)
    client.sendall(b"big\n" * 5)
    turns(server, 10)
    assert not server._clients
    client.close()


def test_watchers_get_events_up_to_a_limit(server: Server) -> None:
    watchers = [connect(server) for _ in range(MAX_WATCHERS + 1)]
    answers = [ask(server, client, b"watch\n") for client in watchers]
    assert [each["ok"] for each in answers] == [True] * MAX_WATCHERS + [False]
    assert server.watched
    server.publish({"event": "status"})
    assert json.loads(watchers[0].recv(999)) == {"event": "status"}
    for _ in range(2000):
        server.publish({"event": "x" * 2000})  # nobody reads
    assert not server.watched
    for client in watchers:
        client.close()


def test_clients_that_vanish(server: Server) -> None:
    for _ in range(20):
        client = connect(server)
        client.sendall(b"big\nbig\nhalf")
        client.close()
        turns(server, 8)
    assert not server._clients


def test_a_dead_socket_is_replaced_a_living_one_and_a_file_are_not(tmp_path: Path) -> None:
    path = tmp_path / "alarm.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    server = Server(path, answer)
    with pytest.raises(UnavailableError, match="another edgebnn-alarm"):
        Server(path, answer)
    server.close()
    path.write_text("precious")
    with pytest.raises(UnavailableError, match="is a file that is no socket"):
        Server(path, answer)
    assert path.read_text() == "precious"
    with pytest.raises(UnavailableError, match="cannot be made"):
        Server(tmp_path / ("long" * 40) / "x.sock", answer)


def test_limits_are_those_of_the_documentation() -> None:
    text = " ".join((Path(__file__).parents[3] / "docs/alarm.md").read_text().split())
    for words in (
        "at most 65,536 bytes",
        "older than 10 s, 60 s without",
        "1 MiB of answers",
        "At 32 connections",
        "at most 8 may",
    ):
        assert words in text
    assert (server_module.MAX_LINE, server_module.HALF_LINE_S, server_module.IDLE_S) == (65_536, 10, 60)
    assert (server_module.MAX_UNREAD, MAX_CLIENTS, MAX_WATCHERS) == (1 << 20, 32, 8)
