"""PhysioNet's sleep-accel, on small files of its form made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebnn.data.sleep_accel import activity_index, read_sleep_accel
from edgebnn.errors import DataError

RATE = 20  # a second


def write_person(folder: Path, name: str, stages: list[int], moving: set[int], *, seed: int = 0) -> None:
    """Epochs in `moving` shake by 0.3 g, the others lie still with a noise of 0.002 g."""
    random = np.random.default_rng(seed)
    times = np.sort(random.uniform(-60, 30 * len(stages), (30 * len(stages) + 60) * RATE))
    size = np.where(np.isin(times // 30, list(moving)), 0.3, 0.002)
    values = np.array([0, 0, -1]) + random.normal(0, 1, (len(times), 3)) * size[:, None]
    for part in ("motion", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "motion" / f"{name}_acceleration.txt", np.c_[times, values], fmt="%.6f")
    rows = [f"{30 * epoch} {stage}" for epoch, stage in enumerate(stages)]
    (folder / "labels" / f"{name}_labeled_sleep.txt").write_text("\n".join(rows) + "\n")


def test_people_are_read(tmp_path: Path) -> None:
    write_person(tmp_path, "46343", [0, 0, 1, 2, 3, 4, 5, -1], {0, 6})
    write_person(tmp_path, "1066528", [-1, 0, 2], {1}, seed=1)
    nights, problems = read_sleep_accel(tmp_path)
    assert not problems and [len(night.stage) for night in nights] == [3, 8]
    first = nights[1]
    np.testing.assert_array_equal(first.stage, [0, 0, 1, 2, 3, 3, 4, -1])
    assert set(np.flatnonzero(first.activity > 1)) == {0, 6}
    assert first.activity[1] < first.activity[0] / 50


def test_the_activity_index_by_hand() -> None:
    """Two samples a second, 0.1 apart on one axis, from second 30 on; noise-free before."""
    times = np.arange(0, 60, 0.5)
    values = np.zeros((120, 3))
    values[60::2, 0] = 0.1
    index = activity_index(times, values, epochs=2)
    np.testing.assert_allclose(index, [0, 30 * np.sqrt(0.05**2 / 3)])


def test_gaps_are_gaps() -> None:
    times = np.concatenate([np.arange(0, 30, 0.1), np.arange(65, 70, 0.1), np.arange(100, 120, 0.1)])
    index = activity_index(times, np.random.default_rng(0).normal(0, 1, (len(times), 3)), epochs=4)
    assert list(np.isnan(index)) == [False, True, True, False]
    assert np.isnan(activity_index(np.array([-5.0]), np.zeros((1, 3)), epochs=3)).all()


@pytest.mark.parametrize(
    ("part", "text", "said"),
    [
        ("labels", "0 0\n30 7\n", "stage 7"),
        ("labels", "0 0\n1e9 0\n", "to a day"),
        ("labels", "-30 0\n", "to a day"),
        ("labels", "0 wake\n", "rows of 2 numbers"),
        ("labels", "0 0 0\n", "2 finite numbers, got 3"),
        ("labels", "", "rows of 2 numbers"),
        ("motion", "0 0 0\n", "4 finite numbers, got 3"),
        ("motion", "0 0 0 nan\n", "finite"),
        ("motion", "0 0 0 \xff\n", "4 numbers"),
        ("motion", "900 0 0 1\n", "no acceleration"),
        ("motion", None, "cannot be read"),
    ],
)
def test_damaged_people_are_left_out(tmp_path: Path, part: str, text: str | None, said: str) -> None:
    write_person(tmp_path, "a", [0, 1, 2], {0})
    write_person(tmp_path, "b", [0, 1, 2], {0})
    file = next((tmp_path / part).glob("a_*"))
    if text is None:
        file.unlink()
    else:
        file.write_bytes(text.encode("latin-1"))
    nights, problems = read_sleep_accel(tmp_path)
    assert len(nights) == 1 and len(problems) == 1
    assert said in problems[0] and "\n" not in problems[0] and "a is skipped" in problems[0]


def test_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="labels/ID_labeled_sleep"):
        read_sleep_accel(tmp_path)
