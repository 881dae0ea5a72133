"""A detector's output maps on whole pictures: letterboxed as its card says, decoded back to picture pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebnn.card import Decode, Preprocess
from edgebnn.runtime.detections import decode
from edgebnn.runtime.preprocess import letterbox, to_frame

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Letterboxed:
    """A picture of (width, height) as a network's input, RGB uint8, and what leads back to its pixels."""

    image: npt.NDArray[np.uint8]
    scale: float
    shift: tuple[float, float]
    width: int
    height: int


def prepare(image: npt.NDArray[np.uint8], how: Preprocess) -> Letterboxed:
    """The picture (h, w, 3) as a network's input, turned where `how` says so."""
    how = how.for_picture(image.shape[1], image.shape[0])
    fitted, scale, shift = letterbox(image, how.width, how.height, how.pad)
    return Letterboxed(fitted, scale, shift, image.shape[1], image.shape[0])


def find(
    maps: Mapping[str, Array], how: Decode, picture: Letterboxed, *, min_score: float
) -> tuple[Array, npt.NDArray[np.float32]]:
    """Boxes (n, 4) as x, y, width, height in the picture's pixels and scores (n,), best first."""
    corners, scores = decode(maps, how, min_score=min_score)
    boxes, kept = to_frame(corners, picture.scale, picture.shift, width=picture.width, height=picture.height)
    return boxes, scores[kept]
