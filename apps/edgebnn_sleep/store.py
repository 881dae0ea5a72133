"""Epochs and the log of each night in SQLite, written so that no fault of the disk ends the monitor.

Reading and writing are separate from each other: what cannot be written waits in memory, is read from there, and is
written when the disk takes it again. A damaged database is moved aside, never repaired in place nor deleted.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from edgebnn.errors import DataError
from edgebnn_sleep.epochs import COLUMNS, Epoch

log = logging.getLogger("edgebnn.sleep")

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE epochs (
        start_s INTEGER PRIMARY KEY, activity REAL, moved_s REAL, seen_s REAL NOT NULL, presence INTEGER,
        sound_db REAL, peak_db REAL, snore_db REAL, light_lux REAL, temperature_c REAL, humidity_percent REAL,
        pressure_hpa REAL, co2_ppm REAL, p_wake REAL, asleep INTEGER, restless INTEGER, stage INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, time_s REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
        deadline_s REAL
    ) STRICT;
    CREATE INDEX events_time ON events (time_s);
    """,
)
"""Statement number n leads from `PRAGMA user_version` n to n + 1."""

WAITING = 8640
"""Epochs and log lines that are kept in memory while the disk does not take them: three days."""
RETRY_S = 300.0
"""How often a disk that refused is tried again."""
PAGE_LIMIT = 20_000
MOST_EVENTS = 200_000
DAMAGED = ("malformed", "not a database", "encrypted")
"""What SQLite says of a file that is damaged, as opposed to a disk that is full or a folder that is read-only."""


@dataclass(frozen=True)
class Event:
    """A line of the night's log; of an alarm's ring with its deadline."""

    time_s: float
    kind: str
    text: str
    deadline_s: float | None = None


