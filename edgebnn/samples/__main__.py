"""`python -m edgebnn.samples`: prints where the photograph is; `--clip FILE` makes a short video that pans over it."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from edgebnn.errors import InputError
from edgebnn.samples import photograph

FRAMES, RATE, SIZE = 45, 15.0, (480, 360)  # three seconds, width x height


def write_clip(path: Path) -> None:
    """An .mp4 in which the camera moves and turns a little over the photograph."""
    picture = cv2.imread(str(photograph()))
    path.parent.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, SIZE)
    if not video.isOpened():
        raise InputError(f"OpenCV could not open {path} to write an .mp4: choose another folder")
    for phase in np.linspace(0, 2 * np.pi, FRAMES):
        centre = (256 + 35 * np.sin(phase), 176 + 10 * np.cos(phase))
        turn = cv2.getRotationMatrix2D(centre, 6 * np.sin(2 * phase), 1.35 + 0.1 * np.cos(phase))  # all inside
        turn[:, 2] += np.array(SIZE) / 2 - centre
        video.write(cv2.warpAffine(picture, turn, SIZE))
    video.release()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m edgebnn.samples", description=__doc__)
    parser.add_argument("--clip", type=Path, metavar="FILE")
    clip = parser.parse_args().clip
    if clip is None:
        print(photograph())
    else:
        write_clip(clip)
