"""Movement in front of a camera, in day or infrared light, without keeping a picture.

A frame is averaged to a grey thumbnail 80 pixels wide; what remains between two of them after the camera's gain has
been taken out is noise or movement. The noise is measured in the same pair of frames, so that a camera which doubles
its gain in the dark does not look like a restless sleeper.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.errors import InputError

Array = npt.NDArray[np.float32]

WIDTH = 80
"""Of the thumbnail, pixels."""
MOVED = 4.5
"""A pixel has moved when its change exceeds this many standard deviations of its noise."""
LEAST_AREA = 0.0025
"""Share of the bed; noise now and then moves a few neighbouring pixels, and breathing the edge of a blanket."""
LEAST_NOISE = 0.25
"""Grey levels; a camera that averages its noise away still rounds to whole levels."""
LEAST_CONTRAST = 8.0
"""Grey levels; below, a picture shows nothing by which movement could be scaled."""
CLIPPED = (4.0, 250.0)
"""Grey levels outside of these say nothing about the change of gain."""
FORGET_QUIET_S, FORGET_BUSY_S = 60.0, 600.0
"""Time constants of a pixel's noise floor, falling and rising: a fan or a television is learnt in ten minutes, and a
sleeper who turns over is not."""
LIGHT_SHIFT, LIGHT_RATIO, LIGHT_AREA, LIGHT_NOISE = 12.0, 1.25, 0.25, 4.0
"""Light was switched: more than this share of the picture does not follow any change of gain, and its mean moves by
this many grey levels or by this factor; or what looks like noise leaps by the last factor everywhere at once."""


@dataclass(frozen=True)
class Motion:
    """What moved between two frames.

    energy: mean over the bed's pixels of the change above the noise, in thousandths of the picture's contrast.
    area, outside: share of the bed's pixels, and of the pixels outside of the bed, that moved, 0 to 1.
    noise: its standard deviation in the thumbnail, grey levels.
    light_changed: a lamp or a curtain, not a body; energy and areas are 0 then.
    duration_s: time between the frames.
    """

    energy: float
    area: float
    outside: float
    noise: float
    light_changed: bool
    duration_s: float


def thumbnail(image: npt.NDArray[np.uint8]) -> Array:
    """Grey float32 (h, 80), 0 to 255, of uint8 RGB (H, W, 3) or grey (H, W); InputError for other arrays."""
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or min(image.shape) == 0:
        raise InputError(f"expected a uint8 picture (H, W, 3) or (H, W), got {image.dtype} {image.shape}")
    if image.ndim == 3 and image.shape[2] != 3:
        raise InputError(f"expected three colours, got a picture {image.shape}")
    height = max(2, round(image.shape[0] * WIDTH / image.shape[1]))
    if height > 4 * WIDTH:
        raise InputError(f"expected a picture at most four times as high as wide, got {image.shape}")
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    # As floats: rounded to whole levels, the average of a quiet picture would move in steps.
    small = cv2.resize(grey.astype(np.float32), (WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


class MotionMeter:
    """Movement from frame to frame; `bed` is its rectangle x, y, width, height as fractions of the picture."""

    def __init__(self, *, bed: tuple[float, float, float, float] = (0, 0, 1, 1)) -> None:
        """Nothing is known before the second frame."""
        self._bed = bed
        self._forget()

    def _forget(self) -> None:
        self._before: Array | None = None
        self._before_ns = 0
        self._floor: Array = np.zeros(0, np.float32)
        self._inside: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._noise = float("inf")

    def update(self, grey: Array, timestamp_ns: int) -> Motion | None:
        """Movement since the last thumbnail; None for the first, after a new picture size, or when time stood still."""
        before, self._before = self._before, grey
        elapsed_s = (timestamp_ns - self._before_ns) / 1e9
        if before is None or before.shape != grey.shape:
            self._forget()
            self._before, self._before_ns = grey, timestamp_ns
            self._floor = np.ones_like(grey)
            self._inside = _rectangle(grey.shape, self._bed)
            return None
        if elapsed_s <= 0:
            self._before = before
            return None
        self._before_ns = timestamp_ns

        change = cv2.blur(grey - _follow_gain(before, grey), (3, 3))
        noise = max(LEAST_NOISE, _noise(change))
        relative = np.abs(change) / noise
        threshold = MOVED * np.maximum(1, self._floor)
        excess = np.maximum(0, relative - threshold)
        moved = excess > 0
        usual, self._noise = self._noise, noise
        if noise > LIGHT_NOISE * max(usual, 2 * LEAST_NOISE) or (
            moved.mean() > LIGHT_AREA and _mean_leapt(before, grey)
        ):
            return Motion(0, 0, 0, noise, True, elapsed_s)
        self._learn_floor(relative, elapsed_s)

        low, high = np.percentile(grey, (10, 90))
        contrast = max(LEAST_CONTRAST, float(high - low))
        inside, outside = self._inside, ~self._inside
        area = float(moved[inside].mean())
        return Motion(
            energy=float(excess[inside].mean()) * noise / contrast * 1000 if area >= LEAST_AREA else 0.0,
            area=area,
            outside=float(moved[outside].mean()) if outside.any() else 0.0,
            noise=noise,
            light_changed=False,
            duration_s=elapsed_s,
        )

    def _learn_floor(self, relative: Array, elapsed_s: float) -> None:
        """The floor is each pixel's usual change in units of what is usual in the whole picture."""
        # |x| of a normal variable has the mean 0.8; a single leap counts like a moderate one.
        usual = np.minimum(relative, 40) / 0.8
        rate = np.where(usual < self._floor, elapsed_s / FORGET_QUIET_S, elapsed_s / FORGET_BUSY_S)
        self._floor += (usual - self._floor) * np.minimum(rate, 0.2)


