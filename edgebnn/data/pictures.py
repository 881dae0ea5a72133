"""Labelled pictures held in memory for cropping."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.errors import DataError

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Labelled:
    """A picture's file, its boxes (n, 4) as x, y, width, height in pixels, which of them to ignore (n,), its source."""

    file: Path
    boxes: Boxes
    ignore: npt.NDArray[np.bool_]
    source: str = ""


def read_rgb(file: Path) -> Image | None:
    """The picture as RGB (h, w, 3), None when it cannot be read or decoded."""
    try:
        data = np.fromfile(file, np.uint8)
    except OSError:
        return None
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


class Pictures:
    """Pictures by index: those that decode, as many as fit in `cache_mb` kept decoded.

    `items` has the boxes in the pixels of `image`, which is the file shrunk to `longest_side` where that is given.
    `problems` has a sentence for each file or box that was skipped.
    """

    def __init__(
        self, labelled: Sequence[Labelled], *, cache_mb: int, longest_side: int | None = None, threads: int = 2
    ) -> None:
        """Read every file once, in `threads` threads; DataError when none can be decoded."""
        self.problems: list[str] = []
        self.items: list[Labelled] = []
        self._cache: list[Image | None] = []
        self._longest_side = longest_side
        left = cache_mb * 2**20
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(labelled), 256):
                part = labelled[start : start + 256]
                for item, image in zip(part, pool.map(lambda item: read_rgb(item.file), part), strict=True):
                    if image is None:
                        self.problems.append(f"{item.file} is not a readable picture, skipped")
                        continue
                    kept = self._shrink(image)
                    left -= kept.nbytes
                    self.items.append(self._fit(item, image, kept))
                    self._cache.append(kept if left >= 0 else None)
        for problem in self.problems:
            print(f"edgebnn: {problem}", file=sys.stderr)
        if not self.items:
            raise DataError(f"expected readable pictures, none of {len(labelled)} could be decoded: check --data")

    def __len__(self) -> int:
        """Number of pictures that decode."""
        return len(self.items)

    def image(self, index: int) -> Image:
        """Picture `index` as RGB uint8 (h, w, 3); not to be written to."""
        image = self._cache[index]
        if image is None:
            whole = read_rgb(self.items[index].file)
            if whole is None:
                raise DataError(f"{self.items[index].file} could be read at the start and cannot be read any more")
            image = self._shrink(whole)
        return image

    def _shrink(self, image: Image) -> Image:
        height, width = image.shape[:2]
        if self._longest_side is None or max(height, width) <= self._longest_side:
            return image
        scale = self._longest_side / max(height, width)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        shrunk: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return shrunk

    def _fit(self, item: Labelled, image: Image, kept: Image) -> Labelled:
        """The labels in pixels of `kept`, without the boxes that lie outside of the picture."""
        size = np.array(image.shape[1::-1], np.float32)
        inside = ((item.boxes[:, :2] < size) & (item.boxes[:, :2] + item.boxes[:, 2:] > 0)).all(axis=1)
        for box in item.boxes[~inside].tolist():
            self.problems.append(f"{item.file}: box {box} lies outside of the picture, skipped")
        scale = np.tile(np.array(kept.shape[1::-1], np.float32) / size, 2)
        return Labelled(item.file, item.boxes[inside] * scale, item.ignore[inside], item.source)
