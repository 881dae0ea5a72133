"""Whether anything moves in front of the camera, at a fraction of a millisecond a frame."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

GRID = (64, 48)
"""Cells across and down."""
LEAST_CHANGE, MOST_CHANGE = 6.0, 15.0
"""Grey levels that a cell must differ from the background, and that are enough whatever the noise."""
NOISE = 5.0
"""Between them: so many standard deviations of the noise, judged by the calmest quarter of the cells."""
LEAST_CELLS = 4
"""Cells that must differ: a face 1/30 as wide as the picture."""
MEMORY_S = 2.0
"""Time constant of the background: slow movers differ from it too."""


class MotionGate:
    """Compares each frame, as a small grey grid, with a background that follows slowly.

    A change of the whole picture's brightness (exposure, a cloud) is no motion. `mask` (GRID's height, width) limits
    where to look. After motion the gate stays open for `hold_s`, by the frames' timestamps.
    """

    def __init__(self, *, hold_s: float, mask: Mask | None = None) -> None:
        """Open, until the first frames show that nothing moves."""
        self.hold_s = hold_s
        self.mask = mask
        self._background: npt.NDArray[np.float32] | None = None
        self._seen_ns = 0
        self._moved_ns = 0

    def update(self, image: Image, timestamp_ns: int) -> bool:
        """Whether something moves in this RGB frame (H, W, 3), or did within the last `hold_s`."""
        small = cv2.cvtColor(cv2.resize(image, GRID, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        grid = small.astype(np.float32)
        if self._background is None:
            self._background, self._moved_ns, self._seen_ns = grid, timestamp_ns, timestamp_ns
            return True
        change = grid - self._background
        change -= np.median(change)
        change = np.abs(change, out=change)
        deviation = np.quantile(change, 0.25) / 0.3186  # of normal noise
        differs = change > min(max(NOISE * deviation, LEAST_CHANGE), MOST_CHANGE)
        if self.mask is not None:
            differs &= self.mask
        elapsed_s = max(timestamp_ns - self._seen_ns, 0) / 1e9
        self._background += (grid - self._background) * np.float32(1 - math.exp(-elapsed_s / MEMORY_S))
        self._seen_ns = timestamp_ns
        if np.count_nonzero(differs) >= LEAST_CELLS:
            self._moved_ns = timestamp_ns
            return True
        return timestamp_ns - self._moved_ns < self.hold_s * 1e9

    def forget(self) -> None:
        """The camera was away: open again."""
        self._background = None
