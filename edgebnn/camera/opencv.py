"""Cameras that OpenCV reads: V4L2 devices, and streams over the network through its FFmpeg."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from edgebnn.camera.capture import Captured, silence_opencv
from edgebnn.camera.clock import Clock
from edgebnn.camera.frame import Frame
from edgebnn.errors import UnavailableError

TIMEOUT_S = 4
"""Of opening a camera and of waiting for a frame."""
NAME_TIMEOUT_S = 1.5
"""Of looking up a host's name. All three in a row stay below the 10 s that make a capture thread count as blocked."""

_OLDEST_STAMP_S = 2.0


class V4l2(Captured):
    """A V4L2 camera: USB, or any other that has a /dev/videoN which gives pictures."""

    live = True
    paced = True

    def __init__(
        self,
        device: Path,
        *,
        name: str,
        width: int,
        height: int,
        fps: float,
        format: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Nothing is opened yet. `format` is a FourCC as MJPG; without one, OpenCV chooses."""
        self.name = name
        self._device = device
        self._size = (width, height)
        self._fps = fps
        self._format = format
        self._clock = clock or Clock()

    def __iter__(self) -> Iterator[Frame]:
        """Yield its frames; UnavailableError when it is not there, busy, or stops."""
        capture = self._capture = self._open()
        yield from _frames(capture, self._clock, what=str(self._device), stamped=True)

    def _open(self) -> cv2.VideoCapture:
        device = self._device
        try:
            os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK))
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                cure = "plug the camera in; `ls /dev/video*` lists what is there"
            elif isinstance(error, PermissionError):
                cure = "add this user to the group video: sudo usermod -aG video $USER, then log in again"
            else:
                cure = "check the camera and its cable"
            raise UnavailableError(f"cannot open the camera {device}: {error.strerror}; {cure}") from None
        silence_opencv()
        # Read by OpenCV when it waits for its first frame.
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(TIMEOUT_S))
        capture = cv2.VideoCapture(str(device), cv2.CAP_V4L2)
        if not capture.isOpened():
            raise UnavailableError(
                f"{device} gives no pictures: it is busy or no camera; `fuser -v {device}` names who has it, and"
                " a Raspberry Pi's own camera is picamera:0"
            )
        if self._format is not None:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*self._format))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        capture.set(cv2.CAP_PROP_FPS, self._fps)
        return capture


class Stream(Captured):
    """A stream over the network: RTSP, or MJPEG and whatever else FFmpeg reads over HTTP."""

    live = True
    paced = True

    def __init__(self, url: str, *, name: str, clock: Clock | None = None) -> None:
        """Nothing is opened yet; `name` is the URL without its password."""
        self.name = name
        self._url = url
        self._clock = clock or Clock()

    def __iter__(self) -> Iterator[Frame]:
        """Yield its frames; UnavailableError when it cannot be reached, is none, or stops."""
        silence_opencv()
        _look_up(urlsplit(self._url).hostname or "", self.name)
        # FFmpeg would try UDP first, which loses packets on a wireless network; read with each opening.
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 1000 * TIMEOUT_S, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 1000 * TIMEOUT_S]
        capture = self._capture = cv2.VideoCapture(self._url, cv2.CAP_FFMPEG, timeouts)
        if not capture.isOpened():
            raise UnavailableError(
                f"cannot open the stream {self.name} within {TIMEOUT_S} s: check the address, the password, and that"
                " the camera is on"
            )
        yield from _frames(capture, self._clock, what=self.name, stamped=False)


def _look_up(host: str, name: str) -> None:
    """UnavailableError unless the host has an address within NAME_TIMEOUT_S.

    FFmpeg would ask for it too, but for as long as the resolver tries, which nothing can interrupt.
    """
    answers: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            socket.getaddrinfo(host, None)
            answers.put(None)
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(0, "no valid name"))

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        error = answers.get(timeout=NAME_TIMEOUT_S)
    except queue.Empty:
        error = OSError(0, f"no answer within {NAME_TIMEOUT_S:g} s")
    if error is not None:
        raise UnavailableError(
            f"cannot open the stream {name}: {error.strerror} about {host!r}; check the name and the network"
        )


def _frames(capture: cv2.VideoCapture, clock: Clock, *, what: str, stamped: bool) -> Iterator[Frame]:
    """Frames until none comes: then UnavailableError. stamped: POS_MSEC is the driver's monotonic time of capture."""
    sequence = 0
    while capture.grab():
        now_ns = clock.now_ns()
        timestamp_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6) if stamped else now_ns
        if not 0 <= now_ns - timestamp_ns <= _OLDEST_STAMP_S * 1e9:  # of another clock
            timestamp_ns = now_ns
        good, image = capture.retrieve()
        if not good or image is None or image.size == 0:
            image = np.empty((0, 0, 3), np.uint8)
        elif image.ndim == 3 and image.shape[2] == 3:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
        yield Frame(image, timestamp_ns, sequence)
        sequence += 1
    raise UnavailableError(f"{what} sends no more frames: check the camera and its cable or network")
