from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from edgebnn.service.web import protocol, server
from tests.edgebnn.service.conftest import wait_for
from tests.edgebnn.service.web.conftest import Site

HEAD_S = 0.8
WRITE_S = 0.5


@pytest.fixture
def site(start: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> Site:
    """A page with short deadlines and room for ten connections."""
    make = protocol.make_protocol
    monkeypatch.setattr(server, "make_protocol", lambda *, most: make(most=most, head_s=HEAD_S, write_s=WRITE_S))
    return start(max_connections=10)


@pytest.fixture
def connect(site: Site) -> Iterator[Callable[[], socket.socket]]:
    opened: list[socket.socket] = []

    def open_one() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", site.server.port), timeout=20))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def is_cut_off(client: socket.socket) -> bool:
    """Whether the server hangs up without an answer."""
    try:
        return client.recv(1000) == b""
    except ConnectionResetError:
        return True


def dribble(client: socket.socket, text: bytes) -> float:
    """Send a byte at a time until the server hangs up; returns how long it took in seconds."""
    started = time.monotonic()
    client.settimeout(0.05)
    for byte in text:
        try:
            client.sendall(bytes([byte]))
            if client.recv(10_000) == b"":
                break
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            break
    else:
        raise AssertionError("the server waited for the whole text")
    return time.monotonic() - started


def test_a_slow_request_head_is_cut_off(connect: Callable[[], socket.socket]) -> None:
    head = b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + 1000 * b"a"
    assert dribble(connect(), head) >= HEAD_S * 0.9


def test_a_connection_that_says_nothing_is_cut_off(connect: Callable[[], socket.socket]) -> None:
    assert is_cut_off(connect())


def test_the_second_request_has_a_deadline_too(connect: Callable[[], socket.socket]) -> None:
    client = connect()
    client.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.recv(10_000).startswith(b"HTTP/1.1 200")
    assert dribble(client, b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + 1000 * b"a") >= HEAD_S * 0.9


def test_a_quick_client_keeps_its_connection(connect: Callable[[], socket.socket]) -> None:
    client = connect()

    def ask() -> None:
        client.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while b'"values"' not in answer:
            answer += client.recv(10_000)

    ask()
    client.settimeout(1.3 * HEAD_S)
    with pytest.raises(TimeoutError):  # longer than the deadline of a head: uvicorn's keep-alive holds it
        client.recv(10)
    client.settimeout(20)
    ask()


def test_a_slow_body_is_not_cut_off_by_the_head_deadline(connect: Callable[[], socket.socket]) -> None:
    client = connect()
    client.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n")
    client.settimeout(1.3 * HEAD_S)
    with pytest.raises(TimeoutError):
        client.recv(10)
    client.settimeout(20)
    client.sendall(b"a=b")
    assert client.recv(10_000).startswith(b"HTTP/1.1 303")


def test_a_body_that_never_comes_is_answered(
    connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebnn.service.web import access

    monkeypatch.setattr(access, "BODY_DEADLINE_S", 0.2)
    client = connect()
    client.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300\r\n\r\nhalf")
    answer = client.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 408") and b"connection: close" in answer.lower()


HOSTILE = {
    "long header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + 20_000 * b"a",
    "long path": b"GET /" + 20_000 * b"a",
    "many headers": b"".join([b"GET / HTTP/1.1\r\n", *(b"X%d: a\r\n" % index for index in range(5000))]),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "endless chunk": b"POST /login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFFFF\r\n",
    "no chunk": b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
    "zeros": b"\r\n\r\n\r\n\r\n\x00\x00",
}


@pytest.mark.parametrize("head", HOSTILE.values(), ids=HOSTILE)
def test_hostile_heads_are_refused_and_bounded(connect: Callable[[], socket.socket], site: Site, head: bytes) -> None:
    client = connect()
    try:
        client.sendall(head)
        answer = client.recv(10_000)
    except (ConnectionResetError, BrokenPipeError):
        answer = b""
    assert answer == b"" or answer.split()[1][:1] == b"4"
    assert site.ask("/live").status_code == 200


@pytest.mark.parametrize(("length", "status"), [(15_000, b"404"), (18_000, b"400"), (200_000, b"400")])
def test_a_head_that_comes_at_once_is_bounded_too(
    connect: Callable[[], socket.socket], length: int, status: bytes
) -> None:
    client = connect()
    client.sendall(b"GET /" + length * b"a" + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.recv(10_000).split()[1] == status


def test_slow_loris_does_not_keep_others_out(connect: Callable[[], socket.socket], site: Site) -> None:
    """Four times as many as there is room for, each sending its head slowly: a quick client gets its answer."""
    crowd = [connect() for _ in range(40)]
    for client in crowd:
        try:
            client.sendall(b"GET /live HTTP/1.1\r\n")
        except (ConnectionResetError, BrokenPipeError):
            continue  # it had to make place already
    assert site.browser().get("/live").status_code == 200


def test_idle_connections_make_place(connect: Callable[[], socket.socket], site: Site) -> None:
    for _ in range(10):
        client = connect()
        client.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(10_000).startswith(b"HTTP/1.1 200")
    assert site.browser().get("/live").status_code == 200


def test_a_body_that_nobody_wants_has_a_deadline(connect: Callable[[], socket.socket]) -> None:
    """A GET is answered before its body has come; the rest cannot come for ever."""
    client = connect()
    client.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
    assert client.recv(10_000).startswith(b"HTTP/1.1 200")
    assert dribble(client, 1000 * b"a") > 0


def test_a_full_house_turns_away(connect: Callable[[], socket.socket], site: Site) -> None:
    """When all places are taken by people who are served, the next one is cut off, and a free place is used again."""
    for _ in range(10):
        client = connect()
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(10_000).startswith(b"HTTP/1.1 200")
    assert is_cut_off(connect())
    client.close()
    wait_for(lambda: site.hub.watchers == 9, "a free place")
    assert site.ask("/live").status_code == 200


def test_a_client_that_does_not_read_is_cut_off(connect: Callable[[], socket.socket], site: Site) -> None:
    stuck = connect()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    wait_for(lambda: site.hub.watchers == 1, "the watcher")
    stop = threading.Event()

    def publish() -> None:
        while not stop.wait(0.005):
            site.hub.publish(200_000 * b"x")

    producer = threading.Thread(target=publish)
    producer.start()
    try:
        wait_for(lambda: site.hub.watchers == 0, "the end of the watcher")
    finally:
        stop.set()
        producer.join()
