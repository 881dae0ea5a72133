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

    `unreadable` lists the files that were skipped.
    """

    def __init__(self, labelled: Sequence[Labelled], *, cache_mb: int, threads: int = 2) -> None:
        """Read every file once, in `threads` threads; DataError when none can be decoded."""
        self.unreadable: list[Path] = []
        self.items: list[Labelled] = []
        self._cache: list[Image | None] = []
        left = cache_mb * 2**20
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(labelled), 256):
                part = labelled[start : start + 256]
                for item, image in zip(part, pool.map(lambda item: read_rgb(item.file), part), strict=True):
                    if image is None:
                        self.unreadable.append(item.file)
                        continue
                    left -= image.nbytes
                    self.items.append(item)
                    self._cache.append(image if left >= 0 else None)
        for file in self.unreadable:
            print(f"edgebnn: {file} is not a readable picture, skipped", file=sys.stderr)
        if not self.items:
            raise DataError(f"expected readable pictures, none of {len(labelled)} could be decoded: check --data")

    def __len__(self) -> int:
        """Number of pictures that decode."""
        return len(self.items)

    def image(self, index: int) -> Image:
        """Picture `index` as RGB uint8 (h, w, 3); not to be written to."""
        image = self._cache[index]
        if image is None:
            image = read_rgb(self.items[index].file)
            if image is None:
                raise DataError(f"{self.items[index].file} could be read at the start and cannot be read any more")
        return image
