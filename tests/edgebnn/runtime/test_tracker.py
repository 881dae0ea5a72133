from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgebnn.runtime.detections import Detections
from edgebnn.runtime.tracker import Tracker, Tracks, assign

Path = Callable[[float], tuple[float, float] | None]
"""Centre of a face at a time in seconds; None while it is hidden."""
SIZE = 50.0


def detections(boxes: list[list[float]], scores: list[float]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.zeros(len(boxes), np.int64)
    )


def at(x: float, y: float, *, size: float = SIZE) -> list[float]:
    return [x - size / 2, y - size / 2, size, size]


def film(
    paths: list[Path], times: np.ndarray, *, seed: int = 0, miss: float = 0.0, poor: float = 0.0, jitter: float = 0.04
) -> list[tuple[int, Detections]]:
    """What a detector with jitter sees of faces on `paths`: it misses some, gives poor scores to others."""
    rng = np.random.default_rng(seed)
    frames = []
    for time in times:
        boxes, scores = [], []
        for path in paths:
            centre = path(float(time))
            if centre is None or rng.random() < miss:
                continue
            size = SIZE * np.exp(rng.normal(0, jitter))
            x, y = centre + rng.normal(0, jitter * SIZE, 2)
            boxes.append(at(x, y, size=size))
            scores.append(0.3 if rng.random() < poor else 0.9)
        order = rng.permutation(len(boxes))
        frames.append((round(time * 1e9), detections([boxes[i] for i in order], [scores[i] for i in order])))
    return frames


def follow(frames: list[tuple[int, Detections]], **options: float) -> list[Tracks]:
    tracker = Tracker(min_score=0.5, low_score=0.25, **options)
    return [tracker.update(found, timestamp) for timestamp, found in frames]


def ids_along(path: Path, times: np.ndarray, tracked: list[Tracks]) -> list[int]:
    """The different ids, in order, of the tracks nearest to a face wherever it is visible."""
    ids: list[int] = []
    for time, tracks in zip(times, tracked, strict=True):
        centre = path(float(time))
        if centre is None or not tracks.seen.any():
            continue
        boxes = tracks.boxes[tracks.seen]
        distance = np.hypot(*(boxes[:, :2] + boxes[:, 2:] / 2 - centre).T)
        if distance.min() < SIZE / 2:
            nearest = int(tracks.ids[tracks.seen][distance.argmin()])
            if not ids or ids[-1] != nearest:
                ids.append(nearest)
    return ids


def straight(x: float, y: float, vx: float, vy: float = 0.0, *, hidden: tuple[float, float] = (0, 0)) -> Path:
    return lambda t: None if hidden[0] <= t < hidden[1] else (x + vx * t, y + vy * t)


def steady(fps: float, seconds: float) -> np.ndarray:
    return np.arange(0, seconds, 1 / fps)


def test_two_frames_make_a_track_and_one_does_not() -> None:
    box = at(100, 100)
    tracker = Tracker(min_score=0.5, low_score=0.25)
    assert len(tracker.update(detections([box], [0.9]), 0)) == 0
    tracks = tracker.update(detections([box], [0.9]), 40_000_000)
    assert tracks.ids.tolist() == [1] and tracks.seen.all() and tracks.age_s[0] == pytest.approx(0.04)
    np.testing.assert_allclose(tracks.boxes, [box], atol=1e-3)
    # a slip of one frame elsewhere
    tracker.update(detections([box, at(300, 100)], [0.9, 0.9]), 80_000_000)
    assert tracker.update(detections([box], [0.9]), 120_000_000).ids.tolist() == [1]


def test_poor_scores_continue_a_track_but_begin_none() -> None:
    tracked = follow([(k * 40_000_000, detections([at(100, 100)], [0.9 if k < 3 else 0.3])) for k in range(100)])
    assert all(tracks.ids.tolist() == [1] and tracks.seen.all() for tracks in tracked[1:])
    assert not any(len(t) for t in follow([(k * 40_000_000, detections([at(9, 9)], [0.3])) for k in range(100)]))


