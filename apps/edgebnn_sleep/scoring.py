"""Awake or asleep, epoch by epoch, and whether now is a good moment to ring; never from later epochs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Score:
    """What is made of an epoch. `ring`: the sleeper seems awake enough now; `reason` says why, for the night's log."""

    p_wake: float
    asleep: bool
    restless: bool
    stage: int
    ring: bool
    reason: str


class Scorer(Protocol):
    """Scores the epochs of one night in order."""

    def add(self, time_s: float, activity: float | None) -> Score | None:
        """The score of the epoch at `time_s`; None when it cannot be scored."""


class MotionRule:
    """The plain rule: movement in the last epoch is waking, ten still minutes are sleep. Scale: what moves at all."""

    def __init__(self) -> None:
        """Awake."""
        self._positive: deque[float] = deque(maxlen=960)
        self._levels: deque[float] = deque(maxlen=20)
        self._awake_epochs = 0

    def add(self, time_s: float, activity: float | None) -> Score | None:
        """See Scorer."""
        if activity is None:
            self._levels.clear()
            return None
        if activity > 0:
            self._positive.append(activity)
        ordered = sorted(self._positive)
        usual = ordered[len(ordered) // 2] if ordered else 1.0
        level = activity / usual if usual > 0 else 0.0
        self._levels.append(level)
        recent = sum(self._levels) / self._levels.maxlen if self._levels.maxlen else 0.0
        asleep = len(self._levels) == self._levels.maxlen and recent < 0.35 and level < 3
        moving = level >= 1
        self._awake_epochs = self._awake_epochs + 1 if moving else 0
        p_wake = min(0.95, 0.05 + 0.5 * recent + (0.3 if moving else 0.0))
        reason = f"movement in the last {self._awake_epochs} epochs" if self._awake_epochs > 1 else "movement"
        return Score(p_wake, asleep, asleep and level > 0, -1, moving, reason)


def make_scorer(rule: str) -> Scorer:
    """A scorer of one night by the name of a ring rule."""
    return MotionRule()
