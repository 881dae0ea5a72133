"""The database's schema, version by version; `PRAGMA user_version` says which one a file has.

A migration only adds: tables, or columns with a default. So a clock that was downgraded still works on a newer file,
and a reader that knows less is never wrong. A version that was released is never changed.
"""

from __future__ import annotations

import sqlite3

MIGRATIONS = (
    # 1: alarms, the journal, what the clock remembers of the time
    (
        "CREATE TABLE alarms (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
        """CREATE TABLE journal (
            id INTEGER PRIMARY KEY, utc_s REAL NOT NULL, boot_s REAL NOT NULL, boot_id TEXT NOT NULL,
            kind TEXT NOT NULL, text TEXT NOT NULL, author TEXT,
            alarm INTEGER, date TEXT, time TEXT, snooze INTEGER, deadline_s REAL)""",
        """CREATE TABLE clock (
            one INTEGER PRIMARY KEY CHECK (one = 1), boot_id TEXT NOT NULL, kernel_epoch_s REAL NOT NULL,
            offset_s REAL NOT NULL, verified INTEGER NOT NULL, utc_s REAL NOT NULL)""",
    ),
    # 2: the zone, so that what a change of zone leaves out is reported after a restart too
    ("ALTER TABLE clock ADD COLUMN zone TEXT NOT NULL DEFAULT ''",),
)
VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """The schema version of an open database; 0 is one without tables."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema to VERSION, inside the caller's transaction; a newer one is left as it is."""
    for version in range(version_of(connection), VERSION):
        for statement in MIGRATIONS[version]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version + 1}")
