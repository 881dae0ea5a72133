"""The nights that networks are judged on do not change any more."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from edgebnn.evaluation.sleep.judge import CLINIC, HEALTHY, POPULATIONS, simulate_judged_night
from edgebnn.evaluation.sleep.nights import N1, N2, N3, REM, WAKE

DIGESTS = {"healthy": "43389d5185f64118", "clinic": "fb9ee3892616272e"}


@pytest.mark.parametrize("name", POPULATIONS)
def test_frozen(name: str) -> None:
    sha = hashlib.sha256()
    for seed in range(3):
        night = simulate_judged_night(seed, POPULATIONS[name])
        assert night.stage is not None
        sha.update(night.stage.astype("<i8").tobytes())
        sha.update(night.activity.astype("<i8").tobytes())
    assert sha.hexdigest()[:16] == DIGESTS[name]


@pytest.mark.parametrize(("population", "wake", "deep"), [(HEALTHY, 0.11, 0.18), (CLINIC, 0.32, 0.016)])
def test_shares_of_the_stages(population, wake: float, deep: float) -> None:
    stages = np.concatenate([simulate_judged_night(seed, population).stage for seed in range(60)])
    share = np.bincount(stages, minlength=5) / len(stages)
    assert share[WAKE] == pytest.approx(wake, abs=0.05)
    assert share[N3] == pytest.approx(deep, abs=0.04)
    assert share[N2] > share[REM] > 0.05 and share[N1] > 0.05


def test_movement_falls_in_the_published_order() -> None:
    nights = [simulate_judged_night(seed, HEALTHY) for seed in range(60)]
    stages = np.concatenate([night.stage for night in nights])
    moves = np.concatenate([night.activity for night in nights]) > 0
    rates = {stage: moves[stages == stage].mean() for stage in (WAKE, N1, REM, N2, N3)}
    assert list(rates.values()) == sorted(rates.values(), reverse=True)
