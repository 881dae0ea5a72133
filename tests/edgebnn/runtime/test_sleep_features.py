from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.runtime.sleep_features import COUNT, NAMES, WINDOWS, SleepFeatures, all_features

nights = st.lists(st.none() | st.floats(0, 1e6), min_size=1, max_size=120)


def night(seed: int, epochs: int = 300) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.where(random.random(epochs) < 0.3, random.lognormal(1, 1.3, epochs), 0)


def channel(rows: np.ndarray, name: str) -> np.ndarray:
    return rows[:, NAMES.index(name)]


@settings(max_examples=60, deadline=None)
@given(nights, st.integers(1, 120))
def test_a_prefix_gives_a_prefix(activity: list[float | None], end: int) -> None:
    values = [np.nan if value is None else value for value in activity]
    np.testing.assert_array_equal(all_features(values[:end]), all_features(values)[:end])


@settings(max_examples=60, deadline=None)
@given(nights)
def test_everything_is_finite_and_small(activity: list[float | None]) -> None:
    rows = np.stack([row for features in [SleepFeatures()] for row in map(features.add, activity)])
    assert rows.shape == (len(activity), COUNT) and rows.dtype == np.float32
    assert np.isfinite(rows).all() and rows.min() >= 0 and rows.max() < 6


@pytest.mark.parametrize("unit", [1e-6, 0.37, 1e6])
def test_the_unit_of_activity_does_not_matter(unit: float) -> None:
    activity = night(1)
    np.testing.assert_allclose(all_features(activity * unit), all_features(activity), atol=1e-4)


def test_a_noise_floor_is_no_movement() -> None:
    random = np.random.default_rng(2)
    activity = night(3, 800)
    floor = 5 + random.normal(0, 0.1, 800)
    still = channel(all_features(activity), "moving")
    noisy = channel(all_features(activity * 3 + floor), "moving")
    assert (noisy[100:] == still[100:]).mean() > 0.93


@pytest.mark.parametrize("window", WINDOWS)
def test_averages_by_hand(window: int) -> None:
    activity = night(4)
    activity[50:70] = np.nan
    rows = all_features(activity)
    known = channel(rows, "known")
    assert known.sum() == 280
    for signal in ("moving", "size", "rank"):
        values = channel(rows, signal).astype(float)
        for at in (0, 3, 49, 60, 69, 71, 150, 299):
            first = max(at - window + 1, 0)
            count = max(known[first : at + 1].sum(), 1)
            mean = values[first : at + 1].sum() / count
            assert channel(rows, f"{signal} {window}")[at] == pytest.approx(mean, abs=1e-5), (signal, at)


def test_time_since_movement() -> None:
    rows = all_features([1.0, 0, 0, 0, 5, 0, np.nan, 0])
    epochs = np.exp2(5 * channel(rows, "since 0")) - 1
    np.testing.assert_allclose(epochs[4:], [0, 1, 2, 3], atol=1e-5)


def test_rank_among_the_night_so_far() -> None:
    rows = all_features([3.0, 1, 2, 2, 5])
    np.testing.assert_allclose(channel(rows, "rank"), [0.5, 0.25, 0.5, 0.5, 0.9])


def test_larger_movements_have_larger_sizes() -> None:
    features = SleepFeatures()
    for value in night(5):
        features.add(float(value))
    sizes = []
    for value in (1.0, 3, 10, 100):
        sizes.append(features.add(value)[NAMES.index("size")])
    assert sizes == sorted(sizes) and sizes[0] < 0.5 < sizes[-1]
