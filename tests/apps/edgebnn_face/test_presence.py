from __future__ import annotations

import numpy as np
import pytest
from edgebnn_face.presence import Event, Presence
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.runtime.detections import Detections
from edgebnn.runtime.tracker import Tracker, Tracks


def tracks(*rows: tuple[int, float, bool]) -> Tracks:
    """Of (id, age_s, seen)."""
    n = len(rows)
    return Tracks(
        np.array([row[0] for row in rows], np.int64),
        np.tile(np.array([10, 10, 20, 20], np.float32), (n, 1)),
        np.full(n, 0.9, np.float32),
        np.array([row[2] for row in rows], bool),
        np.array([row[1] for row in rows], np.float64),
    )


def run(presence: Presence, counts: list[tuple[float, int]]) -> list[tuple[float, str, int]]:
    """Feeds frames of (time in s, visible tracks), whose ids mean nothing; returns the count events."""
    events = []
    for time, visible in counts:
        seen = tracks(*((100 + k, 0.0, True) for k in range(visible)))
        events += [(time, e.kind, e.count) for e in presence.update(seen, round(time * 1e9)) if e.kind == "count"]
    return events


def test_enter_and_leave_of_a_track() -> None:
    presence = Presence(enter_after_s=0.5, leave_after_s=2)
    s = 1_000_000_000
    assert presence.update(tracks((1, 0.1, True)), s) == []
    assert presence.update(tracks((1, 0.4, True)), s + 300_000_000) == []
    assert presence.update(tracks((1, 0.6, False)), s + 500_000_000) == []  # hidden: not now
    at = s + 600_000_000
    assert presence.update(tracks((1, 0.7, True)), at)[0] == Event("enter", at, 0, 1)
    presence.update(tracks((1, 1.7, True)), 2 * s + 600_000_000)
    assert presence.count == 1
    presence.update(tracks((1, 2.7, False)), 3 * s + 600_000_000)
    leave = presence.update(tracks(), 5 * s)
    assert leave == [Event("leave", 5 * s, 1, 1, 1.7)]  # from first to last sight
    assert presence.update(tracks(), 6 * s) == [Event("count", 6 * s, 0)]
    assert presence.update(tracks(), 9 * s) == []


def test_a_passer_by_of_a_moment_neither_enters_nor_leaves() -> None:
    presence = Presence(enter_after_s=0.5, leave_after_s=2)
    for time, seen in ((0, True), (200, True), (400, False), (900, False)):
        assert presence.update(tracks((1, time / 1000, seen)), time * 1_000_000) == []
    assert presence.update(tracks(), 2_000_000_000) == []


def test_count_has_hysteresis() -> None:
    step = [k / 10 for k in range(200)]
    for low, high in ((0, 1), (2, 3)):
        presence = Presence(enter_after_s=0.5, leave_after_s=2)
        # up at 3 s with a flicker at 3.3 s, down at 10 s with a flicker at 11 s
        visible = [low if t < 3 or t == 3.3 or (t >= 10 and t != 11) else high for t in step]
        changes = [(t, c) for t, _, c in run(presence, list(zip(step, visible, strict=True)))]
        first = [] if low == 0 else [(0.5, 2)]
        assert changes == [*first, (3.9, high), (13.1, low)]


def test_count_does_not_flicker_when_an_id_is_lost() -> None:
    presence = Presence(enter_after_s=0.5, leave_after_s=2)
    changes = []
    for k in range(100):
        # track 1 is lost at 5 s, and the same person is track 2 from 5.3 s on
        rows = [(1, k / 10, k < 50)] if k < 70 else []
        rows += [(2, (k - 53) / 10, True)] if k >= 53 else []
        changes += [e.count for e in presence.update(tracks(*rows), k * 100_000_000) if e.kind == "count"]
    assert changes == [1]


def test_slow_frames_and_pauses_count_for_the_time_they_last() -> None:
    presence = Presence(enter_after_s=0.5, leave_after_s=2)
    assert run(presence, [(0, 0), (1, 1), (2, 1), (60, 1), (61, 0), (62, 0), (63.5, 0)]) == [
        (2, "count", 1),
        (63.5, "count", 0),
    ]


def test_without_hysteresis_the_count_follows_at_once() -> None:
    presence = Presence(enter_after_s=0, leave_after_s=0)
    assert run(presence, [(0, 0), (1, 2), (2, 1), (3, 0)]) == [(1, "count", 2), (2, "count", 1), (3, "count", 0)]


def test_clear_lets_everybody_leave() -> None:
    presence = Presence(enter_after_s=0.2, leave_after_s=2)
    for k in range(20):
        presence.update(tracks((1, k / 10, True), (2, k / 10, True)), k * 100_000_000)
    assert presence.count == 2
    events = presence.clear(3_000_000_000)
    assert [(e.kind, e.id, e.stayed_s, e.count) for e in events] == [
        ("leave", 1, 1.9, 2),
        ("leave", 2, 1.9, 2),
        ("count", 0, 0, 0),
    ]
    assert presence.clear(4_000_000_000) == []


def test_with_the_tracker_a_visit_is_one_enter_and_one_leave() -> None:
    tracker = Tracker(min_score=0.5, low_score=0.25, max_unseen_s=2)
    presence = Presence(enter_after_s=0.5, leave_after_s=2)
    rng = np.random.default_rng(0)
    events = []
    for k in range(300):
        visible = 50 <= k < 200 and rng.random() > 0.2
        boxes = np.array([[100 + k, 80, 50, 60]] * visible, np.float32).reshape(-1, 4)
        found = Detections(boxes, np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int64))
        events += presence.update(tracker.update(found, k * 66_000_000), k * 66_000_000)
    assert [(e.kind, e.count) for e in events] in (
        [("enter", 0), ("count", 1), ("leave", 1), ("count", 0)],
        [("enter", 0), ("count", 1), ("count", 0), ("leave", 0)],
    )
    stayed = next(e.stayed_s for e in events if e.kind == "leave")
    assert stayed == pytest.approx(150 * 0.066, abs=0.5)


@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 4)), min_size=1, max_size=60),
    st.integers(0, 2000),
    st.integers(0, 4000),
)
@settings(max_examples=100, deadline=None)
def test_count_is_always_one_that_was_visible_lately(
    steps: list[tuple[int, int]], enter_after_ms: int, leave_after_ms: int
) -> None:
    presence = Presence(enter_after_s=enter_after_ms / 1000, leave_after_s=leave_after_ms / 1000)
    now, seen = 0, []
    for pause, visible in steps:
        now += pause
        seen.append((now, visible))
        run(presence, [(now / 1000, visible)])
        # what held at any time in the last leave_after_s: the step in force at its beginning, and all since
        ends = [*(t for t, _ in seen[1:]), now + 1]
        lately = [v for (_, v), end in zip(seen, ends, strict=True) if end > now - leave_after_ms]
        assert presence.count <= max(lately)
        assert len(presence._visible) <= len(steps) + 1
    run(presence, [(now / 1000 + 10, 0), (now / 1000 + 20, 0)])
    assert presence.count == 0 and len(presence._visible) <= 2
