from __future__ import annotations

import json
import math

import numpy as np
import pytest

from edgebnn.evaluation.sleep.scores import cohens_kappa, rounded, score_alarms, score_sleep_wake


def booleans(*runs: tuple[bool, int]) -> np.ndarray:
    return np.concatenate([np.full(count, value) for value, count in runs])


def test_by_hand() -> None:
    # 20 wake found, 5 taken for sleep; 10 sleep taken for wake, 15 found: Cohen's own arithmetic
    awake = booleans((True, 25), (False, 25))
    said = booleans((True, 20), (False, 5), (True, 10), (False, 15))
    scores = score_sleep_wake(awake, said)
    assert scores.epochs == 50
    assert scores.accuracy == pytest.approx(0.7)
    assert scores.sensitivity == pytest.approx(15 / 25)
    assert scores.specificity == pytest.approx(20 / 25)
    assert scores.kappa == pytest.approx(0.4)
    assert scores.f1_wake == pytest.approx(2 * 20 / (2 * 20 + 10 + 5))


def test_all_asleep_is_worth_nothing() -> None:
    scores = score_sleep_wake(booleans((True, 3), (False, 7)), booleans((False, 10)))
    assert (scores.accuracy, scores.sensitivity, scores.specificity, scores.kappa) == (0.7, 1, 0, 0)


def test_what_cannot_be_said_is_nan_and_null() -> None:
    scores = score_sleep_wake(booleans((False, 4)), booleans((False, 4)))
    assert math.isnan(scores.specificity) and math.isnan(scores.kappa)
    assert json.loads(json.dumps(rounded(scores)))["kappa"] is None
    nothing = np.zeros(0, bool)
    names = ("accuracy", "sensitivity", "specificity", "kappa", "f1_wake")
    assert rounded(score_sleep_wake(nothing, nothing)) == {"epochs": 0} | dict.fromkeys(names)


def test_kappa_of_more_classes_agrees_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    truth = random.integers(0, 5, 400)
    said = np.where(random.random(400) < 0.5, truth, random.integers(0, 5, 400))
    assert cohens_kappa(truth, said) == pytest.approx(metrics.cohen_kappa_score(truth, said))


def test_alarms() -> None:
    scores = score_alarms(np.array([0, 1, 2, -1, 4]), np.array([0.0, 600, 1200, 60, 600]))
    assert scores.alarms == 4
    assert scores.light_share == 0.5
    assert scores.minutes_early == 10
    assert math.isnan(score_alarms(np.array([], int), np.array([])).light_share)
