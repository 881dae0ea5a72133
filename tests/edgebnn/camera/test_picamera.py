from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from edgebnn.camera.clock import SimulatedClock
from edgebnn.camera.frame import Frame
from edgebnn.camera.picamera import FORMATS, Picamera, small_size, to_rgb
from edgebnn.errors import UnavailableError
from tests.edgebnn.camera.fake_picamera2 import Hardware, install


def picamera(number: int = 0, *, width: int = 128, height: int = 96, small: tuple[int, int] = (64, 48)) -> Picamera:
    clock = SimulatedClock(10**12)
    return Picamera(number, name="picamera:0", width=width, height=height, fps=30, small=small, clock=clock)


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hardware]:
    made = Hardware()
    install(monkeypatch, made)
    yield made


def grey(frame: Frame) -> tuple[int, int]:
    """The one grey level of the large picture, and of the small."""
    for image in (frame.image, frame.small):
        assert image.min() == image.max() and image.dtype == np.uint8 and image.flags.c_contiguous
    return int(frame.image[0, 0, 0]), int(frame.small[0, 0, 0])


def luma(number: int) -> int:
    """RGB of a grey pixel by BT.601's formula for Y of 16 to 235."""
    return round(255 / 219 * number)


@pytest.mark.parametrize("padding", [0, 32])
@pytest.mark.parametrize("formats", [{}, {"main": "NV12", "lores": "NV12"}, {"main": "XRGB8888"}, {"main": "RGB888"}])
def test_both_streams_without_their_padding(
    monkeypatch: pytest.MonkeyPatch, padding: int, formats: dict[str, str]
) -> None:
    install(monkeypatch, Hardware(padding=padding, formats=formats))
    with picamera() as source:
        for number, frame in zip(range(1, 5), source, strict=False):
            assert frame.sequence == number - 1 and (frame.width, frame.height) == (128, 96)
            assert frame.image.shape == (96, 128, 3) and frame.small.shape == (48, 64, 3)
            large, small = grey(frame)
            assert abs(large - (luma(number) if formats.get("main") == "NV12" else number)) <= 1
            assert abs(small - luma(number)) <= 1


def test_what_is_asked_for(hardware: Hardware) -> None:
    with picamera(width=1280, height=720, small=(320, 240)) as source:
        next(iter(source))
    asked = hardware.asked
    assert asked["main"] == {"size": (1280, 720), "format": "BGR888"}
    assert asked["lores"] == {"size": (426, 240), "format": "YUV420"}
    assert asked["controls"] == {"FrameRate": 30} and asked["buffer_count"] == 6
    assert hardware.log == ["open 0", "start", "stop", "close"]


def test_one_stream_where_the_model_wants_the_whole_picture(hardware: Hardware) -> None:
    with picamera(small=(128, 96)) as source:
        frame = next(iter(source))
        assert frame.small is frame.image
    assert "lores" not in hardware.asked


def test_the_large_picture_is_copied_only_when_it_is_asked_for(hardware: Hardware) -> None:
    with picamera() as source:
        for number, frame in zip(range(50), source, strict=False):
            assert frame.small.shape == (48, 64, 3)
            if number == 30:
                assert grey(frame)[0] == 31 and grey(frame)[0] == 31
        assert hardware.frames == 50 and hardware.mapped.count("main") == 1
    assert hardware.mapped.count("main") == 2  # the last frame was still kept when the camera was closed


def test_frames_that_are_kept_keep_their_pictures_and_never_starve_the_camera(hardware: Hardware) -> None:
    kept = []
    with picamera() as source:
        for _, frame in zip(range(40), source, strict=False):
            kept.append(frame.numbered(7))
            assert len(kept) - hardware.mapped.count("main") <= 3  # what waits in buffers
    assert [grey(frame)[0] for frame in kept] == list(range(1, 41))
    assert hardware.free == hardware.buffers


def test_a_camera_with_few_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    hardware = Hardware(buffers=5)
    install(monkeypatch, hardware)
    with picamera() as source:
        kept = [frame for _, frame in zip(range(20), source, strict=False)]
    assert [grey(frame)[0] for frame in kept] == list(range(1, 21))


def test_frames_in_a_cycle_are_given_back_by_the_capture_thread(hardware: Hardware) -> None:
    with picamera() as source:
        frames = iter(source)
        cycle: list[object] = [next(frames)]
        cycle.append(cycle)
        del cycle
        free = hardware.free
        gc.collect()
        assert hardware.free == free  # nothing of picamera2 is called from the garbage collector
        next(frames)
        assert hardware.free == free


def test_the_time_is_the_sensors(hardware: Hardware) -> None:
    hardware.stamp_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 10**9
    with picamera() as source:
        age_ns = 10**12 - next(iter(source)).timestamp_ns
    assert 10**9 <= age_ns < 60 * 10**9


