"""The classic formulas against sums done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgebnn.evaluation.sleep.baselines import (
    BASELINES,
    best_scale,
    cole_kripke,
    motion,
    oakley,
    per_minute,
    sadeh,
)


def minutes(*counts: float) -> np.ndarray:
    """Epochs of 30 s whose minutes that end at odd epochs have these counts."""
    return np.repeat(np.array(counts, float) / 2, 2)


def test_a_minute_is_two_epochs() -> None:
    np.testing.assert_array_equal(per_minute(np.array([1.0, 2, 3])), [1, 3, 5])


def test_cole_kripke_by_hand() -> None:
    activity = minutes(1, 2, 3, 4, 5, 6, 7)
    # .001 (106*1 + 54*2 + 58*3 + 76*4 + 230*5 + 74*6 + 67*7)
    assert cole_kripke(activity)[9] == pytest.approx(2.755)
    # past weights 106 54 58 76 230 stretched from their sum 524 to 665
    assert cole_kripke(activity, causal=True)[9] == pytest.approx(1.842 * 665 / 524)


def test_cole_kripke_is_awake_from_1() -> None:
    activity = np.zeros(20)
    activity[[10, 11]] = 1 / 0.230 / 2
    awake = BASELINES[0].wake(activity)
    assert cole_kripke(activity)[11] == pytest.approx(1)
    assert not awake[9] and not awake[13]


def test_sadeh_by_hand() -> None:
    counts = [0, 60, 0, 99, 100, 50, 0, 0, 49, 0, 10]
    activity = minutes(*counts)
    recent = counts[:6]
    ps = 7.601 - 0.065 * (sum(counts) / 11) - 1.08 * 3 - 0.056 * np.std(recent) - 0.703 * math.log(51)
    assert sadeh(activity)[11] == pytest.approx(ps)
    ps = 7.601 - 0.065 * (sum(counts) / 11) - 1.08 * 3 - 0.056 * np.std(counts[5:]) - 0.703 * math.log(11)
    assert sadeh(activity, causal=True)[21] == pytest.approx(ps)


def test_sadeh_of_stillness_is_sleep() -> None:
    np.testing.assert_allclose(sadeh(np.zeros(30)), 7.601)
    assert not BASELINES[1].wake(np.zeros(30)).any()


def test_oakley_by_hand() -> None:
    activity = np.arange(1.0, 10)
    by_hand = (1 + 2 + 8 + 9) / 25 + (3 + 4 + 6 + 7) / 5 + 2 * 5
    assert oakley(activity)[4] == pytest.approx(by_hand)
    past = (1 + 2) / 25 + (3 + 4) / 5 + 2 * 5
    assert oakley(activity, causal=True)[4] == pytest.approx(past * 2.96 / 2.48)


def test_oakley_is_awake_above_40() -> None:
    activity = np.zeros(9)
    activity[4] = 20
    assert not BASELINES[2].wake(activity)[4]
    assert BASELINES[2].wake(activity * 1.001)[4]


def test_the_motion_threshold_knows_one_epoch() -> None:
    np.testing.assert_array_equal(motion(np.array([0.0, 3])), [0, 3])
    np.testing.assert_array_equal(BASELINES[3].wake(np.array([0.0, 0.9, 1, 5])), [False, False, True, True])


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
@pytest.mark.parametrize("length", [1, 3, 9, 200])
def test_causal_means_that_the_end_does_not_matter(baseline, length: int) -> None:
    activity = np.random.default_rng(length).gamma(0.3, 50, length)
    whole = baseline.index(activity, causal=True)
    for end in {1, length // 2 + 1, length}:
        np.testing.assert_allclose(baseline.index(activity[:end], causal=True), whole[:end])


def test_causal_weights_sum_to_the_same() -> None:
    level = np.full(60, 3.0)
    for index in (cole_kripke, oakley):
        assert index(level, causal=True)[40] == pytest.approx(index(level)[40])


def test_best_scale_finds_the_devices_unit() -> None:
    random = np.random.default_rng(0)
    counts = np.where(random.random(3000) < 0.3, random.gamma(1, 60, 3000), 0)
    nights = []
    for unit in (0.01, 0.01):
        awake = BASELINES[0].wake(counts)
        nights.append((counts * unit, awake, np.ones(3000, bool)))
    scale = best_scale(BASELINES[0], nights, causal=False)
    assert 60 < scale < 160
