"""A Raspberry Pi's own camera through picamera2: a stream for the eye, and a small one for the model."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from edgebnn.camera.clock import Clock
from edgebnn.camera.frame import Frame, Image
from edgebnn.errors import UnavailableError

TIMEOUT_S = 4.0
BUFFERS = 6
"""Asked for; a camera may have fewer."""
BUSY_BUFFERS = 4
"""Two that the camera fills, picamera2's newest, and the one that is coming; the others may wait for a reader."""

_OLDEST_STAMP_S = 5.0


class Picamera:
    """Camera `number` of picamera2.

    Frames are lent: the large picture stays in the camera's buffer until it is asked for, and goes back unread with the
    frame that nobody keeps. The small one, YUV420 from the camera's own scaler, is converted at once.
    """

    live = True
    paced = True

    def __init__(
        self,
        number: int,
        *,
        name: str,
        width: int,
        height: int,
        fps: float,
        small: tuple[int, int],
        format: str = "BGR888",
        clock: Clock | None = None,
    ) -> None:
        """Nothing is opened yet. `format` of the large stream: a key of FORMATS; small: least width and height."""
        self.name = name
        self._number = number
        self._size = (width, height)
        self._small = small_size((width, height), small)
        self._fps = fps
        self._format = format
        self._clock = clock or Clock()
        self._camera: Any = None
        self._most_lent = 1
        self._lent: deque[weakref.ref[_Loan]] = deque()
        self._returned: deque[Any] = deque()

    def __enter__(self) -> Picamera:
        """The camera is opened with the first frame."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the camera; frames that are still kept get their pictures first."""
        camera, self._camera = self._camera, None
        if camera is None:
            return
        try:
            self._settle(0)
            camera.stop()
        finally:
            camera.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield its frames; UnavailableError when it is not there, busy, or stops."""
        camera = self._camera = self._open()
        sequence = 0
        while True:
            self._settle(self._most_lent)
            job = camera.capture_request(wait=False)
            try:
                request = job.get_result(timeout=TIMEOUT_S)
            except (TimeoutError, FutureTimeoutError):
                raise UnavailableError(
                    f"{self.name} has sent no frame for {TIMEOUT_S:g} s: check the camera's ribbon cable"
                ) from None
            yield self._frame(request, sequence)
            sequence += 1

    def _open(self) -> Any:
        os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")
        try:
            from libcamera import ColorSpace
            from picamera2 import Picamera2
        except (ImportError, ValueError) as error:  # ValueError: compiled for another numpy
            raise UnavailableError(
                f"{self.name} needs picamera2, which cannot be imported ({error}): sudo apt install python3-picamera2,"
                " make the environment with `python3 -m venv --system-site-packages`, and leave numpy the system's"
            ) from None
        found = len(Picamera2.global_camera_info())
        if self._number >= found:
            raise UnavailableError(
                f"expected camera {self._number}, picamera2 finds {found}: check its ribbon cable, and that"
                " `rpicam-hello --list-cameras` shows it"
            )
        try:
            camera = Picamera2(self._number)
        except (RuntimeError, OSError) as error:
            raise UnavailableError(
                f"cannot open {self.name}: {error.__cause__ or error}; stop the other program that uses the camera"
            ) from None
        small = {} if self._small is None else {"lores": {"size": self._small, "format": "YUV420"}}
        try:
            camera.configure(
                camera.create_video_configuration(
                    main={"size": self._size, "format": self._format},
                    colour_space=ColorSpace.Smpte170m(),  # what OpenCV takes YUV420 for
                    controls={"FrameRate": self._fps},
                    buffer_count=BUFFERS,
                    **small,
                )
            )
            self._most_lent = max(1, camera.libcamera_config.at(0).buffer_count - BUSY_BUFFERS)
            camera.start()
        except Exception as error:
            camera.close()
            size = f"{self._size[0]}x{self._size[1]}"
            raise UnavailableError(
                f"{self.name} refuses {size} at {self._fps:g} fps: {error}; try another size"
            ) from None
        return camera

    def _frame(self, request: Any, sequence: int) -> Frame:
        config = request.config
        small = None if config.get("lores") is None else _picture(request, "lores")
        loan = _Loan(request, self._returned)
        self._lent.append(weakref.ref(loan))
        return Frame(loan.image, self._timestamp_ns(request), sequence, small=small, size=tuple(config["main"]["size"]))

    def _timestamp_ns(self, request: Any) -> int:
        """When the sensor took it; libcamera says so in CLOCK_BOOTTIME."""
        now_ns = self._clock.now_ns()
        age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(request.get_metadata().get("SensorTimestamp", 0))
        return now_ns - age_ns if 0 <= age_ns <= _OLDEST_STAMP_S * 1e9 else now_ns

    def _settle(self, most: int) -> None:
        """Give back what nobody wants any more; copy the oldest pictures out while more than `most` are lent."""
        while self._returned:
            self._returned.popleft().release()
        lent = [loan for reference in self._lent if (loan := reference()) is not None and loan.open]
        for loan in lent[: max(0, len(lent) - most)]:
            loan.image()
        self._lent = deque(weakref.ref(loan) for loan in lent if loan.open)


class _Loan:
    """A buffer of the camera, held until its picture was fetched, or nobody can fetch it any more."""

    def __init__(self, request: Any, returned: deque[Any]) -> None:
        self._request = request
        self._returned = returned
        self._lock = threading.Lock()
        self._image: Image | None = None

    @property
    def open(self) -> bool:
        return self._image is None

    def image(self) -> Image:
        with self._lock:
            if self._image is None:
                self._image = _picture(self._request, "main")
                self._request.release()
                self._request = None
            return self._image

    def __del__(self) -> None:
        # Released by the capture thread: here the garbage collector may have stopped a thread inside picamera2's lock.
        if self._request is not None:
            self._returned.append(self._request)


def small_size(size: tuple[int, int], least: tuple[int, int]) -> tuple[int, int] | None:
    """The smallest even size of `size`'s shape that holds `least`; None when that is no smaller than `size`."""
    scale = max(least[0] / size[0], least[1] / size[1])
    width, height = (2 * round(side * scale / 2) for side in size)
    return (max(2, width), max(2, height)) if scale < 1 else None


