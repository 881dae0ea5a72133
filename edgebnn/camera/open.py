"""From what a user writes, `v4l2:/dev/video0` or `film.mp4`, to the source behind it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from edgebnn.camera.clock import Clock
from edgebnn.camera.files import VIDEOS, Folder, Picture, Video
from edgebnn.camera.frame import Source
from edgebnn.config import masked
from edgebnn.errors import InputError

STREAMS = ("rtsp://", "rtsps://", "http://", "https://")
CAMERAS = ("picamera:", "v4l2:", "synthetic:", *STREAMS)


def is_camera(spec: str) -> bool:
    """Whether `spec` names a camera, a stream or a synthetic source, not a file."""
    return spec.startswith(CAMERAS)


def open_source(
    spec: str,
    *,
    width: int = 640,
    height: int = 480,
    fps: float = 15.0,
    small: tuple[int, int] = (320, 240),
    paced: bool = True,
    clock: Clock | None = None,
) -> Source:
    """The source that `spec` names (docs/cameras.md lists the forms); it is opened when it is iterated.

    width, height, fps: what a camera is asked for; it may give the nearest that it has. small: least size of the
    pictures for the model, where the camera makes them beside the large ones. paced: a video runs at its own rate.
    InputError when `spec` is none.
    """
    clock = clock or Clock()
    if not is_camera(spec):
        path = Path(spec)
        if path.is_dir():
            return Folder(path, name=spec)
        if path.suffix.lower() in VIDEOS:
            return Video(path, name=spec, paced=paced, clock=clock)
        return Picture(path, name=spec)
    if spec.startswith(STREAMS):
        from edgebnn.camera.opencv import Stream

        if not _has_host(spec):
            raise InputError(f"expected an address as rtsp://host:554/path, got {masked(spec)!r}: correct it")
        return Stream(spec, name=masked(spec), clock=clock)
    kind, rest = spec.split(":", 1)
    device, _, query = rest.partition("?")
    options = _options(spec, query)
    if kind == "synthetic":
        from edgebnn.camera.synthetic import Synthetic, parse_scene

        if device:
            raise InputError(f"expected synthetic:?name=value&..., got {spec!r}: put a ? before the options")
        return Synthetic(parse_scene(options, width=width, height=height, fps=fps), name=spec, clock=clock)
    if kind == "v4l2":
        from edgebnn.camera.opencv import V4l2

        return V4l2(
            _v4l2_device(spec, device),
            name=spec,
            width=width,
            height=height,
            fps=fps,
            format=_format(spec, options),
            clock=clock,
        )
    from edgebnn.camera.picamera import Picamera

    if not re.fullmatch(r"\d{1,3}", device) or options:
        raise InputError(f"expected picamera:N with the number of a camera, got {spec!r}: write picamera:0")
    return Picamera(int(device), name=spec, width=width, height=height, fps=fps, small=small, clock=clock)


def check_source(spec: str) -> str:
    """`spec`, when it is one of `open_source` whose file or folder, if it names one, is there; else InputError."""
    if not is_camera(spec) and not _exists(spec):
        raise InputError("expected picamera:N, v4l2:/dev/videoN, an address, or a file or folder that exists")
    open_source(spec)
    return spec


def _exists(file: str) -> bool:
    try:
        return bool(file) and Path(file).exists()
    except (OSError, ValueError):  # nothing that this user can reach; no name of a file
        return False


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # of a bracket, or a port that is no number
        return False


def _options(spec: str, query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs) or query.count("&") + bool(query) != len(pairs):
        raise InputError(f"expected name=value options joined by &, each once, got {spec!r}: correct them")
    return options


def _v4l2_device(spec: str, device: str) -> Path:
    if re.fullmatch(r"\d{1,3}", device):
        return Path(f"/dev/video{device}")
    if device.startswith("/dev/"):
        return Path(device)
    raise InputError(f"expected v4l2:N or v4l2:/dev/videoN, got {spec!r}: `ls /dev/video*` lists the devices")


def _format(spec: str, options: dict[str, str]) -> str | None:
    wanted = options.pop("format", None)
    if options or (wanted is not None and not re.fullmatch(r"[0-9A-Za-z]{4}", wanted)):
        raise InputError(f"expected at most ?format= and a FourCC as MJPG or YUYV, got {spec!r}: correct it")
    return wanted
