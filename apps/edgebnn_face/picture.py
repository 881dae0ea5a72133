"""What people see: the frame at the size of a page, with boxes and ids, or with unrecognisable faces."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn_face.pipeline import Result

Image = npt.NDArray[np.uint8]

_COLOURS = [(96, 221, 142), (88, 166, 255), (255, 178, 72), (214, 138, 255), (255, 123, 114), (64, 213, 214)]
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MARGIN = 0.3
"""By how much of its size a face is blurred around its box: hair, ears, chin."""
_BLOCKS = 5
"""Across a blurred face."""


def annotated(result: Result, *, width: int, blur: bool) -> Image:
    """An RGB picture at most `width` wide, with a box and the id at each track; hidden ones in a thin line."""
    image = plain(result, width=width, blur=blur)
    scale = image.shape[1] / result.frame.width
    thick = max(1, round(image.shape[1] / 320))
    size = max(0.4, image.shape[1] / 1100)
    tracks = result.tracks
    for id_, box, seen in zip(tracks.ids.tolist(), tracks.boxes * scale, tracks.seen.tolist(), strict=True):
        x, y, w, h = box.round().astype(int).tolist()
        colour = _COLOURS[id_ % len(_COLOURS)]
        cv2.rectangle(image, (x, y), (x + w, y + h), (0, 0, 0), thick + 2 if seen else 2, cv2.LINE_AA)
        cv2.rectangle(image, (x, y), (x + w, y + h), colour, thick if seen else 1, cv2.LINE_AA)
        if seen:
            _label(image, f"{id_}", (x, y), colour, size, thick)
    return image


def plain(result: Result, *, width: int, blur: bool) -> Image:
    """The frame as a picture of its own, at most `width` wide."""
    frame = result.frame.image
    height = max(1, round(frame.shape[0] * width / frame.shape[1]))
    image = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) if width < frame.shape[1] else frame.copy()
    if blur:
        scale = image.shape[1] / frame.shape[1]
        # Whatever may be a face, also where none counts, and where one is hidden for a moment.
        for box in np.concatenate([result.found.boxes, result.tracks.boxes]) * scale:
            _blur(image, box)
    return image


def encoded(image: Image, *, quality: int) -> bytes:
    """An RGB picture as JPEG."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def _blur(image: Image, box: npt.NDArray[np.float32]) -> None:
    height, width = image.shape[:2]
    x, y, w, h = box.tolist()
    left, right = max(0, int(x - _MARGIN * w)), min(width, int(np.ceil(x + w + _MARGIN * w)))
    top, bottom = max(0, int(y - _MARGIN * h)), min(height, int(np.ceil(y + h + _MARGIN * h)))
    if left >= right or top >= bottom:
        return
    part = image[top:bottom, left:right]
    few = cv2.resize(part, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA)
    part[:] = cv2.resize(few, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)


def _label(image: Image, text: str, at: tuple[int, int], colour: tuple[int, int, int], size: float, thick: int) -> None:
    """A number on a plate above the box's corner, or inside of it at the picture's edge."""
    stroke = max(1, round(2 * size))
    (width, height), _ = cv2.getTextSize(text, _FONT, size, stroke)
    pad = 2 + thick
    plate = (width + 2 * pad, height + 2 * pad)
    left = max(0, min(at[0] - thick // 2, image.shape[1] - plate[0]))
    top = at[1] - plate[1] if at[1] >= plate[1] else max(0, at[1])
    cv2.rectangle(image, (left, top), (left + plate[0], top + plate[1]), colour, cv2.FILLED, cv2.LINE_AA)
    cv2.putText(image, text, (left + pad, top + plate[1] - pad), _FONT, size, (0, 0, 0), stroke, cv2.LINE_AA)
