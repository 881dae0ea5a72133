"""Copies what the alarm clock decided into the night's log, where it stays, is shown and is exported."""

from __future__ import annotations

import logging
import threading

from edgebnn.errors import EdgebnnError
from edgebnn_sleep.clock import ClockClient
from edgebnn_sleep.store import Event, Store

log = logging.getLogger("edgebnn.clock")

MOST = 1000
KINDS = frozenset({"rang", "resumed", "stopped", "snoozed", "unanswered", "skipped", "unskipped", "missed", "passed"})
"""Kinds of the clock's entries that are about rings; the others get the kind `alarm`. What it heard of the monitor the
monitor knows better."""


class Journal:
    """Entries of the clock's journal, each once, also over a restart of either service."""

    def __init__(self, client: ClockClient, store: Store) -> None:
        """Goes on behind what the store has of the last days."""
        self._client, self._store = client, store
        self._lock = threading.Lock()
        self._seen: set[tuple[float, str]] | None = None
        self._since_s = 0.0

    def collect(self) -> int:
        """Copy what is new, and return how many entries that were; 0 while the clock is away."""
        with self._lock:
            try:
                entries = self._client.ask("log", limit=MOST, since_s=self._since_s)["entries"]
                found = [
                    Event(
                        float(entry["at_s"]),
                        entry["kind"] if entry["kind"] in KINDS else "alarm",
                        str(entry["text"]),
                        None if entry.get("deadline_s") is None else float(entry["deadline_s"]),
                    )
                    for entry in entries
                    if entry["kind"] != "monitor"
                ]
            except EdgebnnError as error:
                log.debug("the clock's journal cannot be read: %s", error)
                return 0
            except (KeyError, TypeError, ValueError) as error:
                log.error("the clock's journal cannot be understood: %r", error)
                return 0
            if not found:
                return 0
            if self._seen is None:
                self._seen = {(e.time_s, e.text) for e in self._store.events(found[0].time_s, found[-1].time_s + 1)}
            new = [event for event in found if (event.time_s, event.text) not in self._seen]
            for event in new:
                self._store.add_event(event)
            self._since_s = max(event.time_s for event in found)
            self._seen = {(e.time_s, e.text) for e in found if e.time_s >= self._since_s}
            return len(new)
