import os
from pathlib import Path

import numpy as np
import pytest

from edgebnn.errors import DataError
from edgebnn.training.checkpoints import State, load_state, save_state, write_atomically


def state() -> State:
    random = np.random.default_rng(0)
    return State(
        step=7,
        best=0.25,
        fingerprint="abc",
        history=[{"epoch": 1, "loss": 0.1 + 0.2}],
        running=[1 / 3, 2.0, 3.0],
        averaged=5,
        weights=[random.normal(size=(3, 4)).astype(np.float32) for _ in range(12)],
        optimizer=[np.array(7, np.int64), random.normal(size=5).astype(np.float32)],
        average=[random.normal(size=2).astype(np.float32) for _ in range(11)],
    )


def test_a_state_comes_back_exactly(tmp_path: Path) -> None:
    save_state(tmp_path / "last.npz", state())
    again = load_state(tmp_path / "last.npz")
    for name in ("step", "best", "fingerprint", "history", "running", "averaged"):
        assert getattr(again, name) == getattr(state(), name)
    for name in ("weights", "optimizer", "average"):
        for one, other in zip(getattr(again, name), getattr(state(), name), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


@pytest.mark.parametrize("moment", ["fsync", "write"])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    file = tmp_path / "f"
    file.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    def write(partial: Path) -> None:
        partial.write_text("ne")
        if moment == "write":
            fail()

    if moment == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(file, write)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("cut", [0, 10, 500, -1])
def test_damaged_states_are_refused(tmp_path: Path, cut: int) -> None:
    file = tmp_path / "last.npz"
    save_state(file, state())
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(DataError, match="damaged"):
        load_state(file)


def test_foreign_and_missing_states_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--resume"):
        load_state(tmp_path / "last.npz")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(DataError, match="damaged"):
        load_state(tmp_path / "other.npz")
    np.savez(tmp_path / "newer.npz", head=np.frombuffer(b'{"format": 99}', np.uint8))
    with pytest.raises(DataError, match="another version"):
        load_state(tmp_path / "newer.npz")