def _picture(request: Any, stream: str) -> Image:
    from picamera2 import MappedArray

    config = request.config[stream]
    with MappedArray(request, stream, reshape=False, write=False) as mapped:
        return to_rgb(mapped.array, config["format"], size=tuple(config["size"]), stride=config["stride"])


def _packed(code: int | None, channels: int) -> Callable[[Image, int, int, int], Image]:
    def convert(data: Image, width: int, height: int, stride: int) -> Image:
        rows = data[: height * stride].reshape(height, stride)[:, : width * channels]
        pixels = (
            rows.reshape(height, width, channels)
            if stride == width * channels
            else np.lib.stride_tricks.as_strided(rows, (height, width, channels), (stride, channels, 1))
        )
        return pixels.copy() if code is None else cv2.cvtColor(pixels, code)

    return convert


def _planar(code: int) -> Callable[[Image, int, int, int], Image]:
    def convert(data: Image, width: int, height: int, stride: int) -> Image:
        rows = height + height // 2
        rgb = cv2.cvtColor(data[: rows * stride].reshape(rows, stride), code)
        return rgb if stride == width else np.ascontiguousarray(rgb[:, :width])

    return convert


FORMATS = {
    "BGR888": _packed(None, 3),
    "RGB888": _packed(cv2.COLOR_BGR2RGB, 3),
    "XBGR8888": _packed(cv2.COLOR_RGBA2RGB, 4),
    "XRGB8888": _packed(cv2.COLOR_BGRA2RGB, 4),
    "YUV420": _planar(cv2.COLOR_YUV2RGB_I420),
    "NV12": _planar(cv2.COLOR_YUV2RGB_NV12),
}
"""libcamera's names, which read from the last byte of a pixel to the first."""


def to_rgb(data: Image, format: str, *, size: tuple[int, int], stride: int) -> Image:
    """An RGB copy of a buffer (bytes in one dimension) whose rows, of the luma plane where there are planes, lie
    `stride` bytes apart; UnavailableError when the buffer is too short or the format unknown.
    """
    width, height = size
    if format not in FORMATS:
        raise UnavailableError(
            f"expected frames of {', '.join(FORMATS)}, the camera gives {format}: choose one of these"
        )
    planar = format in ("YUV420", "NV12")
    needed = stride * height * 3 // 2 if planar else stride * height
    if data.size < needed:
        raise UnavailableError(
            f"expected {needed} bytes for {format} of {width}x{height}, the camera gives {data.size}"
        )
    return FORMATS[format](data, width, height, stride)