class Store:
    """The night database; every method may be called from any thread, and none raises for a fault of the disk."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Open or make the database at `path`; `problem` says what is wrong with it, empty when nothing is."""
        self.path = path
        self.problem = ""
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._epochs: deque[Epoch] = deque(maxlen=WAITING)
        self._events: deque[Event] = deque(maxlen=WAITING)
        self._connection: sqlite3.Connection | None = None
        self._tried_s = float("-inf")
        self._open()

    # Writing

    def add_epoch(self, epoch: Epoch) -> None:
        """Keep an epoch; one with the same start replaces it (the clock was set back)."""
        with self._lock:
            self._epochs.append(epoch)
            self._flush()

    def add_event(self, event: Event) -> None:
        """Keep a line of the night's log."""
        with self._lock:
            self._events.append(event)
            self._flush()

    def forget_before(self, time_s: float) -> int:
        """Delete what is older, and return how many epochs that were."""
        with self._lock:
            if self._connection is None:
                return 0
            try:
                with self._connection as connection:
                    connection.execute("DELETE FROM events WHERE time_s < ?", (time_s,))
                    return connection.execute("DELETE FROM epochs WHERE start_s < ?", (int(time_s),)).rowcount
            except sqlite3.Error as error:
                self._failed(error)
                return 0

    def merge(self, epochs: Sequence[Epoch], events: Sequence[Event]) -> int:
        """Add what is not there yet, all or nothing, and return how many epochs were new; DataError when it fails."""
        with self._lock:
            if self._connection is None:
                raise DataError(f"nothing was imported: {self.problem or 'the database is not open'}")
            try:
                with self._connection as connection:
                    before = connection.total_changes
                    connection.executemany(_INSERT.format("IGNORE"), map(astuple, epochs))
                    added = connection.total_changes - before
                    connection.executemany(
                        "INSERT INTO events (time_s, kind, text, deadline_s) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS"
                        " (SELECT 1 FROM events WHERE time_s = ?1 AND kind = ?2 AND text = ?3)",
                        map(astuple, events),
                    )
            except sqlite3.Error as error:
                self._failed(error)
                raise DataError(f"nothing was imported: {error}") from None
            return added

    def close(self) -> None:
        """Write what waits, and close."""
        with self._lock:
            self._tried_s = float("-inf")
            self._flush()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # Reading

    def epochs(self, since_s: float, until_s: float) -> list[Epoch]:
        """Epochs that start within [since, until), by time; those which still wait for the disk too."""
        with self._lock:
            rows = self._read(
                f"SELECT {', '.join(COLUMNS)} FROM epochs WHERE start_s >= ? AND start_s < ? ORDER BY start_s LIMIT ?",
                (since_s, until_s, PAGE_LIMIT),
            )
            found = {row[0]: Epoch(*row) for row in rows}
            found.update((epoch.start_s, epoch) for epoch in self._epochs if since_s <= epoch.start_s < until_s)
        return [found[start_s] for start_s in sorted(found)]

    def events(self, since_s: float, until_s: float) -> list[Event]:
        """Lines of the log within [since, until), by time."""
        with self._lock:
            rows = self._read(
                "SELECT time_s, kind, text, deadline_s FROM events"
                " WHERE time_s >= ? AND time_s < ? ORDER BY time_s, id LIMIT ?",
                (since_s, until_s, MOST_EVENTS),
            )
            found = [Event(*row) for row in rows]
            found += [event for event in self._events if since_s <= event.time_s < until_s]
        return sorted(found, key=lambda event: event.time_s)

    def first_and_last_s(self) -> tuple[int, int] | None:
        """Start of the first and of the last epoch; None when there is none."""
        with self._lock:
            starts = [epoch.start_s for epoch in self._epochs]
            starts += [s for row in self._read("SELECT min(start_s), max(start_s) FROM epochs", ()) for s in row if s]
        return (min(starts), max(starts)) if starts else None

    def all_epochs(self, since_s: float = 0.0) -> Iterator[Epoch]:
        """Every epoch from `since_s` on by time, read in portions so that no more than one is in memory."""
        span = self.first_and_last_s()
        while span and since_s <= span[1]:
            portion = self.epochs(since_s, span[1] + 1)[:PAGE_LIMIT]
            if not portion:
                return
            yield from portion
            since_s = portion[-1].start_s + 1

    # The file

    def _open(self) -> None:
        self._tried_s = self._monotonic()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connect(self.path)
        except sqlite3.DatabaseError as error:
            if not any(word in str(error) for word in DAMAGED):
                self._failed(error)
            elif self._move_aside(str(error)):
                try:
                    self._connection = _connect(self.path)
                except sqlite3.Error as second:
                    self._failed(second)
        except (OSError, DataError) as error:
            self._failed(error)

    def _move_aside(self, reason: str) -> bool:
        """Rename the database and its journal; False, with `problem` set, when even that fails."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        stamp = time.strftime("%Y%m%dT%H%M%S")
        aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        number = 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}-{number}")
        try:
            for suffix in ("-wal", "-shm", ""):
                source = self.path.with_name(self.path.name + suffix)
                if source.exists():
                    source.rename(aside.with_name(aside.name + suffix))
        except OSError as error:
            self._failed(error)
            return False
        self.problem = f"the night database was damaged ({reason}); it was moved to {aside} and a new one begun"
        log.critical("%s", self.problem)
        self._events.append(Event(time.time(), "store", self.problem))
        return True

    def _failed(self, error: Exception) -> None:
        """Go on in memory, and say so once for each reason."""
        problem = f"nights are kept in memory only: {self.path}: {error}"
        if problem != self.problem:
            log.error("%s", problem)
        self.problem = problem
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _flush(self) -> None:
        if self._connection is None:
            if self._monotonic() - self._tried_s < RETRY_S:
                return
            self._open()
        if self._connection is None or not (self._epochs or self._events):
            return
        try:
            with self._connection as connection:
                connection.executemany(_INSERT.format("REPLACE"), map(astuple, self._epochs))
                connection.executemany(
                    "INSERT INTO events (time_s, kind, text, deadline_s) VALUES (?, ?, ?, ?)",
                    map(astuple, self._events),
                )
        except sqlite3.DatabaseError as error:
            self._tried_s = self._monotonic()
            if any(word in str(error) for word in DAMAGED):
                if self._move_aside(str(error)):
                    self._open()
            else:
                self._failed(error)
            return
        self._epochs.clear()
        self._events.clear()
        if self.problem.startswith("nights are kept in memory"):
            log.warning("nights are written to %s again", self.path)
            self.problem = ""

    def _read(self, query: str, arguments: Iterable[object]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            with _reading(self.path) as connection:
                if connection is None:
                    return []
                try:
                    return connection.execute(query, tuple(arguments)).fetchall()
                except sqlite3.Error:
                    return []
        try:
            return self._connection.execute(query, tuple(arguments)).fetchall()
        except sqlite3.Error as error:
            self._failed(error)
            return []


_INSERT = f"INSERT OR {{}} INTO epochs ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The file read-only, for a disk that takes no writes; None when it cannot be opened."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    except sqlite3.Error:
        yield None
        return
    try:
        yield connection
    finally:
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    """A sound database of the present version; sqlite3.DatabaseError when damaged, DataError for a later version."""
    connection = sqlite3.connect(path, check_same_thread=False, timeout=5)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last epochs, never the database; and it spares the SD card an fsync per epoch.
        connection.execute("PRAGMA synchronous = NORMAL")
        # The journal is folded into the file every quarter of a megabyte instead of every four.
        connection.execute("PRAGMA wal_autocheckpoint = 64")
        connection.execute("PRAGMA journal_size_limit = 262144")
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(f"malformed: {found}")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the present version, each step in a transaction; DataError for one of a later version."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise DataError(f"it was written by a later edgebnn (version {version}, known: {len(MIGRATIONS)}); upgrade")
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")
