"""What outlives a crash: the SQLite database `alarms.sqlite3` and, beside it, the last good copy."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebnn.errors import DataError, EdgebnnError
from edgebnn.service.state import remove_half_written
from edgebnn_alarm import schema
from edgebnn_alarm.alarm import Alarm
from edgebnn_alarm.belief import Memory
from edgebnn_alarm.journal import Entry
from edgebnn_alarm.last_good_copy import COPY, read_copy, write_copy
from edgebnn_alarm.rows import (
    ENTRY_COLUMNS,
    MEMORY_COLUMNS,
    Contents,
    alarm_row,
    entry_row,
    memory_row,
    read_alarm,
    read_entry,
    read_memory,
)  # fmt: skip

DATABASE = "alarms.sqlite3"
KEEP_ENTRIES = 10_000
"""So many of the newest decisions, and of the newest other entries, are kept."""
LOAD_ENTRIES = 4_000
BUSY_S = 0.5

DAMAGE = (sqlite3.Error, ValueError, OverflowError, MemoryError)
"""What reading a damaged database raises; UnicodeDecodeError, a ValueError, when even SQLite's message is damaged."""

Connect = Callable[..., sqlite3.Connection]


class StoreError(EdgebnnError):
    """The disk or the database refused; what was asked is not stored."""