def _rectangle(shape: tuple[int, ...], fractions: tuple[float, float, float, float]) -> npt.NDArray[np.bool_]:
    height, width = shape
    x, y, w, h = fractions
    inside = np.zeros((height, width), np.bool_)
    inside[int(y * height) : max(int(y * height) + 1, round((y + h) * height)),
           int(x * width) : max(int(x * width) + 1, round((x + w) * width))] = True  # fmt: skip
    return inside


def _follow_gain(before: Array, after: Array) -> Array:
    """`before` as it would look with the gain and offset of `after`: least squares, once more without what moved."""
    usable = (before > CLIPPED[0]) & (before < CLIPPED[1]) & (after > CLIPPED[0]) & (after < CLIPPED[1])
    if usable.sum() < 0.1 * usable.size:
        return before + np.float32(np.median(after) - np.median(before))
    x, y = before[usable], after[usable]
    # The median of differences is a start which a body that fills a third of the picture does not shift.
    residual = np.abs(y - x - np.median(y - x))
    gain = offset = 0.0
    for _ in range(3):
        calm = residual <= 2 * np.median(residual) + 0.5
        mean_x, mean_y = float(x[calm].mean()), float(y[calm].mean())
        deviation = x[calm] - mean_x
        spread = float(deviation @ deviation)
        # A flat picture tells no gain: an offset explains all of it.
        gain = float(deviation @ (y[calm] - mean_y)) / spread if spread > x.size else 1.0
        offset = mean_y - gain * mean_x
        residual = np.abs(y - gain * x - offset)
    return np.asarray(gain * before + offset, np.float32)


def _noise(change: Array) -> float:
    """Standard deviation of what is usual: the lower quartile, over blocks, of the median absolute change.

    A body moves some of the blocks; noise is in all of them.
    """
    rows, columns = 4, 5
    height, width = (change.shape[0] // rows) * rows, (change.shape[1] // columns) * columns
    if height == 0:
        return float(np.median(np.abs(change))) * 1.4826
    blocks = np.abs(change[:height, :width]).reshape(rows, height // rows, columns, width // columns)
    medians = np.median(blocks.transpose(0, 2, 1, 3).reshape(rows * columns, -1), axis=1)
    return float(np.percentile(medians, 25)) * 1.4826


def _mean_leapt(before: Array, after: Array) -> bool:
    was, now = float(before.mean()), float(after.mean())
    ratio = (max(was, now) + 1) / (min(was, now) + 1)
    return abs(now - was) > LIGHT_SHIFT or ratio > LIGHT_RATIO
