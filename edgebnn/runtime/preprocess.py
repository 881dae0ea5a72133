"""Frames into input tensors, and boxes back into frames."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.errors import InputError

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]


def letterbox(frame: Image, width: int, height: int, pad: int) -> tuple[Image, float, tuple[float, float]]:
    """`frame` (H, W, 3) scaled to fit in the middle of a (height, width, 3) image of grey `pad`.

    Returns (image, scale, (dx, dy)): frame pixel (x, y) lies at (x * scale + dx, y * scale + dy), to within a quarter
    of an image pixel. Interpolates linearly, after halving the frame, which averages pixels, down to less than twice.
    """
    check_frame(frame)
    _, w, h = _fit(frame, width, height)
    # OpenCV halves even sides in a sixth of the time: what is odd is left out, less than an image pixel at two edges.
    halvings = max(0, min(frame.shape[0] // h, frame.shape[1] // w).bit_length() - 1)
    half = frame[: frame.shape[0] >> halvings << halvings, : frame.shape[1] >> halvings << halvings]
    rows, columns = half.shape[:2]
    scale, w, h = _fit(half, width, height)
    left, top = (width - w) // 2, (height - h) // 2
    if (w, h) == (width, height):
        image = np.empty((height, width, 3), np.uint8)
    else:
        image = np.full((height, width, 3), pad, np.uint8)
    # Exact: plain linear interpolation rounds otherwise on ARM than on x86, which a binary network amplifies. By halves
    # as free of aliases as INTER_AREA, in half to a quarter of its time.
    for _ in range(halvings):
        half = cv2.resize(half, (half.shape[1] // 2, half.shape[0] // 2), interpolation=cv2.INTER_LINEAR_EXACT)
    inside = image[top : top + h, left : left + w]
    if half.shape[:2] == (h, w):
        inside[:] = half
    else:  # OpenCV has vector code for four channels, none for three: the same bits in three quarters of the time
        four = cv2.resize(cv2.cvtColor(half, cv2.COLOR_RGB2RGBA), (w, h), interpolation=cv2.INTER_LINEAR_EXACT)
        cv2.cvtColor(four, cv2.COLOR_RGBA2RGB, dst=inside)
    # The rounding of (w, h) is shared by both sides of the picture.
    return image, scale, (left + (w - columns * scale) / 2, top + (h - rows * scale) / 2)


def _fit(frame: Image, width: int, height: int) -> tuple[float, int, int]:
    """The scale that brings `frame` into (width, height), and its own width and height then."""
    rows, columns = frame.shape[:2]
    scale = min(width / columns, height / rows)
    return scale, max(1, round(columns * scale)), max(1, round(rows * scale))


def to_frame(
    boxes: Boxes, scale: float, shift: tuple[float, float], *, width: int, height: int
) -> tuple[Boxes, npt.NDArray[np.int64]]:
    """Undo `letterbox`: image boxes (N, 4) as x1, y1, x2, y2 to frame boxes (M, 4) as x, y, width, height.

    They are clipped to the frame (width, height); those with nothing inside are dropped. Also returns the indices (M,)
    of the boxes that stay.
    """
    limits = np.array((width, height), np.float64)
    exact = (boxes.reshape(-1, 2, 2) - np.array(shift, np.float64)) / scale
    np.maximum(exact, 0, out=exact)
    np.minimum(exact, limits, out=exact)
    corners = exact.astype(np.float32)
    size = corners[:, 1] - corners[:, 0]
    beyond = np.add(corners[:, 0], size, dtype=np.float64) > limits  # by float32's rounding
    if beyond.any():
        size[beyond] = np.nextafter(size[beyond], np.float32(0))
    kept = np.flatnonzero((size > 0).all(axis=1))
    return np.concatenate([corners[kept, 0], size[kept]], axis=1), kept


def input_table(
    dtype: npt.DTypeLike, mean: float, std: float, *, scale: float = 1, zero_point: int = 0
) -> npt.NDArray[Any]:
    """What each of the 256 grey values is in the input tensor: (value - mean) / std, quantised for integer tensors."""
    real = (np.arange(256, dtype=np.float32) - np.float32(mean)) / np.float32(std)
    if np.issubdtype(dtype, np.floating):
        return real.astype(dtype)
    limits = np.iinfo(np.dtype(dtype))
    quantised: npt.NDArray[Any] = np.clip(np.rint(real / scale) + zero_point, limits.min, limits.max).astype(dtype)
    return quantised


def apply_table(image: Image, table: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    """Write table[image] into `out` (same shape, the table's dtype): the one pass from pixels to the input tensor."""
    cv2.LUT(image, table, dst=out)


def check_frame(frame: Any) -> None:
    """Raise InputError unless `frame` is a non-empty uint8 array (H, W, 3)."""
    if not isinstance(frame, np.ndarray):
        raise InputError(f"expected an RGB frame as a uint8 array (H, W, 3), got {type(frame).__name__}")
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise InputError(
            f"expected a non-empty RGB frame of uint8 (H, W, 3), got {frame.dtype} {frame.shape}:"
            " convert it with cv2.cvtColor and astype(np.uint8)"
        )