class Store:
    """The clock's memory on disk, held whole in `contents`. One process writes.

    A method that raises StoreError has left the disk as it was. `notices` are sentences for a person about what was
    found when it was opened.
    """

    def __init__(self, folder: Path, *, connect: Connect = sqlite3.connect) -> None:
        """Opens or makes the database in `folder`, recovers a damaged one; never raises for what the disk does."""
        self.folder = folder
        self.contents = Contents()
        self.notices: list[str] = []
        self.error: str | None = None
        """Why nothing can be stored at present."""
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        with contextlib.suppress(OSError):  # litter is no reason not to ring
            remove_half_written(folder / COPY)
        try:
            self._open()
        except (*DAMAGE, OSError) as error:
            self.error = f"{self.folder / DATABASE} cannot be used: {error}"
            self._fall_back_to_copy()

    # -- reading at start

    def _open(self) -> None:
        damage = None
        if (self.folder / DATABASE).exists():
            try:
                self._connection = self._connected()
                if schema.version_of(self._connection):
                    damage = self._damage()
                    if damage is None:
                        self._load()
                        return
                if (self.folder / COPY).exists() or self._has_tables():
                    damage = "it says that it is empty"
            except DAMAGE as error:
                if _of_the_disk(error):
                    raise
                damage = str(error)
        elif (self.folder / COPY).exists():
            damage = "it is gone"
        if damage is None:
            self._make(Contents())
        else:
            self._recover(damage)

    def _connected(self) -> sqlite3.Connection:
        connection = self._connect(self.folder / DATABASE, timeout=BUSY_S, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _has_tables(self) -> bool:
        assert self._connection is not None
        return bool(self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])

    def _damage(self) -> str | None:
        assert self._connection is not None
        first = self._connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        return None if first == "ok" else str(first).strip()

    def _load(self) -> None:
        assert self._connection is not None
        with self._transaction() as connection:
            schema.migrate(connection)
            self.contents = read_contents(connection)
        with contextlib.suppress(OSError):  # the next change tries again and reports
            write_copy(self.folder, self.contents)

    def _recover(self, damage: str) -> None:
        """Alarms from the last good copy, else what can still be read of the database, which is moved aside."""
        source = "the last good copy"
        try:
            contents = read_copy(self.folder)
        except DataError as error:
            contents, damage = None, f"{damage}; {error}"
        if contents is None:
            source, contents = "what could still be read", self._salvage()
        if self._connection is not None:
            self._connection.close()
        aside = self._move_aside()
        self._make(contents)
        kept = f"; the damaged file was kept as {aside.name}" if aside else ""
        self.notices.append(
            f"the database was damaged ({damage}): {len(contents.alarms)} alarms were recovered from {source}, "
            f"check that they are right{kept}"
        )

    def _salvage(self) -> Contents:
        contents = Contents()
        if self._connection is not None:
            with contextlib.suppress(*DAMAGE):
                for row in self._connection.execute("SELECT id, body FROM alarms"):
                    with contextlib.suppress(DataError):
                        contents.alarms[row[0]] = read_alarm(*row)
            with contextlib.suppress(*DAMAGE):
                for row in self._connection.execute(f"SELECT {', '.join(ENTRY_COLUMNS)} FROM journal ORDER BY id"):
                    entry = read_entry(row)
                    contents.journal += [entry] if entry else []
        return contents

    def _move_aside(self) -> Path | None:
        database = self.folder / DATABASE
        aside = None
        if database.exists():
            number = 1 + sum(1 for _ in self.folder.glob(f"{DATABASE}.damaged-*"))
            aside = database.with_name(f"{DATABASE}.damaged-{number}")
            database.replace(aside)
        for suffix in ("-wal", "-shm"):
            database.with_name(DATABASE + suffix).unlink(missing_ok=True)
        return aside

    def _make(self, contents: Contents) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._connected()
        with self._transaction() as connection:
            schema.migrate(connection)
            connection.executemany(
                "REPLACE INTO alarms (id, body) VALUES (?, ?)", map(alarm_row, contents.alarms.values())
            )
            for entry in contents.journal:
                _insert_entry(connection, entry)
            if contents.memory is not None:
                _replace_memory(connection, contents.memory)
        self.contents = contents
        self.error = None

    def _fall_back_to_copy(self) -> None:
        """The database cannot be opened now: ring what the copy, or a look at the database, knows."""
        try:
            self.contents = read_only_contents(self.folder, connect=self._connect, notice=self.notices.append)
        except DataError as error:
            self.notices.append(f"no alarms could be read: {error}")

    # -- writing

    def put_alarm(self, alarm: Alarm, entries: Iterable[Entry]) -> None:
        """Store an alarm and what the journal says of it."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("REPLACE INTO alarms (id, body) VALUES (?, ?)", alarm_row(alarm))

        self._write(write, entries)
        self.contents.alarms[alarm.id] = alarm
        self._copy()

    def delete_alarm(self, number: int, entries: Iterable[Entry]) -> None:
        """Forget an alarm; its journal stays."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM alarms WHERE id = ?", (number,))

        self._write(write, entries)
        self.contents.alarms.pop(number, None)
        self._copy()

    def append(self, entries: Iterable[Entry]) -> None:
        """Store journal entries."""
        entries = list(entries)
        self._write(lambda connection: None, entries)
        if any(entry.key is not None for entry in entries):
            self._copy()

    def save_memory(self, memory: Memory) -> None:
        """Store what the clock remembers of the time."""
        self._write(lambda connection: _replace_memory(connection, memory), ())
        self.contents.memory = memory

    def next_alarm_id(self) -> int:
        """An id that no alarm has or, as far as the journal reaches, had."""
        used = [*self.contents.alarms, *(entry.key.alarm for entry in self.contents.journal if entry.key)]
        return max(used, default=0) + 1

    def close(self) -> None:
        """Close the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self, change: Callable[[sqlite3.Connection], None], entries: Iterable[Entry]) -> None:
        entries = list(entries)
        try:
            if self._connection is None:
                self._reopen()
            stored = self._commit(change, entries)
        except (*DAMAGE, OSError) as error:
            if _of_the_disk(error):
                raise self._failed(error) from None
            try:  # damaged or gone under our hands: memory is whole
                self._rebuild(error)
                stored = self._commit(change, entries)
            except (*DAMAGE, OSError) as second:
                raise self._failed(second) from None
        self.error = None
        self.contents.journal += stored
        del self.contents.journal[:-LOAD_ENTRIES]

    def _commit(self, change: Callable[[sqlite3.Connection], None], entries: list[Entry]) -> list[Entry]:
        with self._transaction() as connection:
            change(connection)
            stored = [replace(entry, id=_insert_entry(connection, entry)) for entry in entries]
            if any(entry.id % 100 == 0 for entry in stored):
                _prune(connection)
        return stored

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        connection = self._connection
        assert connection is not None
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except Exception:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _reopen(self) -> None:
        """The database could not be opened at start: as it was then, plus nothing, since nothing could be stored."""
        fresh = Store(self.folder, connect=self._connect)
        if fresh._connection is None:
            raise sqlite3.OperationalError(fresh.error or "it cannot be opened")
        self._connection, self.contents = fresh._connection, fresh.contents
        self.notices += fresh.notices

    def _rebuild(self, error: Exception) -> None:
        if self._connection is not None:
            with contextlib.suppress(*DAMAGE):
                self._connection.close()
            self._connection = None
        self._move_aside()
        self._make(self.contents)
        self.notices.append(f"the database was damaged ({error}): it was written again from memory")

    def _failed(self, error: Exception) -> StoreError:
        self.error = f"{self.folder / DATABASE} cannot be written: {error}"
        return StoreError(self.error)

    def _copy(self) -> None:
        try:
            write_copy(self.folder, self.contents)
        except OSError as error:
            self.error = f"the last good copy in {self.folder} cannot be written: {error.strerror or error}"


def read_contents(connection: sqlite3.Connection) -> Contents:
    """All of an open database that the clock works with; DataError when a row is not what it should be."""
    alarms = [read_alarm(*row) for row in connection.execute("SELECT id, body FROM alarms ORDER BY id")]
    columns = ", ".join(ENTRY_COLUMNS)
    rows = connection.execute(f"SELECT {columns} FROM journal ORDER BY id DESC LIMIT ?", (LOAD_ENTRIES,)).fetchall()
    entries = [read_entry(row) for row in reversed(rows)]
    memory = connection.execute(f"SELECT {', '.join(MEMORY_COLUMNS)} FROM clock").fetchone()
    return Contents(
        {alarm.id: alarm for alarm in alarms},
        [entry for entry in entries if entry is not None],
        read_memory(memory) if memory else None,
    )


def read_only_contents(
    folder: Path, *, connect: Connect = sqlite3.connect, notice: Callable[[str], None] = lambda text: None
) -> Contents:
    """The contents for somebody who must not write: of the database, else, with a `notice`, of the last good copy.

    DataError when neither can be read.
    """
    try:
        connection = connect(f"file:{folder / DATABASE}?mode=ro", uri=True, timeout=BUSY_S)
        try:
            return read_contents(connection)
        finally:
            connection.close()
    except DAMAGE as error:
        contents = read_copy(folder)
        if contents is None:
            raise DataError(f"{folder / DATABASE} cannot be read ({error}) and there is no last good copy") from None
        notice(f"{folder / DATABASE} cannot be read ({error}): the last good copy is used")
        return contents


def _of_the_disk(error: BaseException) -> bool:
    """Whether the disk refuses, or somebody holds the file: then the data may be good."""
    words = ("locked", "readonly", "read-only", "full", "unable to open", "disk I/O")
    return isinstance(error, sqlite3.OperationalError) and any(word in str(error) for word in words)


def _insert_entry(connection: sqlite3.Connection, entry: Entry) -> int:
    marks = ", ".join("?" * len(ENTRY_COLUMNS))
    cursor = connection.execute(
        f"INSERT INTO journal ({', '.join(ENTRY_COLUMNS)}) VALUES ({marks})", entry_row(replace(entry, id=0))
    )
    return int(cursor.lastrowid or 0)


def _replace_memory(connection: sqlite3.Connection, memory: Memory) -> None:
    connection.execute(
        f"REPLACE INTO clock (one, {', '.join(MEMORY_COLUMNS)}) VALUES (1, ?, ?, ?, ?, ?, ?)", memory_row(memory)
    )


def _prune(connection: sqlite3.Connection) -> None:
    for which in ("alarm IS NULL", "alarm IS NOT NULL"):
        connection.execute(
            f"DELETE FROM journal WHERE {which} AND id <= "
            f"(SELECT id FROM journal WHERE {which} ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (KEEP_ENTRIES,),
        )
