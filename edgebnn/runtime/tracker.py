"""Detections of successive frames joined to tracks: one id per object, kept through short occlusions.

The scheme is that of ByteTrack (Zhang et al. 2022): a constant-velocity Kalman filter predicts each track; good scores
are matched first, poor ones then keep a track alive, but only good ones begin one. Instead of the IoU, which is zero
between the frames of a slow camera, a pair is judged by its likelihood under the filter, which knows the time between
frames. Time is that of the frames' timestamps; frames are counted only to confirm a new track.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebnn.runtime.detections import Detections

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Of the state (centre x, centre y, ln width, ln height); centres in units of the box's own size, sqrt(width * height).
_NOISE = np.array([0.07, 0.07, 0.1, 0.1]) ** 2
"""Variance of a detector's boxes."""
_FIRST_VELOCITY = np.array([2.0, 2.0, 0.0, 0.0]) ** 2
"""Variance of a new track's velocity per second; sizes have none, ..."""
_ACCELERATION = np.array([4.0, 4.0, 0.0, 0.0])
"""Growth of the velocity's variance in a second."""
_DRIFT = np.array([0.0, 0.0, 0.05, 0.05])
"""... they wander: growth of their variance in a second."""
_NEW_OBJECT = 4.0
"""A pair whose -2 ln likelihood is above it: the detection is rather a new object's."""
_CONFIRMING = 2
"""Successive frames that make a track; a single one may be a slip of the detector."""

_TRACK = np.dtype(
    [
        ("id", "i8"),  # 0 until confirmed
        ("at", "f8", 4),
        ("velocity", "f8", 4),  # per second
        ("variance", "f8", (3, 4)),  # of `at`, of both together, of `velocity`; the four do not depend on each other
        ("first_ns", "i8"),
        ("seen_ns", "i8"),
        ("seen", "?"),  # in the last frame
        ("score", "f4"),
        ("hits", "i8"),
    ]
)


@dataclass(frozen=True)
class Tracks:
    """N confirmed tracks at the time of one frame, oldest first.

    ids: int64 (N,), counted from 1, never given twice; boxes: float32 (N, 4) as x, y, width, height in frame pixels,
    filtered, and predicted while the object is hidden; scores: float32 (N,), the last seen; seen: bool (N,), whether in
    this very frame; age_s: float64 (N,), since first seen.
    """

    ids: Ints
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    seen: npt.NDArray[np.bool_]
    age_s: Floats

    def __len__(self) -> int:
        """Number of tracks."""
        return len(self.ids)


class Tracker:
    """Give it the detections of every frame, also when there are none.

    min_score: from it on a detection may begin a track; low_score: from it on one continues a track; max_unseen_s: how
    long a track outlives its last detection. All three may change at any time.
    """

    def __init__(self, *, min_score: float, low_score: float, max_unseen_s: float = 2.0) -> None:
        """No tracks yet."""
        self.min_score, self.low_score, self.max_unseen_s = min_score, low_score, max_unseen_s
        self._tracks = np.zeros(0, _TRACK)
        self._last_id = 0
        self._now_ns: int | None = None

    def update(self, found: Detections, timestamp_ns: int) -> Tracks:
        """The tracks after a frame taken at `timestamp_ns`; a time before the last frame's counts as the same."""
        now = timestamp_ns if self._now_ns is None else max(timestamp_ns, self._now_ns)
        tracks, elapsed = self._tracks, now - (now if self._now_ns is None else self._now_ns)
        self._now_ns = now
        _predict(tracks, elapsed / 1e9)
        just_seen, confirmed = tracks["seen"].copy(), tracks["id"] > 0
        tracks["seen"] = False
        good = np.flatnonzero(found.scores >= self.min_score)
        poor = np.flatnonzero((found.scores >= self.low_score) & (found.scores < self.min_score))

        good = self._match(confirmed, found, good, now)
        self._match(confirmed & just_seen & ~tracks["seen"], found, poor, now)
        good = self._match(~confirmed, found, good, now)

        alive = np.where(confirmed, now - tracks["seen_ns"] <= self.max_unseen_s * 1e9, tracks["seen"])
        self._tracks = np.concatenate([tracks[alive], _begin(found, good, now)])
        return self._confirm(now)

    def _match(self, which: npt.NDArray[np.bool_], found: Detections, chosen: Ints, now: int) -> Ints:
        """Update tracks `which` by the detections `chosen`; returns those of them that belong to no track."""
        rows = np.flatnonzero(which)
        if not len(rows) or not len(chosen):
            return chosen
        tracks, measured = self._tracks[rows], _measure(found.boxes[chosen])
        cost = _unlikelihood(tracks, measured)
        # A column more for each track: that it stays alone.
        columns = assign(np.concatenate([cost, np.full((len(rows), len(rows)), _NEW_OBJECT)], axis=1))
        pairs = np.flatnonzero(columns < len(chosen))
        columns = columns[pairs]
        matched = tracks[pairs]
        _correct(matched, measured[columns])
        matched["seen_ns"], matched["seen"], matched["score"] = now, True, found.scores[chosen[columns]]
        matched["hits"] += 1
        self._tracks[rows[pairs]] = matched
        return np.delete(chosen, columns)

    def _confirm(self, now: int) -> Tracks:
        tracks = self._tracks
        new = np.flatnonzero((tracks["id"] == 0) & (tracks["hits"] >= _CONFIRMING))
        tracks["id"][new] = self._last_id + 1 + np.arange(len(new))
        self._last_id += len(new)
        shown = np.sort(tracks[tracks["id"] > 0], order="id")
        size = np.exp(shown["at"][:, 2:])
        boxes = np.concatenate([shown["at"][:, :2] - size / 2, size], axis=1).astype(np.float32)
        return Tracks(shown["id"], boxes, shown["score"], shown["seen"], (now - shown["first_ns"]) / 1e9)


