"""What the sleep network sees of each epoch: activity without a scale, from this night and up to now only.

The unit of activity differs between devices, and how it grows with movement too. So an epoch is compared with the
night so far: the floor and its noise come from low quantiles of all epochs, the size of a movement from the logarithms
of those above the floor. Multiplying a whole night by a constant changes nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

WINDOWS = (2, 5, 10, 20, 40, 80)
"""Epochs of 30 s over which signals are averaged."""
LEVELS = (0.0, 0.5, 0.8)
"""Sizes of movement since which the time is counted, 0 to 1."""
FLOOR_NOISE = 4.0
"""An epoch moves when it exceeds the 0.3 quantile by so many times the distance from the 0.1 quantile to it."""
PRIOR = 3.0
"""Epochs' worth of belief, when the night begins, that sizes of movements are spread like `PRIOR_DEVIATION`."""
PRIOR_DEVIATION = 1.2
EXCESS_SCALE = 3.0
"""Logarithms of the excess, in typical movements of the night, that make 1."""

NAMES = (
    "known", "moving", "size", "rank", "excess",
    *(f"{signal} {window}" for window in WINDOWS for signal in ("moving", "size", "rank")),
    "moving so far", "size so far",
    *(f"since {level:g}" for level in LEVELS),
    "hours", "early", "known 20",
)  # fmt: skip
"""The channels, in order."""
COUNT = len(NAMES)

Row = npt.NDArray[np.float32]


class SleepFeatures:
    """The features of a night, epoch after epoch; memory grows by one number an epoch."""

    def __init__(self) -> None:
        """The night begins."""
        self._sorted: list[float] = []
        self._epochs = 0
        self._moves = 0
        self._log_sum = self._log_squares = 0.0
        self._since = [0] * len(LEVELS)
        # Sums of known, moving, size and rank from the beginning of the night, of the last epochs in turn.
        self._sums = np.zeros((WINDOWS[-1] + 1, 4))

    def add(self, activity: float | None) -> Row:
        """The features (COUNT,) of the next epoch; None or nan for one in which nothing was recorded."""
        if activity is None or math.isnan(activity):
            return self._row(0.0, 0.0, 0.0, 0.0, 0.0)
        insort(self._sorted, activity)
        excess, moving = self._excess(activity)
        size = self._size(excess) if moving else 0.0
        ordered = self._sorted
        rank = (bisect_left(ordered, activity) + bisect_right(ordered, activity)) / (2 * len(ordered))
        unit = math.exp(self._log_sum / self._moves) if self._moves else 1.0
        return self._row(1.0, float(moving), size, rank, math.log1p(excess / unit) / EXCESS_SCALE)

    def _excess(self, activity: float) -> tuple[float, bool]:
        """By how much the epoch exceeds the floor, and whether that is a movement."""
        low, floor = _quantile(self._sorted, 0.1), _quantile(self._sorted, 0.3)
        excess = max(activity - floor, 0.0)
        return excess, excess > max(FLOOR_NOISE * (floor - low), 1e-6 * activity)

    def _size(self, excess: float) -> float:
        """How large a movement is among those of the night, 0 to 1; takes it into account."""
        log = math.log(excess)
        self._moves += 1
        self._log_sum += log
        self._log_squares += log * log
        mean = self._log_sum / self._moves
        squares = max(self._log_squares - mean * self._log_sum, 0.0)
        deviation = math.sqrt((squares + PRIOR * PRIOR_DEVIATION**2) / (self._moves + PRIOR))
        return 1 / (1 + math.exp(-1.7 * (log - mean) / deviation))

    def _row(self, known: float, moving: float, size: float, rank: float, excess: float) -> Row:
        last = self._sums[self._epochs % len(self._sums)]
        self._epochs += 1
        so_far = last + np.array([known, moving, size, rank])
        self._sums[self._epochs % len(self._sums)] = so_far
        before = self._sums[(self._epochs - _WINDOWS) % len(self._sums)]
        recent = np.where((self._epochs > _WINDOWS)[:, None], so_far - before, so_far)
        averages = recent[:, 1:] / np.maximum(recent[:, :1], 1)
        for place, level in enumerate(LEVELS):
            self._since[place] = 0 if moving and size >= level else self._since[place] + 1
        return np.array(
            [
                known, moving, size, rank, min(excess, 2.0),
                *averages.ravel(),
                *(so_far[1:3] / max(so_far[0], 1)),
                *(math.log2(1 + since) / 5 for since in self._since),
                self._epochs / 1200, math.exp(-self._epochs / 30), recent[3, 0] / WINDOWS[3],
            ],
            np.float32,
        )  # fmt: skip


_WINDOWS = np.array(WINDOWS)
_MOVING, _SIZE, _EXCESS = NAMES.index("moving"), NAMES.index("size"), NAMES.index("excess")


def movement_of(row: Row) -> tuple[bool, float, float]:
    """Of the features of an epoch: whether it moves, the size 0 to 1, and the excess in typical movements."""
    return bool(row[_MOVING]), float(row[_SIZE]), float(np.expm1(EXCESS_SCALE * row[_EXCESS]))


def _quantile(ordered: list[float], share: float) -> float:
    """Linear between neighbours."""
    place = share * (len(ordered) - 1)
    below = int(place)
    if below + 1 >= len(ordered):
        return ordered[-1]
    return ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])


def all_features(activity: Iterable[float]) -> npt.NDArray[np.float32]:
    """The features (n, COUNT) of a night of n epochs, nan where nothing was recorded."""
    night = SleepFeatures()
    rows = [night.add(float(value)) for value in activity]
    return np.stack(rows) if rows else np.zeros((0, COUNT), np.float32)
