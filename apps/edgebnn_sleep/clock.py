"""The alarm clock as the monitor sees it: another process behind a Unix socket (docs/alarm.md).

The clock rings without us. What is said here can make it ring earlier inside a window, and passes on what a person
wants.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgebnn.errors import EdgebnnError, UnavailableError

log = logging.getLogger("edgebnn.clock")

LONGEST_ANSWER = 1 << 20
TIMEOUT_S = 5.0
RECONNECT_S = (1.0, 10.0)
Answer = dict[str, Any]


class RefusedError(EdgebnnError):
    """The clock understood and refused; the message is its own sentence."""


class ClockClient:
    """One request, one answer, one connection each."""

    def __init__(self, path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        """`path` of the clock's socket; nothing is opened."""
        self.path = path
        self._timeout_s = timeout_s

    def ask(self, command: str, **keys: Any) -> Answer:
        """The clock's answer; RefusedError with its reason, UnavailableError when no clock answers with sense."""
        with self.connect() as line:
            line.send({"cmd": command, **keys})
            answer = line.receive(timeout_s=self._timeout_s)
        if answer.get("ok") is not True:
            raise RefusedError(str(answer.get("error") or "the alarm clock refused without a reason"))
        return answer

    def connect(self) -> Line:
        """An open connection; UnavailableError when there is no clock."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        connection.settimeout(self._timeout_s)
        try:
            connection.connect(str(self.path))
        except OSError as error:
            connection.close()
            raise UnavailableError(
                f"the alarm clock does not answer at {self.path} ({error.strerror or error}): "
                "`systemctl status edgebnn-alarm` says why; a set alarm rings nevertheless if the clock runs"
            ) from None
        return Line(connection, self.path)


class Line:
    """JSON lines on a connected socket."""

    def __init__(self, connection: socket.socket, path: Path) -> None:
        """Takes over the socket."""
        self._connection = connection
        self._path = path
        self._received = b""

    def __enter__(self) -> Line:
        """The line itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.close()

    def close(self) -> None:
        """Hang up, also when another thread waits for an answer."""
        with suppress(OSError):  # the clock hung up first
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def send(self, request: Answer) -> None:
        """Send one request."""
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise UnavailableError(f"the alarm clock hung up ({error})") from None

    def receive(self, *, timeout_s: float | None = TIMEOUT_S) -> Answer:
        """The next answer or event; UnavailableError when none comes in time, or none that is an object."""
        try:
            self._connection.settimeout(timeout_s)
            while b"\n" not in self._received:
                more = self._connection.recv(65536)
                if not more or len(self._received) > LONGEST_ANSWER:
                    raise UnavailableError("the alarm clock hung up" if not more else "the alarm clock talks nonsense")
                self._received += more
        except TimeoutError:
            raise UnavailableError(f"the alarm clock at {self._path} did not answer in time") from None
        except OSError as error:
            if isinstance(error, UnavailableError):
                raise
            raise UnavailableError(f"the alarm clock hung up ({error})") from None
        text, _, self._received = self._received.partition(b"\n")
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise UnavailableError("the alarm clock sent a line that is no JSON object: are the versions the same?")
        return answer


class ClockWatch:
    """Keeps the clock's status up to date in a thread of its own, and says when the clock goes away and returns."""

    def __init__(
        self, client: ClockClient, *, on_change: Callable[[Answer | None, str], None] = lambda *_: None
    ) -> None:
        """`on_change(status, problem)` is called in the watching thread; status is None without a clock."""
        self._client = client
        self._on_change = on_change
        self._closing = threading.Event()
        self._line: Line | None = None
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self.status: Answer | None = None
        """The clock's status as it told it last; None while it is away."""
        self.problem = "the alarm clock was not asked yet"
        """Why there is no status, one sentence; empty while there is one."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()
        line = self._line
        if line is not None:
            line.close()
        if self._thread.ident is not None:
            self._thread.join(2)

    def _run(self) -> None:
        wait_s = RECONNECT_S[0]
        while not self._closing.is_set():
            connected_s = time.monotonic()
            try:
                with self._client.connect() as self._line:
                    self._watch(self._line)
            except UnavailableError as error:
                if time.monotonic() - connected_s > RECONNECT_S[1]:
                    wait_s = RECONNECT_S[0]
                self._become(None, str(error))
            finally:
                self._line = None
            self._closing.wait(wait_s)
            wait_s = min(2 * wait_s, RECONNECT_S[1])

    def _watch(self, line: Line) -> None:
        line.send({"cmd": "watch"})
        answer = line.receive()
        if answer.get("ok") is not True:
            raise UnavailableError(f"the alarm clock lets nobody watch: {answer.get('error')}")
        self._become(answer, "")
        while not self._closing.is_set():
            try:
                event = line.receive(timeout_s=20)
            except UnavailableError:
                # A quiet clock has nothing to tell; a request shows whether it is still there.
                if self._closing.is_set():
                    return
                line.send({"cmd": "status"})
                event = line.receive()
            status = event.get("status", event)
            if isinstance(status, dict) and "now_s" in status:
                self._become(status, "")

    def _become(self, status: Answer | None, problem: str) -> None:
        if self._closing.is_set():
            return
        if problem and not self.problem:
            log.error("%s", problem)
        elif self.problem and not problem:
            log.info("the alarm clock answers")
        self.status, self.problem = status, problem
        self._on_change(status, problem)
