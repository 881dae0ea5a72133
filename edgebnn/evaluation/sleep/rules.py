"""When an alarm may ring inside its wake window: rules that see one epoch after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from edgebnn.errors import InputError
from edgebnn.evaluation.sleep.baselines import cole_kripke
from edgebnn.evaluation.sleep.nights import EPOCH_S
from edgebnn.runtime.sleep_scorer import SleepScore

MOTION_SIZE = 0.7
"""The plain motion rule rings at a movement of at least this size among those of the night; set on simulated nights."""
COLE_KRIPKE_COUNTS = 1.2
"""Counts that a typical movement of the night stands for in Cole and Kripke's formula; set on simulated nights."""
COLE_KRIPKE_EPOCHS = 10
"""That the causal formula depends on: five minutes."""
NETWORK_FIRST, NETWORK_LAST = 0.7, 0.5
"""The network's rule rings at this P(wake or N1) when the window opens and, falling in proportion, when it closes."""


class RingRule(Protocol):
    """One of RULES, made anew for each night."""

    def add(self, score: SleepScore) -> None:
        """Take in the next epoch, inside of a window or not."""

    def reason(self, window_left: float) -> str | None:
        """Why to ring now, None for not yet; `window_left` is 1 when the window opens and 0 at the deadline."""


class MotionRule:
    """A plain threshold on the movement of the last epoch."""

    def __init__(self) -> None:
        """Nothing moved yet."""
        self._size = 0.0

    def add(self, score: SleepScore) -> None:
        """See RingRule."""
        self._size = score.size if score.moving else 0.0

    def reason(self, window_left: float) -> str | None:
        """See RingRule."""
        return "movement" if self._size >= MOTION_SIZE else None


class NetworkRule:
    """P(wake or N1) above a threshold that falls towards the deadline: early on only a good moment will do."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._light = 0.0

    def add(self, score: SleepScore) -> None:
        """See RingRule."""
        self._light = score.p_light

    def reason(self, window_left: float) -> str | None:
        """See RingRule."""
        threshold = NETWORK_LAST + (NETWORK_FIRST - NETWORK_LAST) * min(max(window_left, 0), 1)
        return f"awake or in light sleep, {100 * self._light:.0f} % sure" if self._light >= threshold else None


class PastColeKripke:
    """Cole and Kripke's index of one epoch after the other, from it and those before; nothing moves in a gap."""

    def __init__(self) -> None:
        """A night of stillness."""
        self._counts: deque[float] = deque([0.0] * COLE_KRIPKE_EPOCHS, maxlen=COLE_KRIPKE_EPOCHS)
        self._last_s: float | None = None

    def add(self, time_s: float, relative: float) -> float:
        """The index of the epoch at `time_s`, awake from 1 up; `relative` as in SleepScore."""
        missing = 0 if self._last_s is None else round((time_s - self._last_s) / EPOCH_S) - 1
        self._counts.extend([0.0] * min(missing, COLE_KRIPKE_EPOCHS))
        self._counts.append(relative * COLE_KRIPKE_COUNTS)
        self._last_s = time_s
        return float(cole_kripke(np.array(self._counts), causal=True)[-1])


class ColeKripkeRule:
    """Cole and Kripke's formula, past epochs only."""

    def __init__(self) -> None:
        """A night of stillness."""
        self._formula = PastColeKripke()
        self._index = 0.0

    def add(self, score: SleepScore) -> None:
        """See RingRule."""
        self._index = self._formula.add(score.time_s, score.relative)

    def reason(self, window_left: float) -> str | None:
        """See RingRule."""
        return f"awake by Cole and Kripke, {self._index:.1f}" if self._index >= 1 else None


RULES: dict[str, Callable[[], RingRule]] = {
    "network": NetworkRule,
    "motion": MotionRule,
    "cole-kripke": ColeKripkeRule,
}
DEFAULT_RULE = "motion"
"""Until labelled nights of people say otherwise (docs/sleep.md)."""


def ring_row(scores: Sequence[SleepScore], rule: RingRule, *, deadline_s: float, window_min: float) -> int:
    """Which epoch of a night an alarm rings in: the first in the window that the rule wants, else the last one before
    the deadline. InputError when all epochs lie behind the deadline.
    """
    last = -1
    for row, score in enumerate(scores):
        if score.time_s > deadline_s:
            break
        last = row
        rule.add(score)
        left_s = deadline_s - score.time_s
        if left_s <= 60 * window_min and rule.reason(left_s / (60 * window_min) if window_min else 0.0):
            return row
    if last < 0:
        raise InputError(f"expected epochs before the deadline at {deadline_s:.12g} s, the first one is later")
    return last
