"""Boxes with scores drawn on a picture."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.runtime.detections import Detections

_LINE, _EDGE, _TEXT = (60, 230, 60), (0, 0, 0), (0, 0, 0)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT_PX = 22
"""Of a capital letter at scale 1."""
_EDGED_PX = 400
"""From this size of a picture on, the green line has a black edge."""


def draw(image: npt.NDArray[np.uint8], found: Detections) -> npt.NDArray[np.uint8]:
    """A copy of the RGB `image` with each box and its score; lines and letters grow with the picture."""
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    thick = max(1, round(max(height, width) / 350))
    scale = max(0.35, max(height, width) / 1200)
    for (x, y, w, h), score in zip(found.boxes.round().astype(int).tolist(), found.scores.tolist(), strict=True):
        corners = (x, y), (min(x + w, width - 1), min(y + h, height - 1))
        if max(height, width) >= _EDGED_PX:
            cv2.rectangle(canvas, *corners, _EDGE, thick + 2)
        cv2.rectangle(canvas, *corners, _LINE, thick)
        text = f"{score:.2f}"
        stroke = max(1, round(scale * 1.5))
        (text_width, _), _ = cv2.getTextSize(text, _FONT, scale, stroke)
        label = (text_width + 4 * thick, round(_FONT_HEIGHT_PX * scale) + 4 * thick)
        left = max(0, min(x, width - label[0]))
        top = y - label[1] if y >= label[1] else min(y + h, height - label[1])
        cv2.rectangle(canvas, (left, top), (left + label[0], top + label[1]), _LINE, cv2.FILLED)
        at = (left + 2 * thick, top + label[1] - 2 * thick)
        cv2.putText(canvas, text, at, _FONT, scale, _TEXT, stroke, cv2.LINE_AA)
    return canvas
