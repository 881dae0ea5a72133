"""Training pictures made of one photograph with a known face: pasted, scaled, on other backgrounds; and its pieces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edgebnn.data.pictures import Image, Labelled


def write_composites(
    folder: Path, photograph: Image, box: Sequence[float], *, count: int, seed: int, side: int = 320
) -> list[Labelled]:
    """Write `count` PNG pictures of (side, side) into `folder`; `box` is the photograph's face as x, y, w, h.

    Every eighth picture has no face.
    """
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for index in range(count):
        random = np.random.default_rng((seed, index))
        canvas = _background(random, photograph, box, side)
        boxes = []
        if index % 8 != 7:
            scale = float(np.exp(random.uniform(np.log(24), np.log(200)))) / max(box[2], box[3])
            # The photograph around the face, at most what fits.
            margin = random.uniform(0.1, 0.8)
            x1, y1 = max(box[0] - margin * box[2], 0), max(box[1] - margin * box[3], 0)
            x2 = min(box[0] + (1 + margin) * box[2], photograph.shape[1])
            y2 = min(box[1] + (1 + margin) * box[3], photograph.shape[0])
            scale = min(scale, side / (x2 - x1), side / (y2 - y1))
            piece = photograph[round(y1) : round(y2), round(x1) : round(x2)]
            width, height = max(int(piece.shape[1] * scale), 1), max(int(piece.shape[0] * scale), 1)
            piece = cv2.resize(piece, (width, height), interpolation=cv2.INTER_AREA)
            left, top = (int(random.integers(0, side - size + 1)) for size in (width, height))
            canvas[top : top + height, left : left + width] = piece
            boxes.append(
                [
                    left + (box[0] - round(x1)) * scale,
                    top + (box[1] - round(y1)) * scale,
                    box[2] * scale,
                    box[3] * scale,
                ]
            )
        file = folder / f"composite{index:04d}.png"
        cv2.imwrite(str(file), cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR))
        out.append(Labelled(file, np.array(boxes, np.float32).reshape(-1, 4), np.zeros(len(boxes), np.bool_)))
    return out


def write_pieces(folder: Path, photograph: Image, box: Sequence[float], *, count: int, side: int = 64) -> None:
    """Write `count` PNG pictures of (side, side) into folder/face and as many into folder/other; `box` is x, y, w, h.

    Pieces of the face overlap its middle; the others lie beside or below the face.
    """
    random = np.random.default_rng(0)
    x, y, width, height = box
    for name in ("face", "other"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            size = round(random.uniform(0.7, 1.3) * max(width, height))
            while True:
                left, top = (int(random.integers(0, limit - size + 1)) for limit in photograph.shape[1::-1])
                middle = left + size / 2 - (x + width / 2), top + size / 2 - (y + height / 2)
                if name == "face" and max(map(abs, middle)) < 0.2 * size:
                    break
                if name == "other" and (left > x + width or left + size < x or top > y + height or top + size < y):
                    break
            piece = cv2.resize(photograph[top : top + size, left : left + size], (side, side))
            cv2.imwrite(str(folder / name / f"{index:04d}.png"), cv2.cvtColor(piece, cv2.COLOR_RGB2BGR))


def _background(random: np.random.Generator, photograph: Image, box: Sequence[float], side: int) -> Image:
    """Noise over a colour, or a much blurred piece of the photograph's lower half."""
    if random.random() < 0.5:
        noise = random.normal(random.uniform(40, 210, 3), random.uniform(2, 40), (side // 4, side // 4, 3))
        canvas: Image = cv2.resize(np.clip(noise, 0, 255).astype(np.uint8), (side, side))
    else:
        below = min(round(box[1] + box[3]), photograph.shape[0] - 8)
        canvas = cv2.blur(cv2.resize(photograph[below:], (side, side)), (41, 41))
    return canvas
