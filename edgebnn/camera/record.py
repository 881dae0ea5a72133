"""Annotated pictures and videos written below a folder: whole under their names, or not there at all."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.errors import EdgebnnError

Image = npt.NDArray[np.uint8]


class Names:
    """Paths below `folder` that differ from one another and from every file in `sources`."""

    def __init__(self, folder: Path, sources: list[Path]) -> None:
        """Make the folder; EdgebnnError when that is impossible."""
        self._folder = folder
        self._taken = {path.resolve() for path in sources}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EdgebnnError(f"cannot write into {folder}: {error.strerror}; give --save another folder") from None

    def take(self, relative: PurePath, suffix: str) -> Path:
        """For a source `a/b.png`: a/b-detected.jpg, or b-detected-2.jpg when that is taken."""
        stem = relative.stem if len(os.fsencode(relative.stem)) <= 200 else relative.stem[:50]
        number = 1
        while True:
            ending = "-detected" if number == 1 else f"-detected-{number}"
            path = (self._folder / relative.parent).resolve() / f"{stem}{ending}{suffix}"
            if path not in self._taken:
                break
            number += 1
        self._taken.add(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EdgebnnError(
                f"cannot write into {path.parent}: {error.strerror}; give --save another folder"
            ) from None
        return path


def write_picture(path: Path, image: Image) -> None:
    """Write an RGB picture, in the format of the path's suffix."""
    good, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not good:
        raise EdgebnnError(f"cannot encode {path.name}: {image.shape[1]}x{image.shape[0]} is no size for {path.suffix}")
    part = _part(path)
    try:
        part.write_bytes(data.tobytes())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise EdgebnnError(
            f"cannot write {path}: {error.strerror}; free some space or give --save another folder"
        ) from None


class VideoRecord:
    """An MPEG-4 video (.mp4) of RGB frames of one size; it gets its name when it is closed with a frame in it.

    The codec takes even sizes: a last odd row or column is repeated.
    """

    MOST_REPEATED_S = 1.0
    """So long a gap in time is filled with the picture before it; a longer one is cut to this."""

    def __init__(self, path: Path, *, fps: float) -> None:
        """Nothing is written before the first frame."""
        self.path = path
        self._fps = fps
        self._part = _part(path)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._until_ns = 0

    def write_at(self, image: Image, timestamp_ns: int) -> None:
        """Append a frame that came at that time, as often as the video's rate needs to go as fast as time did."""
        period_ns = round(1e9 / self._fps)
        if self._writer is None:
            self._until_ns = timestamp_ns
        self._until_ns = max(self._until_ns, timestamp_ns - round(self.MOST_REPEATED_S * 1e9))
        while self._until_ns <= timestamp_ns:
            self.write(image)
            self._until_ns += period_ns

    def write(self, image: Image) -> None:
        """Append a frame; EdgebnnError when the file cannot be written."""
        height, width = image.shape[:2]
        if self._writer is None:
            self._size = (width, height)
            fourcc = cv2.VideoWriter.fourcc(*"mp4v")
            even = (width + width % 2, height + height % 2)
            self._writer = cv2.VideoWriter(str(self._part.absolute()), cv2.CAP_FFMPEG, fourcc, self._fps, even)
            if not self._writer.isOpened():
                raise EdgebnnError(
                    f"cannot write the video {self.path} of {width}x{height}: give --save another folder"
                )
        elif self._size != (width, height):
            raise EdgebnnError(f"expected frames of {self._size[0]}x{self._size[1]}, got {width}x{height}")
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if width % 2 or height % 2:
            bgr = cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        self._writer.write(bgr)

    def close(self) -> None:
        """Finish the file; EdgebnnError when nothing of it arrived on the disk."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if not self._part.is_file() or self._part.stat().st_size == 0:
            self._part.unlink(missing_ok=True)
            raise EdgebnnError(f"cannot write the video {self.path}: free some space or give --save another folder")
        self._part.replace(self.path)


def _part(path: Path) -> Path:
    """The hidden name beside `path` under which it grows."""
    return path.with_name(f".{path.stem}.part{path.suffix}")
