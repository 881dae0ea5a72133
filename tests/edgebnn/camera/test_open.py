from __future__ import annotations

from pathlib import Path

import pytest

from edgebnn.camera.files import Folder, Picture, Video
from edgebnn.camera.open import check_source, is_camera, open_source
from edgebnn.camera.opencv import Stream, V4l2
from edgebnn.camera.picamera import Picamera
from edgebnn.camera.synthetic import Synthetic
from edgebnn.config import masked
from edgebnn.errors import InputError


@pytest.mark.parametrize(
    ("spec", "kind", "live", "paced"),
    [
        ("picamera:0", Picamera, True, True),
        ("v4l2:0", V4l2, True, True),
        ("v4l2:/dev/video12?format=MJPG", V4l2, True, True),
        ("v4l2:/dev/v4l/by-id/usb-camera", V4l2, True, True),
        ("rtsp://host/stream", Stream, True, True),
        ("rtsps://host/stream", Stream, True, True),
        ("http://user:password@host:8080/video?fps=5", Stream, True, True),
        ("https://host/stream.m3u8", Stream, True, True),
        ("synthetic:", Synthetic, True, True),
        ("synthetic:?fps=0&faces=3", Synthetic, True, False),
        ("film.mp4", Video, False, True),
        ("photo.jpg", Picture, False, False),
    ],
)
def test_forms(spec: str, kind: type, live: bool, paced: bool) -> None:
    source = open_source(spec)
    assert isinstance(source, kind) and (source.live, source.paced) == (live, paced)
    assert source.name == masked(spec) and is_camera(spec) == live


def test_files(pictures: Path) -> None:
    assert isinstance(open_source(str(pictures)), Folder)
    assert not open_source("film.mp4", paced=False).paced
    assert not is_camera("v4l2") and not is_camera("./v4l2:0") and not is_camera("/rtsp://a")


def test_defaults_reach_the_source() -> None:
    source = open_source("synthetic:?fps=7", width=800, height=600, fps=20)
    assert isinstance(source, Synthetic)
    assert (source.scene.width, source.scene.height, source.scene.fps) == (800, 600, 7)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("picamera:", "write picamera:0"),
        ("picamera:front", "write picamera:0"),
        ("picamera:0?a=1", "write picamera:0"),
        ("rtsp://", "expected an address as rtsp://"),
        ("http://user:hunter2@:80/", r"got 'http://\*\*\*@:80/'"),
        ("http://host:port/", "expected an address"),
        ("http://[::1/", "expected an address"),
        ("v4l2:", "expected v4l2:N or v4l2:/dev/videoN"),
        ("v4l2:video0", "expected v4l2:N"),
        ("v4l2:-1", "expected v4l2:N"),
        ("v4l2:0?format=MJPEG", "FourCC"),
        ("v4l2:0?fmt=MJPG", "FourCC"),
        ("v4l2:0?format", "FourCC"),
        ("v4l2:0?format=MJPG&", "name=value"),
        ("synthetic:faces=2", "put a \\? before the options"),
        ("synthetic:?faces=2&faces=3", "each once"),
        ("synthetic:?faces=", "expected faces as a whole number"),
    ],
)
def test_errors_say_the_cure(spec: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_source(spec)


def test_check_source(tmp_path: Path) -> None:
    for spec in ("picamera:0", "v4l2:/dev/video7", "rtsp://camera.lan/", str(tmp_path)):
        assert check_source(spec) == spec
    for spec in ("picamera", "", "a\0b", "a" * 300, str(tmp_path / "film.mp4")):
        with pytest.raises(InputError, match="a file or folder that exists"):
            check_source(spec)
    with pytest.raises(InputError, match="write picamera:0"):
        check_source("picamera:")
