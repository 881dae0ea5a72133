from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgebnn.errors import InputError, ModelError
from edgebnn.evaluation.sleep.judge import simulate_judged_night
from edgebnn.runtime.sleep_scorer import NEW_NIGHT_S, SleepScore, SleepScorer


@pytest.fixture(scope="module")
def scorer() -> SleepScorer:
    return SleepScorer()


def play(scorer: SleepScorer, rows: list[tuple[float, float | None]]) -> list[SleepScore]:
    scorer.begin()
    return [scorer.add(*row) for row in rows]


def judged(seed: int, epochs: int) -> list[tuple[float, float | None]]:
    night = simulate_judged_night(seed)
    return list(zip(night.time_s[:epochs].tolist(), night.activity[:epochs].tolist(), strict=True))


def test_probabilities_and_stages_fit_together(scorer: SleepScorer) -> None:
    for score in play(scorer, judged(0, 400)):
        assert 0 <= score.p_wake <= score.p_light <= 1
        assert score.asleep == (score.stage > 0) and not (score.restless and not score.asleep)
        assert score.moving == (score.size > 0)


def test_a_prefix_gives_a_prefix(scorer: SleepScorer) -> None:
    rows = judged(1, 300)
    del rows[120:150]
    whole = play(scorer, rows)
    for end in (1, 119, 121, 200):
        assert play(scorer, rows[:end]) == whole[:end]


def test_the_unit_of_activity_does_not_matter(scorer: SleepScorer) -> None:
    rows = judged(2, 300)
    one, other = play(scorer, rows), play(scorer, [(time, 1e-4 * (value or 0)) for time, value in rows])
    np.testing.assert_allclose([score.p_wake for score in one], [score.p_wake for score in other], atol=0.02)


def test_left_out_epochs_are_gaps(scorer: SleepScorer) -> None:
    rows = judged(3, 100)
    named = play(scorer, [(time, None if 40 <= at < 60 else value) for at, (time, value) in enumerate(rows)])
    left_out = play(scorer, rows[:40] + rows[60:])
    assert named[60:] == left_out[40:]
    assert left_out != play(scorer, rows)[:40] + play(scorer, rows)[60:]


def test_a_clock_that_is_off_by_seconds_changes_nothing(scorer: SleepScorer) -> None:
    rows = judged(4, 80)
    off = [(time + 9 * math.sin(time), value) for time, value in rows]
    assert [score.p_wake for score in play(scorer, off)] == [score.p_wake for score in play(scorer, rows)]


def test_a_long_gap_begins_a_new_night(scorer: SleepScorer) -> None:
    rows = judged(5, 50)
    scorer.begin()
    first = [scorer.add(*row).p_wake for row in rows]
    later = rows[-1][0] + NEW_NIGHT_S + 1
    assert [scorer.add(time + later, value).p_wake for time, value in rows] == first


@pytest.mark.parametrize("activity", [-1.0, math.nan, math.inf])
def test_activity_must_be_a_number_from_0(scorer: SleepScorer, activity: float) -> None:
    scorer.begin()
    with pytest.raises(InputError, match="from 0"):
        scorer.add(0, activity)


def test_time_goes_on(scorer: SleepScorer) -> None:
    scorer.begin()
    scorer.add(30, 1)
    with pytest.raises(InputError, match="after 30 s"):
        scorer.add(30, 1)


def test_other_models_are_refused(detector_file: Path) -> None:
    with pytest.raises(ModelError, match="task 'detect'"):
        SleepScorer(detector_file)


def test_it_tells_wake_from_sleep_on_judged_nights(scorer: SleepScorer) -> None:
    """A check that the parts fit, far below what docs/sleep.md reports."""
    awake, said = [], []
    for seed in range(4):
        night = simulate_judged_night(100 + seed)
        assert night.stage is not None
        awake.append(night.stage == 0)
        said.append([not score.asleep for score in play(scorer, judged(100 + seed, len(night)))])
    truth, answer = np.concatenate(awake), np.concatenate(said)
    assert answer[truth].mean() - answer[~truth].mean() > 0.3
