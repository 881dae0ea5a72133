from __future__ import annotations

import numpy as np
import pytest

from edgebnn.data.nights import simulate_night
from edgebnn.evaluation.sleep.nights import N1, N2, N3, REM, UNSCORED, WAKE


def some(count: int = 60) -> list:
    return [simulate_night(np.random.default_rng((7, seed))) for seed in range(count)]


NIGHTS = some()


def test_a_seed_is_a_night() -> None:
    again = some(5)
    for one, other in zip(NIGHTS, again, strict=False):
        np.testing.assert_array_equal(one.activity, other.activity)
        np.testing.assert_array_equal(one.stage, other.stage)
    assert len({len(night.stage) for night in NIGHTS}) > 30


def test_activity_is_what_a_device_could_say() -> None:
    for night in NIGHTS:
        known = night.activity[~np.isnan(night.activity)]
        assert len(night.activity) == len(night.stage) and len(known) > 100
        assert np.isfinite(known).all() and known.min() >= 0 and known.max() > 0
        assert set(np.unique(night.stage)) <= {UNSCORED, WAKE, N1, N2, N3, REM}


def test_devices_differ() -> None:
    zeros = [np.mean(night.activity == 0) for night in NIGHTS]
    assert min(zeros) == 0 and max(zeros) > 0.7  # noise floors, and counts
    scales = [np.nanmax(night.activity) for night in NIGHTS]
    assert max(scales) / min(scales) > 1e4
    assert any(np.isnan(night.activity).any() for night in NIGHTS)


def test_people_differ() -> None:
    wake = [np.mean(night.stage[night.stage >= 0] == WAKE) for night in NIGHTS]
    assert np.quantile(wake, 0.1) < 0.12 and np.quantile(wake, 0.9) > 0.35
    assert 0.15 < np.mean(wake) < 0.35


def test_the_awake_move_more() -> None:
    more = 0
    for night in NIGHTS:
        level = night.activity > np.nanquantile(night.activity, 0.8)
        more += level[night.stage == WAKE].mean() > level[night.stage > WAKE].mean()
    assert more > 0.9 * len(NIGHTS)


@pytest.mark.parametrize("stage", [N1, N2, REM])
def test_every_stage_is_slept(stage: int) -> None:
    assert np.mean([np.mean(night.stage == stage) for night in NIGHTS]) > 0.03
