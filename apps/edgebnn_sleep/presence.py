"""Whether somebody is in the bed: from movement inside and outside of it, and from the rhythm of breathing.

A sleeper can lie still for an hour, so that stillness alone does not mean an empty bed. Two things are asked for: the
last movement led out of the bed (or nothing moved for half an hour), and no part of the picture rises and falls at the
rate at which people breathe.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import cv2
import numpy as np

from edgebnn_sleep.motion import Array, Motion

State = Literal["in_bed", "out_of_bed", "unknown"]

RHYTHM_S = 32.0
"""Length of the stretch in which breathing is looked for."""
RHYTHM_HZ = 4.0
"""Thumbnails a second that are kept for it, at most."""
BREATHS_HZ = (0.13, 0.5)
"""8 to 30 breaths a minute."""
RHYTHM_FOUND = 8.0
"""The strongest line in that band, in deviations of the spectrum above it."""
MOVES = 0.002
"""Share of the bed (or of what lies around it) that counts as a movement."""
SETTLED_S = 2.0
"""Movement within half a minute that says that somebody has lain down."""
LEFT_S = 60.0
"""After the last movement led out of the bed, it must stay still for this long."""
EMPTY_S = 30 * 60.0
"""Without any movement and breathing, the bed is empty after this time."""


class Rhythm:
    """Looks for breathing in the thumbnails of the last half minute; they stay in memory and are overwritten."""

    def __init__(self) -> None:
        """Empty."""
        self._rows: deque[tuple[float, Array]] = deque()

    def add(self, grey: Array, time_s: float) -> None:
        """Keep a quarter-size copy of a thumbnail, at most four a second."""
        if self._rows and time_s - self._rows[-1][0] < 0.75 / RHYTHM_HZ:
            return
        if self._rows and time_s - self._rows[-1][0] > 2.0:
            self._rows.clear()
        small = cv2.resize(grey, (grey.shape[1] // 2, max(1, grey.shape[0] // 2)), interpolation=cv2.INTER_AREA)
        if self._rows and self._rows[-1][1].shape != small.shape:
            self._rows.clear()
        self._rows.append((time_s, small))
        while time_s - self._rows[0][0] > RHYTHM_S:
            self._rows.popleft()

    def forget(self) -> None:
        """Start again: after a movement the old thumbnails would only show that movement."""
        self._rows.clear()

    def strength(self) -> float | None:
        """The strongest line at breathing rates in deviations above the noise; None before there is half a minute."""
        times = np.array([time_s for time_s, _ in self._rows])
        if len(times) < 32 or times[-1] - times[0] < 0.9 * RHYTHM_S:
            return None
        values = np.stack([row for _, row in self._rows]).reshape(len(times), -1)
        # What the whole picture does is light or gain, not a chest.
        values = values - np.median(values, axis=1, keepdims=True)
        steps = np.arange(len(times)) - (len(times) - 1) / 2
        values -= values.mean(axis=0)
        values -= np.outer(steps, steps @ values) / (steps @ steps)
        power = np.abs(np.fft.rfft(values * np.hanning(len(times))[:, None], axis=0)) ** 2
        # Each pixel in units of its own noise; the mean over pixels of white noise is 1 at every frequency.
        power = power / np.maximum(np.median(power, axis=0), 1e-6)
        spectrum = power.mean(axis=1)
        frequencies = np.fft.rfftfreq(len(times), (times[-1] - times[0]) / (len(times) - 1))
        breaths = (frequencies >= BREATHS_HZ[0]) & (frequencies <= BREATHS_HZ[1])
        above = frequencies > BREATHS_HZ[1]
        if not breaths.any() or above.sum() < 8:
            return None
        usual = float(np.median(spectrum[above]))
        deviation = 1.4826 * float(np.median(np.abs(spectrum[above] - usual)))
        return (float(spectrum[breaths].max()) - usual) / max(deviation, 1e-3 * usual, 1e-6)


class Presence:
    """in_bed, out_of_bed or unknown, and since when (monotonic seconds)."""

    def __init__(self) -> None:
        """Unknown, until something moves or nothing moves and breathes for half an hour."""
        self.lost()

    def lost(self) -> None:
        """Without a camera nothing is known."""
        self.state: State = "unknown"
        self.since_s: float | None = None
        self._movements: deque[tuple[float, float]] = deque()
        self._last_sign_s: float | None = None
        self._last_inside_s = self._last_outside_s = float("-inf")

    def saw(self, motion: Motion, time_s: float) -> None:
        """Take in the movement of one frame."""
        if self._last_sign_s is None:
            self._last_sign_s = time_s
        if motion.area > MOVES:
            self._movements.append((time_s, min(motion.duration_s, 1.0)))
            self._last_inside_s = self._last_sign_s = time_s
        if motion.outside > MOVES:
            self._last_outside_s = time_s
        while self._movements and time_s - self._movements[0][0] > 30:
            self._movements.popleft()
        # Somebody who leaves moves in the bed too; what counts is where the movement ends.
        moved_s = sum(duration for _, duration in self._movements)
        if moved_s >= SETTLED_S and self._last_inside_s >= self._last_outside_s:
            self._become("in_bed", time_s)
        left = self._last_inside_s <= self._last_outside_s <= self._last_inside_s + 20
        if self.state == "in_bed" and left and time_s - self._last_outside_s >= LEFT_S:
            self._become("out_of_bed", self._last_outside_s)

    def breathless(self, time_s: float) -> None:
        """Breathing was looked for in the last half minute and not found: half an hour of it is an empty bed."""
        if self._last_sign_s is not None and time_s - self._last_sign_s >= EMPTY_S:
            self._become("out_of_bed", self._last_sign_s)

    def breathes(self, time_s: float) -> None:
        """Something in the picture rises and falls as a chest does: whoever seemed to have left has not."""
        self._last_sign_s = self._last_inside_s = time_s
        self._become("in_bed", time_s)

    def out_for_s(self, time_s: float) -> float:
        """How long the bed has been empty without interruption, seconds; 0 when it is not known to be."""
        return time_s - self.since_s if self.state == "out_of_bed" and self.since_s is not None else 0.0

    def _become(self, state: State, since_s: float) -> None:
        if state != self.state:
            self.state, self.since_s = state, since_s
