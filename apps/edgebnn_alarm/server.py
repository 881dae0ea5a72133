"""The Unix socket: many clients, hostile ones too, beside a clock that must not wait for any of them."""

from __future__ import annotations

import json
import logging
import os
import selectors
import socket
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgebnn.errors import UnavailableError

LOG = logging.getLogger("edgebnn.alarm.socket")
MAX_LINE = 65_536
MAX_UNREAD = 1_048_576
MAX_CLIENTS = 32
MAX_WATCHERS = 8
HALF_LINE_S = 10.0
IDLE_S = 60.0

Answer = Callable[[bytes], tuple[dict[str, Any], bool]]


@dataclass(eq=False)
class _Client:
    socket: socket.socket
    heard_s: float
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)
    watches: bool = False
    closing: bool = False
    answered: int = 0
    """The turn in which it was last answered."""


class Server:
    """Listens on a Unix socket; `turn` does a bounded amount of work."""

    def __init__(
        self, path: Path, answer: Answer, *, wake_fd: int | None = None, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Makes the socket, mode 0660, in place of one that a killed process left; UnavailableError when it cannot.

        What can be read from `wake_fd`, a pipe, ends the wait of `turn`.
        """
        self._path, self._answer, self._now_s, self._wake_fd = path, answer, now_s, wake_fd
        self._selector = selectors.DefaultSelector()
        self._clients: dict[int, _Client] = {}
        self._turns = 0
        self._listener = _listen(path)
        self._selector.register(self._listener, selectors.EVENT_READ)
        if wake_fd is not None:
            self._selector.register(wake_fd, selectors.EVENT_READ)

    def turn(self, timeout_s: float) -> bool:
        """Wait for clients at most `timeout_s`, then answer at most one request of one client; True when more wait.

        One request a turn: the caller looks at the clock in between.
        """
        waiting = next((client for client in self._clients.values() if b"\n" in client.received), None)
        for key, events in self._selector.select(0 if waiting else max(0.0, timeout_s)):
            if key.fd == self._wake_fd:
                with suppress(BlockingIOError):
                    os.read(key.fd, 4096)
            elif key.fileobj is self._listener:
                self._accept()
            elif key.fd in self._clients:
                client = self._clients[key.fd]
                if events & selectors.EVENT_READ:
                    self._receive(client)
                if events & selectors.EVENT_WRITE and key.fd in self._clients:
                    self._send(client)
        self._drop_idle()
        ready = [client for client in self._clients.values() if b"\n" in client.received and not client.closing]
        if ready:
            client = min(ready, key=lambda each: each.answered)
            self._turns += 1
            client.answered = self._turns
            self._answer_one(client)
        return len(ready) > 1 or any(b"\n" in client.received for client in ready)

    def publish(self, event: dict[str, Any]) -> None:
        """Send an event to all who watch."""
        for client in [each for each in self._clients.values() if each.watches]:
            self._queue(client, event)

    @property
    def watched(self) -> bool:
        """Whether anybody watches."""
        return any(client.watches for client in self._clients.values())

    def close(self) -> None:
        """Close all connections and remove the socket."""
        for client in list(self._clients.values()):
            self._drop(client)
        self._selector.close()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # too many files, or the client is gone
            LOG.warning("a client could not be accepted: %s", error)
            self._drop_quietest()
            return
        connection.setblocking(False)
        while len(self._clients) >= MAX_CLIENTS:
            self._drop_quietest()
        client = _Client(connection, self._now_s())
        self._clients[connection.fileno()] = client
        self._selector.register(connection, selectors.EVENT_READ)

    def _receive(self, client: _Client) -> None:
        try:
            piece = client.socket.recv(16_384)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._drop(client)
            return
        if client.closing:
            return
        if not client.received:
            client.heard_s = self._now_s()
        client.received += piece
        end = client.received.find(b"\n")
        if end > MAX_LINE or (end < 0 and len(client.received) > MAX_LINE):
            self._refuse(client, f"expected lines of at most {MAX_LINE} bytes, got a longer one")
        elif len(client.received) > 2 * MAX_LINE:  # more requests than are answered: read on when they are
            self._watch_events(client)

    def _answer_one(self, client: _Client) -> None:
        line, _, rest = bytes(client.received).partition(b"\n")
        client.received = bytearray(rest)
        client.heard_s = self._now_s()
        if len(line) > MAX_LINE:
            self._refuse(client, f"expected lines of at most {MAX_LINE} bytes, got a longer one")
            return
        answer, watches = self._answer(line)
        if watches:
            if sum(each.watches for each in self._clients.values()) >= MAX_WATCHERS and not client.watches:
                answer = {"ok": False, "error": f"expected at most {MAX_WATCHERS} who watch, there are so many"}
            else:
                client.watches = True
        self._queue(client, answer)

    def _refuse(self, client: _Client, why: str) -> None:
        client.closing = True
        client.received.clear()
        self._queue(client, {"ok": False, "error": why})

    def _queue(self, client: _Client, message: dict[str, Any]) -> None:
        client.unsent += json.dumps(message).encode() + b"\n"
        self._send(client)

    def _send(self, client: _Client) -> None:
        try:
            if client.unsent:
                del client.unsent[: client.socket.send(client.unsent, socket.MSG_NOSIGNAL)]
        except BlockingIOError:
            pass  # later
        except OSError:
            self._drop(client)
            return
        if len(client.unsent) > MAX_UNREAD or (client.closing and not client.unsent):
            self._drop(client)
        else:
            self._watch_events(client)

    def _watch_events(self, client: _Client) -> None:
        events = selectors.EVENT_WRITE if client.unsent else 0
        if len(client.received) <= 2 * MAX_LINE:
            events |= selectors.EVENT_READ
        known = self._selector.get_map().get(client.socket)
        if known is None:
            if events:
                self._selector.register(client.socket, events)
        elif not events:
            self._selector.unregister(client.socket)
        elif known.events != events:
            self._selector.modify(client.socket, events)

    def _drop_idle(self) -> None:
        now_s = self._now_s()
        for client in list(self._clients.values()):
            silent_s = now_s - client.heard_s
            if client.received and b"\n" not in client.received and silent_s > HALF_LINE_S:
                self._refuse(client, f"expected the end of a line within {HALF_LINE_S:.0f} s")
            if silent_s > IDLE_S and (not client.watches or client.unsent) and client.socket.fileno() in self._clients:
                self._drop(client)

    def _drop_quietest(self) -> None:
        if self._clients:
            clients = self._clients.values()
            self._drop(min(clients, key=lambda client: (client.watches, client.heard_s)))

    def _drop(self, client: _Client) -> None:
        number = client.socket.fileno()
        if number < 0:
            return
        self._clients.pop(number, None)
        if client.socket in self._selector.get_map():
            self._selector.unregister(client.socket)
        client.socket.close()


def _listen(path: Path) -> socket.socket:
    if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
        raise UnavailableError(f"{path} is a file that is no socket: remove it or change service.socket")
    if path.exists() and _is_alive(path):
        raise UnavailableError(
            f"another edgebnn-alarm listens on {path}: stop it, or give this one another service.socket"
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o117)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen(64)
    except OSError as error:
        listener.close()
        raise UnavailableError(f"{path} cannot be made: {error.strerror or error}") from None
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except BlockingIOError:  # its queue is full: somebody listens
            return True
        except OSError:
            return False
    return True
