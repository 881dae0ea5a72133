"""Scores and reasons: the network and what stands in for it, the rules, clocks that are set back."""

from __future__ import annotations

import numpy as np
import pytest
from edgebnn_sleep.replay import score_night
from edgebnn_sleep.scoring import MovementScorer, NightScorer

from edgebnn.errors import ModelError
from edgebnn.evaluation.sleep.judge import HEALTHY, simulate_judged_night
from edgebnn.evaluation.sleep.rules import RULES
from edgebnn.runtime.sleep_scorer import SleepScorer

NIGHT = simulate_judged_night(3, HEALTHY)


def scores(scorer: NightScorer, activity=NIGHT.activity, start_s: float = 0.0):
    return [scorer.add(start_s + 30.0 * place, float(value)) for place, value in enumerate(activity)]


def test_the_monitor_scores_as_replay_does():
    ours = scores(NightScorer(), NIGHT.activity[:200])
    theirs = list(score_night(SleepScorer(), NIGHT))[:200]
    assert [(s.asleep, s.restless, s.stage) for s in ours] == [(s.asleep, s.restless, s.stage) for s in theirs]
    np.testing.assert_allclose([s.p_wake for s in ours], [s.p_wake for s in theirs], atol=1e-6)


def test_movement_alone_finds_most_of_the_sleep_at_any_scale():
    results = []
    for scale in (1.0, 1e-3, 1e5):
        found = scores(NightScorer(make_network=MovementScorer), NIGHT.activity * scale)
        results.append([s.asleep for s in found])
    assert results[0] == results[1] == results[2]
    truth = NIGHT.stage > 0
    assert np.mean(np.array(results[0])[truth]) > 0.85
    assert np.mean(~np.array(results[0])[~truth]) > 0.3
    assert all(s.stage == -1 for s in found)


def test_a_network_that_cannot_be_loaded_is_said(caplog):
    def missing():
        raise ModelError("sleep.tflite is damaged")

    scorer = NightScorer(make_network=missing)
    assert scorer.problem == (
        "the sleep network cannot be used, movement alone tells awake from asleep (sleep.tflite is damaged)"
    )
    assert "sleep.tflite is damaged" in caplog.text
    assert scorer.add(0, 1.0) is not None


def test_a_network_that_fails_at_night_is_replaced():
    class Failing(MovementScorer):
        def add(self, time_s, activity):
            if time_s > 60:
                raise RuntimeError("invoke failed")
            return super().add(time_s, activity)

    scorer = NightScorer(make_network=Failing)
    assert all(scores(scorer, np.ones(10)))
    assert "invoke failed" in scorer.problem


def test_nothing_seen_is_not_scored():
    scorer = NightScorer(make_network=MovementScorer)
    assert scorer.add(0, 1.0) is not None
    assert scorer.add(30, None) is None
    assert scorer.add(60, 1.0) is not None


def test_a_clock_that_is_set_back_begins_a_new_night():
    scorer = NightScorer(make_network=MovementScorer)
    scores(scorer, NIGHT.activity[:100], start_s=10_000)
    assert all(scores(scorer, NIGHT.activity[:100], start_s=0))


@pytest.mark.parametrize("rule", sorted(RULES))
def test_reasons(rule):
    """Stillness gives none; hours of sleep and then much movement gives one, and says how long one has been awake."""
    scorer = NightScorer(rule=rule)
    quiet = np.where(np.arange(480) % 60 == 59, 5.0, 0.0)
    still = scores(scorer, quiet)
    assert not any(score.reason for score in still[300:359])
    found = scores(scorer, np.full(20, 60.0), start_s=480 * 30)
    assert found[-1].reason
    assert "awake" in found[-1].reason


def test_the_rule_is_told_what_is_left_of_the_window():
    asked = []

    def left() -> float:
        asked.append(True)
        return 0.0

    NightScorer(rule="network", window_left=left, make_network=MovementScorer).add(0, 1.0)
    assert asked == [True]
