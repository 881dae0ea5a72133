"""The night database on a real disk, and on disks that are full, read-only, damaged or absent."""

from __future__ import annotations

import resource
import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from edgebnn_sleep.epochs import COLUMNS, Epoch
from edgebnn_sleep.store import MIGRATIONS, RETRY_S, Event, Store, migrate

from edgebnn.errors import DataError
from tests.apps.edgebnn_sleep.nights import night

EPOCHS = night("wsro" * 3)


class Monotonic:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Monotonic:
    return Monotonic()


@pytest.fixture
def store(tmp_path, clock):
    store = Store(tmp_path / "state" / "nights.sqlite3", monotonic=clock)
    yield store
    store.close()


@contextmanager
def opened(path: Path, **options):
    store = Store(path, **options)
    yield store
    store.close()


def stored(path: Path):
    """The epochs in a database."""
    with opened(path) as store:
        return store.epochs(0, 1e12)


def fill(store: Store, epochs=EPOCHS) -> None:
    for epoch in epochs:
        store.add_epoch(epoch)


def test_what_is_written_is_read_again(store):
    fill(store)
    store.add_event(Event(EPOCHS[3].start_s, "rang", "rang 06:41: awake 3 epochs, deadline 07:00"))
    store.close()
    again = Store(store.path)
    assert again.epochs(0, 1e12) == EPOCHS
    assert again.epochs(EPOCHS[2].start_s, EPOCHS[5].start_s) == EPOCHS[2:5]
    assert [event.text for event in again.events(0, 1e12)] == ["rang 06:41: awake 3 epochs, deadline 07:00"]
    assert again.first_and_last_s() == (EPOCHS[0].start_s, EPOCHS[-1].start_s)
    assert list(again.all_epochs()) == EPOCHS
    assert again.problem == ""
    again.close()


