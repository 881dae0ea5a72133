"""Signed-in browsers, and how often somebody may guess the token."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from edgebnn.service.state import write_state

logger = logging.getLogger("edgebnn.web")

MOST_SESSIONS = 50
ID_CHARACTERS = 43  # of 32 random bytes


def new_id() -> str:
    """A random session id."""
    return secrets.token_urlsafe(32)


def is_id(text: str) -> bool:
    """Whether `text` has the form of a session id."""
    return len(text) == ID_CHARACTERS and text.isascii() and text.replace("-", "a").replace("_", "a").isalnum()


def form_token(session_id: str) -> str:
    """What a form must carry: only a page that was served to this very browser can know it."""
    return hashlib.sha256(f"edgebnn form {session_id}".encode()).hexdigest()


class Sessions:
    """Ids of signed-in browsers with their ends; at most MOST_SESSIONS, the oldest leaves.

    `state`: a file that keeps them over a restart, as hashes together with the token, so that reading the file
    signs nobody in and a new token signs everybody out. A damaged file is ignored.
    """

    def __init__(
        self, token: str, *, days: int, state: Path | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock`: seconds of wall-clock time."""
        self._token = token
        self._days = days
        self._state = state
        self._clock = clock
        self._ends: OrderedDict[str, float] = OrderedDict()
        self._load()

    def open(self) -> str:
        """A new session; returns its id."""
        session_id = new_id()
        self._ends[self._hash(session_id)] = self._clock() + 86400 * self._days
        while len(self._ends) > MOST_SESSIONS:
            self._ends.popitem(last=False)
        self._save()
        return session_id

    def is_open(self, session_id: str) -> bool:
        """Whether the session was opened here and has not ended."""
        end = self._ends.get(self._hash(session_id))
        return end is not None and self._clock() < end

    def close(self, session_id: str) -> None:
        """End a session."""
        if self._ends.pop(self._hash(session_id), None) is not None:
            self._save()

    def _hash(self, session_id: str) -> str:
        return hashlib.sha256(f"{self._token} {session_id}".encode()).hexdigest()

    def _load(self) -> None:
        if self._state is None:
            return
        try:
            raw = json.loads(self._state.read_text(encoding="utf-8"))
            ends = sorted(((str(key), float(end)) for key, end in raw.items()), key=lambda item: item[1])
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            logger.warning("%s is ignored, browsers must sign in again: %s", self._state, error)
            return
        self._ends.update(ends[-MOST_SESSIONS:])

    def _save(self) -> None:
        if self._state is None:
            return
        now = self._clock()
        try:
            write_state(self._state, json.dumps({k: end for k, end in self._ends.items() if end > now}).encode())
        except OSError as error:
            logger.warning(
                "%s cannot be written (%s): browsers must sign in again after a restart", self._state, error.strerror
            )


class Attempts:
    """How often an address may give a wrong token: `burst` at once, then one every `every_s`. Bounded memory."""

    MOST_ADDRESSES = 1000

    def __init__(self, *, burst: int = 5, every_s: float = 12.0, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, monotonic."""
        self._burst = burst
        self._every_s = every_s
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when all attempts are there again

    def wait_s(self, address: str) -> float:
        """Seconds until the next attempt; 0 when there is one now."""
        full_in = self._full_at.get(_network(address), 0.0) - self._clock()
        return max(0.0, full_in - (self._burst - 1) * self._every_s)

    def fail(self, address: str) -> None:
        """Count a wrong token."""
        key = _network(address)
        full_at = max(self._full_at.pop(key, 0.0), self._clock()) + self._every_s
        self._full_at[key] = full_at
        while len(self._full_at) > self.MOST_ADDRESSES:
            self._full_at.popitem(last=False)


def _network(address: str) -> str:
    """The address, of IPv6 its /64, which one person has for himself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
