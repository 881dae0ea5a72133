"""Sources that are files: a picture, the pictures of a folder, a video."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from types import TracebackType

import cv2
import numpy as np

from edgebnn.camera.capture import Captured, silence_opencv
from edgebnn.camera.clock import Clock, Pace
from edgebnn.camera.frame import Frame, Image
from edgebnn.errors import InputError

PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm"})
MAX_PIXELS = 128_000_000
MAX_BYTES = 1 << 29


class Picture:
    """The one frame of a picture file, upright (EXIF) and RGB.

    name: the file as its user wrote it; relative: where its results belong below an output folder.
    """

    live = False
    paced = False

    def __init__(self, path: Path, *, name: str | None = None, relative: PurePath | None = None) -> None:
        """Nothing is read yet."""
        self.path = path
        self.name = str(path) if name is None else name
        self.relative = PurePath(path.name) if relative is None else relative

    def __enter__(self) -> Picture:
        """Nothing to open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frame; InputError when the file is no picture, damaged, or too large."""
        yield Frame(read_picture(self.path), 0, 0)


class Folder:
    """The pictures of a folder as one source; one that cannot be read is a frame of no pixels."""

    live = False
    paced = False

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        """Nothing is read yet."""
        self.path = path
        self.name = str(path) if name is None else name

    def __enter__(self) -> Folder:
        """Nothing to open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the pictures in the order of `find`; InputError when there is none."""
        for number, source in enumerate(find(str(self.path))):
            try:
                image = read_picture(source.path)
            except InputError:
                image = np.empty((0, 0, 3), np.uint8)
            yield Frame(image, 0, number)


class Video(Captured):
    """The frames of a video file, RGB; name and relative as in `Picture`.

    paced: at the video's own rate, by `clock`, and with its time of passing as timestamp; else as they are asked for.
    """

    live = False

    def __init__(
        self,
        path: Path,
        *,
        name: str | None = None,
        relative: PurePath | None = None,
        paced: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Nothing is opened yet."""
        self.path = path
        self.paced = paced
        self._clock = clock or Clock()
        self.name = str(path) if name is None else name
        self.relative = PurePath(path.name) if relative is None else relative
        self.fps = 25.0
        """Frames per second, known from the first frame on."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield each frame; InputError when the file is no video, or ends before the length it states."""
        capture = self._capture = _open_video(self.path)
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0.1 <= fps <= 1000 else self.fps
        stated = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        pace = Pace(self._clock)
        count = 0
        while True:
            good, image = capture.read()
            if not good:
                break
            _refuse_large(image.shape[1], image.shape[0])
            timestamp_ns = max(0, round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6))
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
            if self.paced:
                pace.wait(round(1e9 / self.fps))
                timestamp_ns = self._clock.now_ns()
            yield Frame(image, timestamp_ns, count)
            count += 1
        if count == 0:
            raise InputError("the video has no frame that can be decoded: it is damaged or of an unknown codec")
        if count < 0.9 * stated:  # the count of some containers is an estimate
            raise InputError(f"the video is damaged: {count} of {stated:.0f} frames can be decoded")


def find(given: str) -> list[Picture | Video]:
    """The sources behind one SOURCE of a command line: a file, or the pictures in a folder.

    In a folder: files with an extension of PICTURES, in all subfolders, sorted by path, nothing hidden. A file whose
    extension is in VIDEOS is a video, any other a picture. InputError for a folder without pictures.
    """
    path = Path(given)
    if not path.is_dir():
        return [Video(path, name=given)] if path.suffix.lower() in VIDEOS else [Picture(path, name=given)]
    files = sorted(_pictures(path))
    if not files:
        raise InputError(f"the folder has no pictures ({' '.join(sorted(PICTURES))})")
    return [Picture(path / file, name=os.path.join(given, file), relative=file) for file in files]  # noqa: PTH118


def _pictures(folder: Path) -> Iterator[PurePath]:
    closed: list[str] = []
    for root, folders, files in os.walk(folder, onerror=lambda error: closed.append(error.filename)):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(root, name)
            if not name.startswith(".") and path.suffix.lower() in PICTURES:
                yield path.relative_to(folder)
    for name in closed:  # reading it as a picture will say why not
        yield Path(name).relative_to(folder)


def read_picture(path: Path) -> Image:
    """RGB uint8 (H, W, 3) of a picture file, turned as its EXIF says; InputError says why not."""
    data = _read(path)
    if data.startswith(b"\xff\xd8\xff"):
        _check_jpeg(data)
    elif data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        _refuse_large(int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise InputError(f"the picture cannot be decoded: {' '.join(str(error.err).split())}") from None
    if image is None:
        if path.suffix.lower() in PICTURES:
            raise InputError(
                "the picture is damaged or of an unknown format: expected JPEG, PNG, BMP, TIFF, WebP or PPM"
            )
        raise InputError(
            "this is no picture (JPEG, PNG, BMP, TIFF, WebP, PPM), and its name is not that of a video"
            f" ({' '.join(sorted(VIDEOS))})"
        )
    _refuse_large(image.shape[1], image.shape[0])
    rgb: Image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
    return rgb


def _read(path: Path) -> bytes:
    try:
        if not path.exists():
            raise InputError("no such file: check the path")
        if path.is_dir():
            raise InputError("cannot read the folder: permission denied")
        if not path.is_file():
            raise InputError("expected an image file, a folder or a video file, got something else")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                f"expected a picture of at most {MAX_BYTES >> 20} MiB, got {path.stat().st_size >> 20} MiB"
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read it: {getattr(error, 'strerror', None) or error}") from None
    if not data:
        raise InputError("the file is empty")
    return data


def _check_jpeg(data: bytes) -> None:
    """Refuse what libjpeg would fill with grey, a file cut short, and what is too large to decode."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            _refuse_large(int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big"))
        if marker == 0xDA:  # start of scan: what follows is compressed, with FF D9 only at its end
            break
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if data.find(b"\xff\xd9", at) < 0:
        raise InputError("the picture is damaged: the JPEG data end too early")


def _refuse_large(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise InputError(f"expected at most {limit} megapixels, got {width}x{height}: scale the picture down")


def _open_video(path: Path) -> cv2.VideoCapture:
    if not path.exists():
        raise InputError("no such file: check the path")
    if not path.is_file():
        raise InputError("expected an image file, a folder or a video file, got something else")
    silence_opencv()
    # One decoding thread, so that its CPU time ends with read() and is not counted as inference. An absolute path,
    # because FFmpeg takes `name:...` for a protocol.
    options = [cv2.CAP_PROP_N_THREADS, 1] if hasattr(cv2, "CAP_PROP_N_THREADS") else []
    try:
        capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG, options)
    except (cv2.error, UnicodeEncodeError, SystemError) as error:
        raise InputError(f"the video cannot be opened: {error}") from None
    if not capture.isOpened():
        raise InputError("the video cannot be opened: it is damaged or of an unknown format")
    return capture
