from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from edgebnn_face.snapshots import NAME, STEADY_S, SWEEP_S, Retention, Snapshots

DAY_S = 86400.0


class Clock:
    """Wall and monotonic clock by hand."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_800_000_000.0, 1000.0

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(folder: Path, clock: Clock, *, keep_days: float = 7, max_mb: float = 100, min_free_mb: float = 0) -> Snapshots:
    return Snapshots(
        folder,
        Retention(keep_days, max_mb, min_free_mb),
        wall_s=lambda: clock.wall,
        monotonic_s=lambda: clock.monotonic,
    )


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (100, 100, 3), np.uint8)


def written(store: Snapshots, clock: Clock, track: int) -> Path:
    assert store.write(picture(track), track)
    path = store.folder / store.names(1)[0]
    os.utime(path, (clock.wall, clock.wall))
    return path


def test_a_picture_is_written_whole_and_read_back(tmp_path: Path, clock: Clock) -> None:
    store = make(tmp_path / "new" / "snapshots", clock)
    grey = np.full((50, 60, 3), (200, 100, 50), np.uint8)
    assert store.write(grey, 7)
    (name,) = store.names(10)
    assert NAME.fullmatch(name) and name.endswith("-7.jpg")
    assert [path.name for path in store.folder.iterdir()] == [name]
    assert (store.folder / name).stat().st_mode & 0o077 == 0  # nobody else's
    content = store.read(name)
    assert content is not None
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_allclose(decoded.reshape(-1, 3).mean(axis=0), [50, 100, 200], atol=3)
    clock.wall -= 1e-9  # the same millisecond
    assert store.write(grey, 7) and len(store.names(10)) == 2


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "20260101T000000.000-1.jpg", "a.jpg", "", "20260101T000000.000-1.jpg\n", "."]
)
def test_nothing_else_is_ever_read(tmp_path: Path, clock: Clock, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "a.jpg").write_bytes(b"not ours")
    (tmp_path / "snapshots" / "20260101T000000.000-1.jpg").symlink_to(tmp_path / "secret")
    store = make(tmp_path / "snapshots", clock)
    store.sweep()
    assert store.read(name) is None


def test_the_oldest_make_room(tmp_path: Path, clock: Clock) -> None:
    store = make(tmp_path, clock, max_mb=0.1)
    (tmp_path / "holiday.jpg").write_bytes(bytes(500_000))
    for track in range(20):
        written(store, clock, track)
        clock.advance(1)
    files = sorted(path.name for path in tmp_path.iterdir() if path.name != "holiday.jpg")
    assert sorted(store.names(100)) == files and 2 <= len(files) < 20
    assert sum((tmp_path / name).stat().st_size for name in files) <= 100_000
    assert files[-1].endswith("-19.jpg")
    assert (tmp_path / "holiday.jpg").exists()


def test_old_ones_go(tmp_path: Path, clock: Clock) -> None:
    store = make(tmp_path, clock, keep_days=2)
    old = written(store, clock, 1)
    clock.advance(1.5 * DAY_S)
    new = written(store, clock, 2)
    clock.advance(0.6 * DAY_S)
    store.sweep()
    assert not old.exists() and new.exists()


def test_a_wrong_clock_deletes_nothing(tmp_path: Path, clock: Clock) -> None:
    store = make(tmp_path, clock, keep_days=2)
    path = written(store, clock, 1)
    clock.advance(2 * STEADY_S)
    clock.wall += 400 * DAY_S  # set wrong ...
    for _ in range(3):
        clock.advance(SWEEP_S)
        store.sweep()
    clock.wall -= 400 * DAY_S  # ... and right again
    for _ in range(50):
        clock.advance(SWEEP_S)
        store.sweep()
    assert path.exists()
    clock.advance(2 * DAY_S)
    store.sweep()
    assert not path.exists()


def test_what_lay_there_before_is_kept_bounded_and_remains_of_a_power_cut_go(tmp_path: Path, clock: Clock) -> None:
    for k in range(5):
        (tmp_path / f"20260101T00000{k}.000-{k}.jpg").write_bytes(bytes(30_000))
    (tmp_path / ".20260101T000009.000-9.jpg.k3_x9a").write_bytes(b"half")
    store = make(tmp_path, clock, max_mb=0.1)
    store.sweep()
    assert store.names(9) == [f"20260101T00000{k}.000-{k}.jpg" for k in (4, 3, 2)]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_is_said_once_and_its_end_too(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    store = make(tmp_path, clock)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for track in range(5):
            assert not store.write(picture(), track)
    assert store.failure == "No space left on device"
    assert store.write(picture(), 9)
    assert [record.message for record in caplog.records] == [
        f"snapshots are not written to {tmp_path}: No space left on device",
        "snapshots are written again",
    ]
    assert [path.suffix for path in tmp_path.iterdir()] == [".jpg"]


def test_space_is_left_for_others(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50_000_000))
    store = make(tmp_path, clock, min_free_mb=100)
    assert not store.write(picture(), 1)
    assert store.failure == "less than 100 MB are free" and not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_survived(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    store = make(tmp_path / "file" / "snapshots", clock)
    store.sweep()
    assert not store.write(picture(), 1) and store.failure


def test_the_thread_writes_what_was_put_and_ends(tmp_path: Path, clock: Clock) -> None:
    store = make(tmp_path, clock)
    store.start()
    for track in range(5):
        store.put(picture(track), track)
    store.close()
    assert len(store.names(10)) == 5 and not store._thread.is_alive()


def test_too_many_at_once_are_dropped_not_queued(tmp_path: Path, clock: Clock) -> None:
    store = make(tmp_path, clock)
    for track in range(100):
        store.put(picture(), track)
    assert store.dropped == 92