@pytest.mark.parametrize("fps", [2, 5, 15, 30, 60])
@pytest.mark.parametrize("seed", range(3))
def test_ids_survive_misses_and_poor_scores_at_any_frame_rate(fps: float, seed: int) -> None:
    times = steady(fps, 12)
    paths = [straight(50, 100, 40), straight(600, 300, -35, -5), lambda t: (300 + 80 * np.sin(t), 500 + 30 * np.cos(t))]
    tracked = follow(film(paths, times, seed=seed, miss=0.15, poor=0.2))
    for path in paths:
        assert len(ids_along(path, times, tracked)) == 1
    assert max(int(t.ids.max(initial=0)) for t in tracked) == 3


def test_frame_rate_may_change_and_the_camera_may_pause() -> None:
    times = np.concatenate([steady(30, 3), 3 + steady(1, 5), 8 + steady(10, 3), 12.3 + steady(30, 3)])
    paths = [straight(100, 100, 20), straight(500, 300, -15)]
    tracked = follow(film(paths, times, miss=0.05))
    for path in paths:
        assert len(ids_along(path, times, tracked)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_hidden_for_a_second_keeps_its_id_and_is_predicted_on_its_way(seed: int) -> None:
    times, path = steady(15, 8), straight(100, 100, 60, hidden=(3, 4.2))
    tracked = follow(film([path], times, seed=seed))
    assert ids_along(path, times, tracked) == [1]
    hidden = [t for time, t in zip(times, tracked, strict=True) if 3 <= time < 4.2]
    assert all(t.ids.tolist() == [1] and not t.seen.any() for t in hidden)
    x = hidden[-1].boxes[0, 0] + SIZE / 2
    assert x == pytest.approx(100 + 60 * 4.13, abs=0.6 * SIZE)


def test_hidden_for_long_is_forgotten() -> None:
    times, path = steady(15, 12), straight(100, 100, 5, hidden=(3, 9))
    tracked = follow(film([path], times), max_unseen_s=2)
    assert ids_along(path, times, tracked) == [1, 2]
    last = max(time for time, t in zip(times, tracked, strict=True) if 1 in t.ids)
    assert last == pytest.approx(3 + 2 - 1 / 15, abs=0.11)


@pytest.mark.parametrize("fps", [10, 30])
@pytest.mark.parametrize("seed", range(5))
def test_crossing_faces_keep_their_ids(fps: float, seed: int) -> None:
    # They meet at t = 4 s; whoever is behind is hidden for half a second.
    times = steady(fps, 8)
    paths = [straight(100, 200, 50), straight(500, 205, -50, hidden=(3.75, 4.25))]
    tracked = follow(film(paths, times, seed=seed))
    assert [len(ids_along(path, np.r_[times[:1], times], [tracked[0], *tracked])) for path in paths] == [1, 1]
    assert {tuple(t.ids.tolist()) for t in tracked[2:]} == {(1, 2)}


@pytest.mark.parametrize("seed", range(5))
def test_a_face_that_turns_round_keeps_its_id(seed: int) -> None:
    times = steady(15, 8)

    def path(t: float) -> tuple[float, float]:
        return (100 + 100 * t if t < 4 else 500 - 100 * (t - 4), 100)

    assert ids_along(path, times, follow(film([path], times, seed=seed, miss=0.1))) == [1]


def test_another_face_far_away_is_another_track() -> None:
    times = steady(15, 6)
    paths = [straight(100, 100, 0, hidden=(3, 9)), straight(100 + 9 * SIZE, 100, 0, hidden=(0, 4))]
    tracked = follow(film(paths, times))
    assert ids_along(paths[1], times, tracked) == [2]


def test_ids_are_never_given_twice() -> None:
    times = steady(10, 60)
    path = straight(100, 100, 0)
    blinking: Path = lambda t: path(t) if t % 6 < 3 else None  # noqa: E731
    tracked = follow(film([blinking], times), max_unseen_s=1)
    assert ids_along(blinking, times, tracked) == list(range(1, 11))


def test_time_that_stands_still_or_goes_back_is_survived() -> None:
    box = at(100, 100)
    tracker = Tracker(min_score=0.5, low_score=0.25)
    for timestamp in (10**9, 10**9, 10**9, 5 * 10**8, 0, 2 * 10**9):
        tracks = tracker.update(detections([box], [0.9]), timestamp)
    assert tracks.ids.tolist() == [1] and tracks.age_s[0] == 1.0
    np.testing.assert_allclose(tracks.boxes, [box], atol=1e-3)


def test_boxes_are_smoother_than_what_was_detected() -> None:
    times = steady(30, 10)
    frames = film([straight(100, 100, 30)], times, jitter=0.06)
    tracked = follow(frames)
    truth = 100 + 30 * times[30:]
    detected = np.array([found.boxes[0, 0] + found.boxes[0, 2] / 2 for _, found in frames[30:]])
    filtered = np.array([t.boxes[0, 0] + t.boxes[0, 2] / 2 for t in tracked[30:]])
    assert np.std(filtered - truth) < 0.8 * np.std(detected - truth)
    assert abs(np.mean(filtered - truth)) < 1.0


def test_a_crowd_of_a_hundred() -> None:
    times = steady(10, 3)
    paths = [straight(80 + 160 * (k % 10), 80 + 160 * (k // 10), 20 * (-1) ** k) for k in range(100)]
    tracked = follow(film(paths, times))
    assert tracked[-1].ids.tolist() == list(range(1, 101))
    assert all(len(ids_along(path, times, tracked)) == 1 for path in paths)


def test_order_of_the_detections_does_not_matter() -> None:
    frames = film([straight(100, 100, 50), straight(300, 100, -50)], steady(10, 5), miss=0.2)
    turned = [(t, Detections(f.boxes[::-1], f.scores[::-1], f.classes)) for t, f in frames]
    for one, other in zip(follow(frames), follow(turned), strict=True):
        assert len(one) == len(other)
        order = np.argsort(one.boxes[:, 0]), np.argsort(other.boxes[:, 0])
        np.testing.assert_allclose(one.boxes[order[0]], other.boxes[order[1]], rtol=1e-5)


boxes = hnp.arrays(np.float32, st.tuples(st.integers(0, 6), st.just(4)), elements=st.floats(0, 4096, width=32))


@given(st.lists(st.tuples(boxes, st.integers(-(10**9), 10**11), st.floats(0, 1)), max_size=12))
@settings(max_examples=150, deadline=None)
def test_whatever_comes_tracks_are_finite_and_in_order(frames: list[tuple[np.ndarray, int, float]]) -> None:
    tracker = Tracker(min_score=0.5, low_score=0.25)
    highest = 0
    for found, timestamp, score in frames:
        scores = [score] * len(found)
        tracks = tracker.update(detections(found.tolist(), scores), timestamp)
        assert np.isfinite(tracks.boxes).all() and (tracks.age_s >= 0).all()
        assert all(a < b for a, b in pairwise(tracks.ids.tolist()))
        assert tracks.seen.sum() <= len(found)
        highest = max([highest, *tracks.ids.tolist()])
    assert highest <= sum(len(found) for found, _, _ in frames)


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.integers(n, 6).flatmap(
            lambda m: hnp.arrays(np.float64, (n, m), elements=st.integers(-5, 5) | st.floats(-100, 100))
        )
    )
)
@settings(max_examples=300, deadline=None)
def test_assign_is_the_best_of_all_assignments(cost: np.ndarray) -> None:
    n, m = cost.shape
    columns = assign(cost)
    assert len(set(columns.tolist())) == n
    best = min(sum(cost[row, column] for row, column in enumerate(order)) for order in permutations(range(m), n))
    assert cost[np.arange(n), columns].sum() == pytest.approx(best, abs=1e-9)