def _measure(boxes: npt.NDArray[np.float32]) -> Floats:
    """Boxes (N, 4) as x, y, width, height to centre x, centre y, ln width, ln height."""
    boxes = boxes.astype(np.float64)
    return np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, np.log(np.maximum(boxes[:, 2:], 1e-3))], axis=1)


def _units(at: Floats) -> Floats:
    """What one unit of the variances is for states (N, 4): the box's size squared for centres, 1 for logarithms."""
    area = np.exp(at[:, 2] + at[:, 3])
    return np.stack([area, area, np.ones_like(area), np.ones_like(area)], axis=1)


def _begin(found: Detections, chosen: Ints, now: int) -> npt.NDArray[np.void]:
    tracks = np.zeros(len(chosen), _TRACK)
    tracks["at"] = _measure(found.boxes[chosen])
    unit = _units(tracks["at"])
    tracks["variance"][:, 0], tracks["variance"][:, 2] = _NOISE * unit, _FIRST_VELOCITY * unit
    tracks["first_ns"] = tracks["seen_ns"] = now
    tracks["seen"], tracks["hits"], tracks["score"] = True, 1, found.scores[chosen]
    return tracks


def _predict(tracks: npt.NDArray[np.void], seconds: float) -> None:
    """The Kalman filter's step in time, in place: x + v t, with white noise as acceleration."""
    t, unit, variance = seconds, _units(tracks["at"]), tracks["variance"]
    tracks["at"] += tracks["velocity"] * t
    place, both, velocity = variance[:, 0].copy(), variance[:, 1].copy(), variance[:, 2].copy()
    variance[:, 0] = place + 2 * t * both + t**2 * velocity + (_ACCELERATION * t**3 / 3 + _DRIFT * t) * unit
    variance[:, 1] = both + t * velocity + _ACCELERATION * t**2 / 2 * unit
    variance[:, 2] = velocity + _ACCELERATION * t * unit


def _unlikelihood(tracks: npt.NDArray[np.void], measured: Floats) -> Floats:
    """-2 ln likelihood, less a constant, of each of M measurements (M, 4) from each of N tracks: (N, M)."""
    unit = _units(tracks["at"])
    spread = tracks["variance"][:, 0] / unit + _NOISE
    squares = (measured[None] - tracks["at"][:, None]) ** 2 / unit[:, None]
    outcome: Floats = (squares / spread[:, None]).sum(axis=2) + np.log(spread).sum(axis=1)[:, None]
    return outcome


def _correct(tracks: npt.NDArray[np.void], measured: Floats) -> None:
    """The Kalman filter's step at a measurement, in place."""
    variance = tracks["variance"]
    spread = variance[:, 0] + _NOISE * _units(tracks["at"])
    gain, gain_velocity = variance[:, 0] / spread, variance[:, 1] / spread
    error = measured - tracks["at"]
    tracks["at"] += gain * error
    tracks["velocity"] += gain_velocity * error
    variance[:, 2] -= gain_velocity * variance[:, 1]
    variance[:, 1] *= 1 - gain
    variance[:, 0] *= 1 - gain


def assign(cost: Floats) -> Ints:
    """The column of each row (n,), all different, with the least sum of `cost` (n, m), n <= m, all finite.

    Shortest augmenting paths (Jonker and Volgenant 1987): O(n^2 m), nearly O(n m) where rows do not compete.
    """
    n, m = cost.shape
    row_price, column_price = np.zeros(n), np.zeros(m)
    column_of, row_of = np.full(n, -1), np.full(m, -1)
    for first in range(n):
        length, before, done = np.full(m, np.inf), np.full(m, -1), np.zeros(m, bool)
        row, reached = first, 0.0
        while row >= 0:  # Dijkstra, until a column that is free
            through = reached + cost[row] - row_price[row] - column_price
            shorter = ~done & (through < length)
            length[shorter], before[shorter] = through[shorter], row
            column = int(np.argmin(np.where(done, np.inf, length)))
            done[column], reached, row = True, length[column], int(row_of[column])
        done[column] = False
        row_price[first] += reached
        row_price[row_of[done]] += reached - length[done]
        column_price[done] -= reached - length[done]
        while row != first:  # back along the path
            row = int(before[column])
            row_of[column] = row
            column_of[row], column = column, int(column_of[row])
    return column_of