@pytest.mark.parametrize("stamp_ns", [None, 0, 2**62])
def test_a_stamp_that_cannot_be(hardware: Hardware, stamp_ns: int | None) -> None:
    hardware.stamp_ns = stamp_ns
    with picamera() as source:
        assert next(iter(source)).timestamp_ns == 10**12


def test_without_picamera2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libcamera", None)
    with pytest.raises(UnavailableError, match="sudo apt install python3-picamera2"), picamera() as source:
        next(iter(source))


def test_picamera2_compiled_for_another_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Importer:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "libcamera":
                raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")

    monkeypatch.delitem(sys.modules, "libcamera", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Importer(), *sys.meta_path])
    with pytest.raises(UnavailableError, match=r"numpy\.dtype size changed.* leave numpy the system's"):
        next(iter(picamera()))


def test_cameras_that_are_not_there_busy_or_refuse(hardware: Hardware) -> None:
    with pytest.raises(UnavailableError, match="expected camera 1, picamera2 finds 1: check its ribbon cable"):
        next(iter(picamera(1)))
    hardware.busy = True
    with pytest.raises(UnavailableError, match="Device or resource busy; stop the other program"):
        next(iter(picamera()))
    hardware.busy, hardware.refuses = False, True
    with pytest.raises(UnavailableError, match="refuses 128x96 at 30 fps: lores stream"):
        next(iter(picamera()))
    assert hardware.log == ["open 0", "close"]


def test_a_camera_that_stops_is_opened_again(hardware: Hardware) -> None:
    source = picamera()
    with pytest.raises(UnavailableError, match="has sent no frame for 4 s"), source:
        for _ in source:
            hardware.free = 0
    with source:
        assert next(iter(source)).sequence == 0
    assert hardware.log == ["open 0", "start", "stop", "close"] * 2


@pytest.mark.parametrize(
    ("size", "least", "small"),
    [
        ((640, 480), (320, 240), (320, 240)),
        ((1920, 1080), (320, 320), (568, 320)),
        ((1296, 972), (320, 240), (320, 240)),
        ((640, 480), (640, 480), None),
        ((320, 240), (640, 480), None),
        ((480, 640), (320, 320), (320, 426)),
    ],
)
def test_small_sizes(size: tuple[int, int], least: tuple[int, int], small: tuple[int, int] | None) -> None:
    assert small_size(size, least) == small


def test_colours_of_every_format() -> None:
    """Red, green and blue columns; YUV by BT.601's formula with Y of 16 to 235."""
    width, height, stride = 6, 4, 32
    rgb = np.zeros((height, width, 3), np.uint8)
    for column in range(3):
        rgb[:, 2 * column : 2 * column + 2, column] = 250
    matrix = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
    y, u, v = np.moveaxis(rgb / 255 @ matrix.T + [16, 128, 128], 2, 0).round().astype(np.uint8)
    padded = {name: np.full((rows, stride), 77, np.uint8) for name, rows in (("y", 4), ("uv", 2), ("packed", 4))}
    padded["y"][:, :width] = y
    buffers = {}
    interleaved = np.dstack([u[::2, ::2], v[::2, ::2]]).reshape(2, width)
    padded["uv"][:, :width] = interleaved
    buffers["NV12"] = np.concatenate([padded["y"].ravel(), padded["uv"].ravel()])
    planes = np.full((4, stride // 2), 77, np.uint8)
    planes[:2, : width // 2], planes[2:, : width // 2] = u[::2, ::2], v[::2, ::2]
    buffers["YUV420"] = np.concatenate([padded["y"].ravel(), planes.ravel()])
    alpha = np.full((height, width, 1), 9, np.uint8)
    for name, pixels in {
        "BGR888": rgb,
        "RGB888": rgb[:, :, ::-1],
        "XBGR8888": np.dstack([rgb, alpha]),
        "XRGB8888": np.dstack([rgb[:, :, ::-1], alpha]),
    }.items():
        rows = np.full((height, stride), 77, np.uint8)
        rows[:, : pixels.shape[1] * pixels.shape[2]] = pixels.reshape(height, -1)
        buffers[name] = rows.ravel()
    assert set(buffers) == set(FORMATS)
    for name, buffer in buffers.items():
        image = to_rgb(buffer, name, size=(width, height), stride=stride)
        assert image.shape == rgb.shape and np.abs(image.astype(int) - rgb).max() <= 3, name
        assert not np.shares_memory(image, buffer)
        tail = to_rgb(np.concatenate([buffer, np.zeros(99, np.uint8)]), name, size=(width, height), stride=stride)
        assert (tail == image).all()
        with pytest.raises(UnavailableError, match=f"expected {buffer.size} bytes for {name} of 6x4"):
            to_rgb(buffer[:-1], name, size=(width, height), stride=stride)
    with pytest.raises(UnavailableError, match="the camera gives MJPEG"):
        to_rgb(buffers["BGR888"], "MJPEG", size=(6, 4), stride=32)
