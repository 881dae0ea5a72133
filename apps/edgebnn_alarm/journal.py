"""The journal: every decision with its reason, append-only. What is still to ring follows from it alone (`Ledger`)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from edgebnn_alarm.belief import Belief
from edgebnn_alarm.occurrence import Key, Occurrence

Kind = Literal[
    "rang", "resumed", "stopped", "snoozed", "unanswered", "skipped", "unskipped", "missed", "passed",
    "set", "deleted", "clock", "storage", "sound", "button", "light", "monitor", "guard", "service",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)
ENDS = ("stopped", "snoozed", "unanswered")
"""Kinds after which an occurrence rings no more."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the journal; `deadline_s` of a `snoozed` entry is when the next occurrence rings."""

    utc_s: float
    boot_s: float
    boot_id: str
    kind: Kind
    text: str
    by: str | None = None
    key: Key | None = None
    deadline_s: float | None = None
    id: int = 0
    """0 until it is stored."""

    def age_s(self, now: Belief) -> float:
        """Seconds since the entry: by the time since boot, which never steps, or after a power loss by the clock."""
        if self.boot_id == now.boot_id:
            return max(0.0, now.boot_s - self.boot_s)
        return max(0.0, now.utc_s - self.utc_s)


@dataclass
class Ledger:
    """The journal folded: what became of each occurrence."""

    ended: set[Key] = field(default_factory=set)
    ringing: dict[Key, Entry] = field(default_factory=dict)
    """Rang and not ended: the `rang` entry."""
    snoozes: dict[Key, Entry] = field(default_factory=dict)
    """Occurrences that a snooze made and that have not rung yet: the `snoozed` entry."""
    skipped: set[Key] = field(default_factory=set)
    over: dict[tuple[int, dt.time], Entry] = field(default_factory=dict)
    """By alarm and time the last occurrence that was over when the alarm was set: the `set` or `passed` entry."""
    missed: set[Key] = field(default_factory=set)

    def apply(self, entry: Entry) -> None:
        """Take one more entry into account."""
        key = entry.key
        if key is None:
            return
        if entry.kind == "rang":
            self.snoozes.pop(key, None)
            if key not in self.ended:
                self.ringing.setdefault(key, entry)
        elif entry.kind in ENDS:
            self.ringing.pop(key, None)
            self.snoozes.pop(key, None)
            self.ended.add(key)
            following = key._replace(snooze=key.snooze + 1)
            if entry.kind == "snoozed" and following not in self.ended and following not in self.ringing:
                self.snoozes[following] = entry
        elif entry.kind == "skipped":
            self.skipped.add(key)
        elif entry.kind == "unskipped":
            self.skipped.discard(key)
        elif entry.kind in ("set", "passed"):
            self.over[key.alarm, key.time] = entry
        elif entry.kind == "missed":
            self.missed.add(key)
            self.snoozes.pop(key, None)

    def settled(self, key: Key) -> bool:
        """Whether the occurrence rang (and perhaps still does) or was cancelled by a person."""
        return key in self.ended or key in self.ringing or key in self.skipped

    def over_when_set(self, occurrence: Occurrence, now: Belief) -> bool:
        """Whether the deadline was over when its alarm was set: not if the clock was set back since, then it comes."""
        key = occurrence.key
        entry = self.over.get((key.alarm, key.time))
        if entry is None or entry.key is None or key.snooze or key.date > entry.key.date:
            return False
        if entry.boot_id == now.boot_id:
            set_s = now.utc_s - entry.age_s(now)
        else:  # before this boot, whatever the clock showed
            set_s = min(entry.utc_s, now.utc_s - now.boot_s)
        return occurrence.deadline_s <= set_s

    def waiting_snoozes(self, now: Belief) -> list[Occurrence]:
        """Snoozes that have not rung yet, by deadline; a step of the clock does not move them."""
        found = []
        for key, entry in self.snoozes.items():
            deadline_s = entry.deadline_s or entry.utc_s
            if entry.boot_id == now.boot_id:
                deadline_s = now.utc_s + (deadline_s - entry.utc_s) - (now.boot_s - entry.boot_s)
            found.append(Occurrence(deadline_s, key, deadline_s))
        return sorted(found)


def fold(entries: Iterable[Entry]) -> Ledger:
    """The ledger of a journal."""
    ledger = Ledger()
    for entry in entries:
        ledger.apply(entry)
    return ledger
