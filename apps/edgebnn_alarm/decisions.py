"""Decisions: in memory at once, on the disk as soon as it takes them; what only a person may do the other way round."""

from __future__ import annotations

import logging

from edgebnn_alarm.alarm import Alarm
from edgebnn_alarm.belief import Memory
from edgebnn_alarm.journal import Entry, fold
from edgebnn_alarm.store import Store, StoreError

LOG = logging.getLogger("edgebnn.alarm")
RETRY_S = 10.0


class Decisions:
    """The ledger and its way to the disk. What a method without "StoreError" stores holds whatever the disk does."""

    def __init__(self, store: Store) -> None:
        """What the store holds."""
        self.ledger = fold(store.contents.journal)
        self.unstored: list[Entry] = []
        """Decisions that are not on the disk yet."""
        self._store = store
        self._retry_boot_s = 0.0

    def record(self, entries: list[Entry]) -> None:
        """Memory first: what was decided holds, even if the disk takes it later or never."""
        if entries:
            self._took(entries)
            self.unstored += entries
            self._flush(entries[-1].boot_s)

    def store(self, entries: list[Entry]) -> None:
        """Disk first; StoreError leaves memory as it was."""
        self._store.append(entries)
        self._took(entries)

    def put_alarm(self, alarm: Alarm, entries: list[Entry]) -> None:
        """An alarm and what is decided with it, disk first; StoreError leaves memory as it was."""
        self._store.put_alarm(alarm, entries)
        self._took(entries)

    def delete_alarm(self, number: int, entries: list[Entry]) -> None:
        """Forget an alarm, disk first; StoreError leaves memory as it was."""
        self._store.delete_alarm(number, entries)
        self._took(entries)

    def retry(self, boot_s: float) -> bool:
        """Whether the disk may be asked now: it has refused not long ago, or takes first what it is owed."""
        if boot_s < self._retry_boot_s and self._store.error:
            return False
        if self.unstored:
            self._flush(boot_s)
        return True

    def save_memory(self, memory: Memory, boot_s: float) -> None:
        """Store what the clock remembers of the time."""
        try:
            self._store.save_memory(memory)
        except StoreError as error:
            self._retry_boot_s = boot_s + RETRY_S
            LOG.error("%s", error)

    @property
    def storage(self) -> str:
        """ "ok", or why nothing can be stored."""
        if self.unstored:
            return f"{len(self.unstored)} entries wait for the disk: {self._store.error}"
        return self._store.error or "ok"

    def _took(self, entries: list[Entry]) -> None:
        for entry in entries:
            self.ledger.apply(entry)
            LOG.info("%s", entry.text)

    def _flush(self, boot_s: float) -> None:
        failed = self._store.error
        try:
            self._store.append(self.unstored)
        except StoreError as error:
            self._retry_boot_s = boot_s + RETRY_S
            if failed is None:
                LOG.error("%s", error)
        else:
            self.unstored = []
