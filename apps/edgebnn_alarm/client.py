"""A client of the clock's socket: one request, one answer."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from edgebnn.errors import EdgebnnError, InputError, UnavailableError


class RefusedError(EdgebnnError):
    """The clock refused a request; the message is its own."""


def ask(path: Path, request: dict[str, Any], *, timeout_s: float = 5.0) -> dict[str, Any]:
    """The answer to a request. UnavailableError when nobody answers in time, RefusedError when the clock says no."""
    until_s = time.monotonic() + timeout_s
    received = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            while not received.endswith(b"\n"):
                connection.settimeout(max(0.001, until_s - time.monotonic()))
                piece = connection.recv(65_536)
                if not piece:
                    raise UnavailableError(f"the clock at {path} closed the connection without an answer")
                received += piece
        except UnavailableError:
            raise
        except TimeoutError:
            raise UnavailableError(f"the clock at {path} did not answer within {timeout_s:g} s") from None
        except OSError as error:
            cure = "is edgebnn-alarm running, and may you open it?"
            raise UnavailableError(
                f"the clock at {path} cannot be reached: {error.strerror or error}: {cure}"
            ) from None
    answer = json.loads(received)
    if not isinstance(answer, dict):
        raise InputError(f"expected a JSON object from {path}, got {received[:60]!r}")
    if not answer.get("ok"):
        raise RefusedError(str(answer.get("error", "refused")))
    return answer