def test_it_is_a_wal_database(store):
    fill(store)
    connection = sqlite3.connect(store.path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert [row[1] for row in connection.execute("PRAGMA table_info(epochs)")] == list(COLUMNS)
    connection.close()


@pytest.mark.parametrize("version", range(len(MIGRATIONS) + 1))
def test_every_earlier_version_is_brought_up(tmp_path, version):
    path = tmp_path / "nights.sqlite3"
    connection = sqlite3.connect(path)
    for number, script in enumerate(MIGRATIONS[:version], start=1):
        connection.executescript(f"{script} PRAGMA user_version = {number};")
    if version:
        connection.execute("INSERT INTO epochs (start_s, activity, seen_s, stage) VALUES (30, 1.5, 30, -1)")
        connection.commit()
    connection.close()
    store = Store(path)
    assert store.problem == ""
    assert store.epochs(0, 100) == ([Epoch(30, 1.5, seen_s=30.0)] if version else [])
    store.close()


def test_a_failed_migration_leaves_the_old_version(tmp_path, monkeypatch):
    connection = sqlite3.connect(tmp_path / "x")
    migrate(connection)
    monkeypatch.setattr("edgebnn_sleep.store.MIGRATIONS", (*MIGRATIONS, "CREATE TABLE a (b); CREATE TABLE a (b);"))
    with pytest.raises(sqlite3.Error):
        migrate(connection)
    connection.close()
    connection = sqlite3.connect(tmp_path / "x")
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'a'").fetchone() == (0,)
    connection.close()


def test_a_later_version_is_left_alone(store, clock):
    fill(store, EPOCHS[:1])
    store.close()
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    later = Store(store.path, monotonic=clock)
    assert "later edgebnn" in later.problem and "upgrade" in later.problem
    fill(later)
    assert later.epochs(0, 1e12) == EPOCHS, "it lives on in memory"
    later.close()
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("SELECT count(*) FROM epochs").fetchone() == (1,)


@pytest.mark.parametrize("damage", ["garbage", "torn", "empty"])
def test_a_damaged_database_is_moved_aside(store, clock, damage, caplog):
    fill(store, night("ws" * 200))
    store.close()
    content = store.path.read_bytes()
    if damage == "garbage":
        store.path.write_bytes(b"no database at all" * 1000)
    elif damage == "torn":
        store.path.write_bytes(content[:4096] + b"\xa5" * 8192 + content[12288:])
    else:
        store.path.write_bytes(content[: len(content) // 2])
    store = Store(store.path, monotonic=clock)
    aside = [path for path in store.path.parent.iterdir() if "damaged" in path.name]
    assert len(aside) == 1, "nothing is deleted"
    assert "moved to" in store.problem and str(aside[0]) in store.problem
    assert "CRITICAL" in caplog.text
    fill(store)
    store.close()
    again = Store(store.path)
    assert again.epochs(0, 1e12) == EPOCHS
    assert "moved to" in again.events(0, 1e12)[0].text, "it stands in the night's log"
    again.close()


def test_damage_while_running(store, caplog):
    fill(store, night("ws" * 200))
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store._connection.execute("PRAGMA cache_size = 0")
    content = store.path.read_bytes()
    store.path.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))
    later = [replace(e, start_s=e.start_s + 10**6) for e in EPOCHS]
    fill(store, later)
    assert [e for e in store.epochs(0, 1e12) if e.start_s >= later[0].start_s] == later
    assert "damaged" in store.problem


def test_a_full_disk_is_survived(store, clock, caplog):
    """SQLite itself says that the disk is full: its file may not grow."""
    fill(store, EPOCHS[:20])
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    many = night("wsro" * 60)
    fill(store, many)
    assert "kept in memory" in store.problem and "full" in store.problem
    assert store.epochs(0, 1e12) == many, "what the disk has and what waits"
    assert caplog.text.count("kept in memory") == 1
    clock.now_s += RETRY_S + 1  # a new connection has no such limit: there is room again
    store.add_epoch(many[-1])
    assert store.problem == ""
    store.close()
    assert stored(store.path) == many


def test_a_disk_that_takes_no_more(store, clock):
    """The kernel refuses writes beyond 64 KB (EFBIG): what SQLite gets from any disk that is at its end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    many = night("wsro" * 60)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    try:
        fill(store, many)
        assert "kept in memory" in store.problem
        assert store.epochs(0, 1e12) == many
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    clock.now_s += RETRY_S + 1
    store.add_epoch(many[-1])
    assert store.problem == ""
    store.close()
    assert stored(store.path) == many


def test_no_place_for_a_database(tmp_path, clock):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "nights.sqlite3", monotonic=clock)
    assert "kept in memory" in store.problem
    fill(store)
    assert store.epochs(0, 1e12) == EPOCHS
    (tmp_path / "file").unlink()
    clock.now_s += RETRY_S + 1
    store.add_epoch(EPOCHS[-1])
    assert store.problem == ""
    store.close()
    assert stored(tmp_path / "file" / "nights.sqlite3") == EPOCHS


def test_memory_is_bounded(tmp_path, clock):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "x", monotonic=clock)
    for number in range(10_000):
        store.add_epoch(Epoch(number * 30))
    assert len(store.epochs(0, 1e12)) == 8640


def test_an_epoch_of_the_same_time_replaces(store):
    store.add_epoch(Epoch(30, activity=1.0))
    store.add_epoch(Epoch(30, activity=2.0))
    assert [e.activity for e in store.epochs(0, 100)] == [2.0]


def test_old_nights_go(store):
    fill(store)
    store.add_event(Event(EPOCHS[0].start_s, "x", "old"))
    assert store.forget_before(EPOCHS[10].start_s) == 10
    assert store.epochs(0, 1e12) == EPOCHS[10:]
    assert store.events(0, 1e12) == []


def test_merge_adds_what_is_new_once(store):
    fill(store, EPOCHS[:10])
    changed = [replace(e, activity=99.0) for e in EPOCHS]
    events = [Event(1.0, "rang", "early")]
    assert store.merge(changed, events) == len(EPOCHS) - 10
    assert store.merge(changed, events) == 0
    assert store.epochs(0, 1e12) == EPOCHS[:10] + changed[10:], "what is there is not overwritten"
    assert store.events(0, 1e12) == events


def test_merge_is_all_or_nothing(store):
    fill(store, EPOCHS[:10])
    bad = replace(EPOCHS[20], activity="much")
    with pytest.raises(DataError, match="nothing was imported"):
        store.merge([EPOCHS[15], bad], [])
    store.close()
    assert stored(store.path) == EPOCHS[:10]


def test_a_night_is_less_than_a_megabyte(tmp_path):
    store = Store(tmp_path / "nights.sqlite3")
    full = [
        replace(e, humidity_percent=41.23456, pressure_hpa=1013.1234, co2_ppm=812.5, peak_db=-31.23)
        for e in night("wsrs" * 30)
    ]
    fill(store, full[: 10 * 120])
    store.close()
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size < 400_000


def test_the_shape_of_a_copied_database_is_sound(store, tmp_path):
    """What a backup tool copies while it runs (file and journal) opens again."""
    fill(store)
    for path in store.path.parent.iterdir():
        shutil.copy(path, tmp_path / path.name)
    copy = Store(tmp_path / store.path.name)
    assert copy.problem == "" and copy.epochs(0, 1e12) == EPOCHS
    copy.close()
