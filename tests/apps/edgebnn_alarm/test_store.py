"""What outlives a crash: migrations, damage of every kind, the last good copy."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from edgebnn_alarm import schema
from edgebnn_alarm.alarm import Alarm, from_json
from edgebnn_alarm.belief import Memory
from edgebnn_alarm.journal import Entry, fold
from edgebnn_alarm.last_good_copy import read_copy
from edgebnn_alarm.occurrence import Key
from edgebnn_alarm.store import DATABASE, Store, StoreError, read_only_contents

from edgebnn.errors import DataError

SCHEMAS = sorted((Path(__file__).parent / "schemas").glob("*.sql"))


def alarm(number: int) -> Alarm:
    return from_json({"id": number, "time": "07:00", "weekdays": ["mon"], "name": f"alarm {number}"})


def entry(store_alarm: Alarm, day: int = 23) -> Entry:
    import datetime as dt

    key = Key(store_alarm.id, dt.date(2026, 11, day), store_alarm.time, 0)
    return Entry(utc_s=1e9 + day, boot_s=5.0, boot_id="b", kind="rang", text="rang", key=key, deadline_s=1e9)


def filled(folder: Path) -> Store:
    store = Store(folder)
    for number in (1, 2, 3):
        store.put_alarm(alarm(number), [entry(alarm(number))])
    store.save_memory(Memory(boot_id="b", kernel_epoch_s=1.0, offset_s=2.0, verified=True, utc_s=3.0, zone="UTC"))
    return store


def test_what_is_stored_is_there_again(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.delete_alarm(2, [])
    kept = store.contents
    store.close()
    again = Store(tmp_path)
    assert (again.contents.alarms, again.contents.memory, again.notices) == (kept.alarms, kept.memory, [])
    assert fold(again.contents.journal).ringing.keys() == fold(kept.journal).ringing.keys()
    assert again.next_alarm_id() == 4
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert again._connection is not None
    assert again._connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL: what is answered is on the disk"
    again.close()


def test_there_is_a_schema_file_of_every_version() -> None:
    assert [int(file.stem[1:]) for file in SCHEMAS] == list(range(1, schema.VERSION + 1))


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.stem)
def test_databases_of_every_version_are_read(tmp_path: Path, file: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.executescript(file.read_text())
    store = Store(tmp_path)
    assert store.notices == [] and store.error is None
    assert [one.name for one in store.contents.alarms.values()] == ["Work", "Holiday"]
    assert [one.kind for one in store.contents.journal] == ["set", "rang", "snoozed"]
    assert store.contents.memory is not None and store.contents.memory.utc_s == 1795500300.0
    store.put_alarm(alarm(9), [entry(alarm(9))])
    store.save_memory(store.contents.memory)
    store.close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        assert schema.version_of(connection) == schema.VERSION


def test_a_newer_version_is_used_as_far_as_it_is_known(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.execute("ALTER TABLE journal ADD COLUMN mood TEXT NOT NULL DEFAULT ''")
        connection.execute("UPDATE alarms SET body = json_set(body, '$.mood', 'good')")
        connection.execute("PRAGMA user_version = 99")
        connection.commit()
    store = Store(tmp_path)
    assert len(store.contents.alarms) == 3 and store.notices == []
    store.put_alarm(alarm(4), [])
    store.close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        assert schema.version_of(connection) == 99


def damage_header(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.write(b"\0" * 100)


def damage_pages(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(random.Random(1).randbytes(8000))


def truncate(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(5000)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def remove(file: Path) -> None:
    file.unlink()


def damage_row(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alarms SET body = '{}' WHERE id = 2")
        connection.commit()


def drop_table(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE alarms")
        connection.commit()


@pytest.mark.parametrize(
    "damage", [damage_header, damage_pages, truncate, empty, remove, damage_row, drop_table], ids=lambda d: d.__name__
)
def test_a_damaged_database_is_recovered_from_the_copy(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store = filled(tmp_path)
    ended = fold(store.contents.journal)
    store.close()
    damage(tmp_path / DATABASE)
    store = Store(tmp_path)
    assert list(store.contents.alarms) == [1, 2, 3]
    assert fold(store.contents.journal).ringing.keys() == ended.ringing.keys()
    assert len(store.notices) == 1 and "3 alarms were recovered from the last good copy" in store.notices[0]
    if damage is not remove:
        assert (tmp_path / f"{DATABASE}.damaged-1").exists()
    store.close()
    again = Store(tmp_path)
    assert list(again.contents.alarms) == [1, 2, 3] and again.notices == []
    again.close()


def test_without_a_copy_what_can_be_read_is_kept(tmp_path: Path) -> None:
    filled(tmp_path).close()
    (tmp_path / "alarms.json").write_text("half")
    damage_row(tmp_path / DATABASE)
    store = Store(tmp_path)
    assert list(store.contents.alarms) == [1, 3]
    assert "what could still be read" in store.notices[0] and "alarms.json is damaged" in store.notices[0]
    store.close()


def test_random_bytes_never_lose_an_alarm(tmp_path: Path) -> None:
    filled(tmp_path).close()
    good, copy = (tmp_path / DATABASE).read_bytes(), (tmp_path / "alarms.json").read_bytes()
    rng = random.Random(7)
    for _ in range(60):
        broken = bytearray(good)
        for _ in range(rng.choice([1, 4, 64])):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        for file in tmp_path.iterdir():
            file.unlink()
        (tmp_path / DATABASE).write_bytes(broken)
        (tmp_path / "alarms.json").write_bytes(copy)
        store = Store(tmp_path)
        names = {one.time.isoformat() for one in store.contents.alarms.values()}
        assert set(store.contents.alarms) == {1, 2, 3} and len(names) == 1
        store.close()


def test_damage_while_it_runs_is_repaired_from_memory(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert store._connection is not None
    store._connection.close()
    (tmp_path / DATABASE).write_bytes(random.Random(2).randbytes(20_000))
    for suffix in ("-wal", "-shm"):
        (tmp_path / (DATABASE + suffix)).write_bytes(b"")
    store._connection = store._connect(tmp_path / DATABASE, isolation_level=None)
    store.put_alarm(alarm(4), [])
    assert "written again from memory" in store.notices[0]
    store.close()
    again = Store(tmp_path)
    assert list(again.contents.alarms) == [1, 2, 3, 4]
    again.close()


def test_a_copy_knows_when_it_was_changed(tmp_path: Path) -> None:
    filled(tmp_path).close()
    file = tmp_path / "alarms.json"
    file.write_bytes(file.read_bytes().replace(b"alarm 2", b"alarm 5"))
    with pytest.raises(DataError, match="checksum"):
        read_copy(tmp_path)


def test_what_a_killed_clock_has_half_written_goes(tmp_path: Path) -> None:
    filled(tmp_path).close()
    half, guards = tmp_path / ".alarms.json.x1_y2z3w", tmp_path / ".guard.json.x1_y2z3w"
    for file in (half, guards):
        file.write_text("{")
    Store(tmp_path).close()
    assert not half.exists() and guards.exists() and read_copy(tmp_path) is not None


def test_a_disk_that_refuses_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert store._connection is not None
    store._connection.execute("PRAGMA max_page_count = 1")
    store._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreError, match="cannot be written"):
        store.put_alarm(alarm(4), [])
    assert list(store.contents.alarms) == [1, 2, 3] and store.error is not None
    store._connection.execute("PRAGMA query_only = 0")
    store.put_alarm(alarm(4), [])
    assert store.error is None
    store.close()


def test_a_folder_that_cannot_be_used_still_gives_the_alarms(tmp_path: Path) -> None:
    filled(tmp_path).close()

    def refuse(*arguments: object, **options: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    store = Store(tmp_path, connect=refuse)
    assert list(store.contents.alarms) == [1, 2, 3]
    assert store.error is not None and "the last good copy is used" in store.notices[0]
    with pytest.raises(StoreError):
        store.put_alarm(alarm(4), [])


def test_reading_only_prefers_the_database_and_says_when_it_cannot(tmp_path: Path) -> None:
    filled(tmp_path).close()
    said: list[str] = []
    assert list(read_only_contents(tmp_path, notice=said.append).alarms) == [1, 2, 3] and not said
    damage_header(tmp_path / DATABASE)
    assert list(read_only_contents(tmp_path, notice=said.append).alarms) == [1, 2, 3] and len(said) == 1
    (tmp_path / "alarms.json").unlink()
    with pytest.raises(DataError, match="no last good copy"):
        read_only_contents(tmp_path)


@pytest.mark.parametrize("suffixes", [("", "-wal"), ("", "-wal", "-shm")], ids=["power cut", "kill -9"])
def test_reading_only_sees_what_only_the_journal_holds(tmp_path: Path, suffixes: tuple[str, ...]) -> None:
    """The guard after a clock that never closed its database."""
    left = tmp_path / "left"
    left.mkdir()
    store = filled(tmp_path)
    for suffix in suffixes:
        shutil.copy(tmp_path / (DATABASE + suffix), left)
    store.close()
    with closing(sqlite3.connect(f"file:{left / DATABASE}?immutable=1", uri=True)) as database:
        assert not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0], "all is in the journal"
    said: list[str] = []
    contents = read_only_contents(left, notice=said.append)
    assert (list(contents.alarms), contents.memory, said) == ([1, 2, 3], store.contents.memory, [])


def test_old_entries_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebnn_alarm.store.KEEP_ENTRIES", 50)
    store = Store(tmp_path)
    plain = Entry(utc_s=1.0, boot_s=1.0, boot_id="b", kind="monitor", text="x")
    for _ in range(4):
        store.append([plain] * 100)
    assert store._connection is not None
    assert store._connection.execute("SELECT count(*) FROM journal").fetchone()[0] <= 150
    store.close()
