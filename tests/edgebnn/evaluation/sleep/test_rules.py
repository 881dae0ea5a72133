from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebnn.errors import InputError
from edgebnn.evaluation.sleep.baselines import cole_kripke
from edgebnn.evaluation.sleep.rules import (
    COLE_KRIPKE_COUNTS,
    DEFAULT_RULE,
    NETWORK_FIRST,
    NETWORK_LAST,
    RULES,
    ColeKripkeRule,
    NetworkRule,
    ring_row,
)
from edgebnn.runtime.sleep_scorer import SleepScore

STILL = SleepScore(
    time_s=0, p_wake=0.1, p_light=0.1, asleep=True, restless=False, stage=2, moving=False, size=0, relative=0
)


def night(**changes: dict[int, float | bool]) -> list[SleepScore]:
    """100 still epochs, with values of a field by epoch."""
    scores = [replace(STILL, time_s=30.0 * at) for at in range(100)]
    for name, values in changes.items():
        for at, value in values.items():
            scores[at] = replace(scores[at], **{name: value})
    return scores


@pytest.mark.parametrize("name", RULES)
def test_without_a_reason_it_rings_at_the_deadline(name: str) -> None:
    assert ring_row(night(), RULES[name](), deadline_s=1515, window_min=20) == 50


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("window_min", [0, 10])
def test_never_before_the_window(name: str, window_min: float) -> None:
    always = dict.fromkeys(range(100), 1.0)
    scores = night(p_light=always, moving=always, size=always, relative=dict.fromkeys(range(100), 50.0))
    assert ring_row(scores, RULES[name](), deadline_s=1500, window_min=window_min) == 50 - 2 * window_min


@given(
    name=st.sampled_from(sorted(RULES)),
    epochs=st.lists(
        st.tuples(st.sampled_from([30, 31, 90, 7200]), st.floats(0, 1), st.booleans(), st.floats(0, 100)), min_size=1
    ),
    deadline_s=st.floats(0, 1e6),
    window_min=st.floats(0, 90),
)
def test_one_epoch_rings_whatever_comes_and_knows_none_later(
    name: str, epochs: list[tuple[float, float, bool, float]], deadline_s: float, window_min: float
) -> None:
    times = np.cumsum([0.0, *(gap for gap, *_ in epochs)]).tolist()
    scores = [
        replace(STILL, time_s=time_s, p_light=light, moving=moving, size=light, relative=relative)
        for time_s, (_, light, moving, relative) in zip(times, epochs, strict=False)
    ]

    def rings(epochs: list[SleepScore]) -> int:
        return ring_row(epochs, RULES[name](), deadline_s=deadline_s, window_min=window_min)

    row = rings(scores)
    last = max(at for at, score in enumerate(scores) if score.time_s <= deadline_s)
    assert row == last or deadline_s - 60 * window_min <= scores[row].time_s <= deadline_s
    for end in range(1, len(scores) + 1):
        assert rings(scores[:end]) == min(row, end - 1)  # cut off before it rang, the last one has to


def test_motion_is_plain() -> None:
    assert DEFAULT_RULE == "motion"
    scores = night(moving={40: True, 44: True}, size={40: 0.5, 44: 0.9})
    assert ring_row(scores, RULES["motion"](), deadline_s=1500, window_min=10) == 44


def test_the_network_grows_less_choosy() -> None:
    rule = NetworkRule()
    middle = (NETWORK_FIRST + NETWORK_LAST) / 2
    for light, left, rings in (
        (NETWORK_FIRST - 0.01, 1.0, False),
        (NETWORK_FIRST + 0.01, 1.0, True),
        (middle - 0.01, 0.5, False),
        (middle + 0.01, 0.5, True),
        (NETWORK_LAST + 0.01, 0.0, True),
    ):
        rule.add(replace(STILL, p_light=light))
        assert (rule.reason(left) is not None) == rings, (light, left)


def test_cole_and_kripke_on_the_past() -> None:
    relative = np.random.default_rng(0).gamma(0.3, 3, 60)
    recorded = np.arange(60) % 17 > 1
    relative[~recorded] = 0  # nothing moves in a gap
    expected = cole_kripke(relative * COLE_KRIPKE_COUNTS, causal=True) >= 1
    rule = ColeKripkeRule()
    said = []
    for at in np.flatnonzero(recorded):
        rule.add(replace(STILL, time_s=1000 + 30.0 * at, relative=float(relative[at])))
        said.append(rule.reason(0.5) is not None)
    np.testing.assert_array_equal(said, expected[recorded])
    assert 5 < expected.sum() < 55


def test_a_deadline_before_the_night() -> None:
    with pytest.raises(InputError, match="before the deadline"):
        ring_row(night(), RULES["motion"](), deadline_s=-1, window_min=10)
