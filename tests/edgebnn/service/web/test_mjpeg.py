from __future__ import annotations

import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from edgebnn.service.web import StreamHub
from tests.edgebnn.service.conftest import wait_for
from tests.edgebnn.service.web.conftest import Site

Start = Callable[..., Site]
PART = re.compile(rb"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\n\r\n(.*?)\r\n--picture\r\n", re.DOTALL)


@pytest.fixture
def watch() -> Iterator[Callable[[Site], socket.socket]]:
    """`watch(site)`: a socket that has asked for the stream and got the head of the answer."""
    opened: list[socket.socket] = []

    def watch_one(site: Site) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", site.server.port), timeout=20)
        opened.append(client)
        client.sendall(b"GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head = b""
        while not head.endswith(b"--picture\r\n"):
            head += client.recv(1)
        assert head.startswith(b"HTTP/1.1 200") and b"multipart/x-mixed-replace; boundary=picture" in head
        return client

    yield watch_one
    for one in opened:
        one.close()


def next_picture(client: socket.socket) -> bytes:
    data = b""
    while not (found := PART.fullmatch(data)):
        received = client.recv(65536)
        assert received, "the stream has ended"
        data += received
    assert int(found[1]) == len(found[2])
    return found[2]


def test_pictures_come_as_they_are_published(start: Start, watch: Callable[[Site], socket.socket]) -> None:
    site = start()
    client = watch(site)
    assert site.hub.watched
    for picture in (b"first", b"second\r\n--other\r\n"):
        site.hub.publish(picture)
        assert next_picture(client) == picture


def test_each_is_encoded_once_and_only_for_watchers(start: Start, watch: Callable[[Site], socket.socket]) -> None:
    encoded: list[bytes] = []
    site = start()
    site.hub._encode = lambda picture: encoded.append(picture) or picture  # type: ignore[func-returns-value]
    site.hub.publish(b"nobody watches")
    clients = [watch(site) for _ in range(5)]
    site.hub.publish(b"five watch")
    assert [next_picture(client) for client in clients] == 5 * [b"five watch"]
    for client in clients:
        client.close()
    wait_for(lambda: not site.hub.watched, "the end of the watchers")
    site.hub.publish(b"nobody watches any more")
    again = watch(site)
    site.hub.publish(b"one watches")
    assert next_picture(again) == b"one watches"
    assert encoded == [b"five watch", b"one watches"]


def test_a_slow_watcher_misses_pictures_and_slows_nobody(start: Start, watch: Callable[[Site], socket.socket]) -> None:
    site = start()
    slow, quick = watch(site), watch(site)
    blocked = 0.0
    for number in range(200):
        picture = number.to_bytes(4, "big") + 50_000 * b"x"
        started = time.perf_counter()
        site.hub.publish(picture)
        blocked = max(blocked, time.perf_counter() - started)
        assert next_picture(quick) == picture  # the quick one gets all
    assert blocked < 1
    numbers: list[int] = []
    data = b""
    while not numbers or numbers[-1] != 199:  # what the slow one finds when it reads at last: old ones, then the newest
        data += slow.recv(1 << 20)
        while found := PART.match(data):
            numbers.append(int.from_bytes(found[2][:4], "big"))
            data = data[found.end() :]
    assert numbers == sorted(set(numbers)) and len(numbers) < 150


def test_a_picture_that_cannot_be_encoded_is_left_out(
    start: Start, watch: Callable[[Site], socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    def encode(picture: bytes) -> bytes:
        if picture == b"bad":
            raise ValueError("zero size")
        return picture

    site = start()
    site.hub._encode = encode
    client = watch(site)
    site.hub.publish(b"bad")
    wait_for(lambda: "could not be encoded" in caplog.text, "the message")
    site.hub.publish(b"good")
    assert next_picture(client) == b"good"


def test_two_hundred_watchers(start: Start, watch: Callable[[Site], socket.socket]) -> None:
    site = start()
    clients = [watch(site) for _ in range(200)]
    assert site.hub.watchers == 200
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(3):
        picture = number.to_bytes(4, "big") + 20_000 * b"x"
        site.hub.publish(picture)
        assert all(next_picture(client) == picture for client in clients)
    assert site.ask("/live").status_code == 200  # the page works meanwhile
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_too_many_watchers_are_told(start: Start, watch: Callable[[Site], socket.socket]) -> None:
    site = start()
    site.hub._most_watchers = 2
    first, _ = watch(site), watch(site)
    answer = site.ask("/stream")
    assert answer.status_code == 503 and "2 watch already" in answer.json()["error"] and "retry-after" in answer.headers
    first.close()
    wait_for(lambda: site.hub.watchers == 1, "a place")
    watch(site)


def test_stopping_ends_streams_at_once(start: Start, watch: Callable[[Site], socket.socket]) -> None:
    site = start()
    clients = [watch(site) for _ in range(3)]
    assert site.server.stop(timeout_s=20)
    for client in clients:
        while client.recv(1000):
            pass
    assert "stream" not in {thread.name for thread in threading.enumerate()}
    site.hub.publish(b"too late")


def test_a_hub_that_nobody_asked_can_be_closed() -> None:
    hub = StreamHub[bytes](lambda picture: picture)
    hub.publish(b"a")
    hub.close()
    hub.close()
