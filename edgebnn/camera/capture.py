"""What OpenCV has opened, and what it says meanwhile."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TypeVar

import cv2

Self = TypeVar("Self", bound="Captured")


class Captured:
    """A source that sets `_capture` with its first frame; at the end of `with` it is released."""

    _capture: cv2.VideoCapture | None = None

    def __enter__(self: Self) -> Self:
        """Nothing is opened before the first frame."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the file, the device or the connection."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def silence_opencv() -> None:
    """It and its decoders tell stderr about every damaged macroblock and failed attempt; we say what matters once."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET, read when the first video is opened
    if hasattr(cv2, "setLogLevel"):
        cv2.setLogLevel(0)
    elif hasattr(cv2.utils, "logging"):  # OpenCV 5
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
