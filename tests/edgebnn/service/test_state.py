from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edgebnn.service.state import remove_half_written, write_state


def test_new_content_replaces_old_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    write_state(file, b"old")
    write_state(file, b"new")
    assert file.read_bytes() == b"new" and [*tmp_path.iterdir()] == [file]
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    file = tmp_path / "state.json"
    write_state(file, b"old")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if step == "replace":
        monkeypatch.setattr(Path, "replace", full)
    else:
        monkeypatch.setattr(os, "fsync" if step == "fsync" else "fchmod", full)
    with pytest.raises(OSError, match="No space left"):
        write_state(file, b"new")
    assert file.read_bytes() == b"old" and [*tmp_path.iterdir()] == [file]


def test_content_and_folder_are_on_the_disk_in_that_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def traced_fsync(handle: int) -> None:
        order.append("folder" if Path(f"/proc/self/fd/{handle}").is_dir() else "content")
        fsync(handle)

    def traced_replace(self: Path, target: Path) -> Path:
        order.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(Path, "replace", traced_replace)
    write_state(tmp_path / "state.json", b"x")
    assert order == ["content", "replace", "folder"]


def test_what_was_half_written_goes(tmp_path: Path) -> None:
    file = tmp_path / "[a] state.json"
    write_state(file, b"old")
    others = [tmp_path / "[a] state.json.bak", tmp_path / ".a state.json.x"]
    for other in (tmp_path / ".[a] state.json.x1_y2z3w", *others):
        other.write_bytes(b"half")
    remove_half_written(file)
    assert sorted(tmp_path.iterdir()) == sorted([file, *others])
    remove_half_written(tmp_path / "none" / "state.json")
