from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgebnn.data.night_examples import (
    NightExamples,
    crops_at,
    read_examples,
    restlessness,
    simulate_examples,
)
from edgebnn.errors import DataError
from edgebnn.runtime.sleep_features import COUNT
from tests.edgebnn.data.test_sleep_accel import write_person


def numbered(*lengths: int) -> NightExamples:
    """Nights whose features are their epoch's number from 1."""
    features = [np.repeat(np.arange(1, n + 1, dtype=np.float32)[:, None], COUNT, axis=1) for n in lengths]
    return NightExamples(features, [np.arange(n) % 5 for n in lengths])


def test_crops_line_up_with_their_answers() -> None:
    features, stages = crops_at(numbered(50, 7), 3, size=40, window=8, answers=16, seed=1)
    assert features.shape == (40, 1, 23, COUNT) and stages.shape == (40, 16)
    for night, labels in zip(features[:, 0, :, 0], stages, strict=True):
        for answer in range(16):
            epoch = int(night[7 + answer]) - 1  # the newest of the window
            assert labels[answer] == (-1 if epoch < 0 else epoch % 5)
            window = night[answer : answer + 8]
            if epoch >= 0:
                np.testing.assert_array_equal(window, np.maximum(np.arange(epoch - 6, epoch + 2), 0))


def test_a_step_is_a_function_of_its_number() -> None:
    how = {"size": 4, "window": 8, "answers": 16, "seed": 0}
    one, other = (crops_at(numbered(90, 60), 5, **how) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    assert not np.array_equal(one[0], crops_at(numbered(90, 60), 6, **how)[0])


def test_simulated_nights_go_on_where_others_ended() -> None:
    two, second = simulate_examples(2, seed=4), simulate_examples(1, seed=4, first=1)
    np.testing.assert_array_equal(two.features[1], second.features[0])
    assert len(two) == 2 and two.features[0].shape == (len(two.stages[0]), COUNT)


def test_restless_sleep_by_hand() -> None:
    stage = np.array([0, 2, 2, 2, 2, 2, 2, 2, 1, 2, -1])
    np.testing.assert_array_equal(restlessness(stage), [-1, 1, 1, 1, 1, 1, 0, 0, 1, 0, -1])
    np.testing.assert_array_equal(restlessness(np.array([-1, -1])), [-1, -1])


def test_people_are_split_by_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(7):
        write_person(tmp_path, f"p{number}", [0] * (number + 2), {0}, seed=number)
    (tmp_path / "motion" / "p3_acceleration.txt").unlink()
    train, val = read_examples([tmp_path])
    assert [len(stage) for stage in val.stages] == [2, 8]
    assert [len(stage) for stage in train.stages] == [3, 4, 6, 7]
    assert "p3 is skipped" in capsys.readouterr().err


def test_too_few_people(tmp_path: Path) -> None:
    write_person(tmp_path, "only", [0, 1], {0})
    with pytest.raises(DataError, match="two or more people"):
        read_examples([tmp_path])
