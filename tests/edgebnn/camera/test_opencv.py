from __future__ import annotations

import errno
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebnn.camera import opencv
from edgebnn.camera.camera import Camera, Status
from edgebnn.camera.clock import SimulatedClock
from edgebnn.camera.frame import Frame, fault
from edgebnn.camera.opencv import Stream, V4l2
from edgebnn.errors import UnavailableError
from edgebnn.runtime.model import Model
from tests.edgebnn.camera.mjpeg_server import MjpegServer
from tests.edgebnn.camera.rtsp_server import RtspServer


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    served = MjpegServer()
    yield served
    served.close()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opencv, "TIMEOUT_S", 1)


def stream(port: int, credentials: str = "") -> Stream:
    return Stream(f"http://{credentials}127.0.0.1:{port}/stream", name=f"http://127.0.0.1:{port}/stream")


def v4l2(device: Path | str) -> V4l2:
    return V4l2(Path(device), name=f"v4l2:{device}", width=640, height=480, fps=15)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("/dev/video99", "cannot open the camera /dev/video99: No such file.*plug the camera in"),
        ("/dev/null", "/dev/null gives no pictures: it is busy or no camera.*picamera:0"),
        ("/dev", "cannot open the camera /dev: Is a directory"),
    ],
)
def test_v4l2_devices_that_are_none(device: str, words: str) -> None:
    with pytest.raises(UnavailableError, match=words), v4l2(device) as source:
        next(iter(source))


def test_a_v4l2_device_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # root would be let in

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnavailableError, match="Permission denied; add this user to the group video"):
        next(iter(v4l2("/dev/video0")))


class Driver:
    """A cv2.VideoCapture in memory: frames as a V4L2 driver gives them, None for one that cannot be decoded."""

    def __init__(self, frames: list[np.ndarray | None], clock: SimulatedClock, *, stamp_s: float) -> None:
        self.frames, self.clock, self.stamp_s = frames, clock, stamp_s
        self.properties: dict[int, float] = {}
        self.released = False

    def isOpened(self) -> bool:
        return True

    def set(self, name: int, value: float) -> bool:
        self.properties[name] = value
        return True

    def get(self, name: int) -> float:
        return 1e3 * (self.clock.now_ns() / 1e9 + self.stamp_s) if name == cv2.CAP_PROP_POS_MSEC else 0.0

    def grab(self) -> bool:
        self.clock.advance(0.1)
        return bool(self.frames)

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        frame = self.frames.pop(0)
        return frame is not None, frame

    def release(self) -> None:
        self.released = True


def drive(
    monkeypatch: pytest.MonkeyPatch, frames: list[np.ndarray | None], *, stamp_s: float = -0.02, **options: object
) -> tuple[list[Frame], Driver]:
    clock = SimulatedClock(10**11)
    driver = Driver(frames, clock, stamp_s=stamp_s)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *arguments: driver)
    given = []
    source = V4l2(Path("/dev/null"), name="v4l2:9", width=800, height=600, fps=20, clock=clock, **options)  # type: ignore[arg-type]
    with pytest.raises(UnavailableError, match="/dev/null sends no more frames"), source:
        for frame in source:
            given.append(frame)
    assert driver.released
    return given, driver


def test_v4l2_frames_are_rgb_with_the_drivers_time(monkeypatch: pytest.MonkeyPatch) -> None:
    blue = np.zeros((6, 8, 3), np.uint8)
    blue[:, :, 0] = 200  # BGR
    frames, driver = drive(monkeypatch, [blue.copy(), None, blue.copy()], format="MJPG")
    assert [frame.sequence for frame in frames] == [0, 1, 2]
    assert frames[0].image[3, 3].tolist() == [0, 0, 200] and fault(frames[1].image) == "empty"
    assert [frame.timestamp_ns / 1e9 for frame in frames] == pytest.approx([100.08, 100.18, 100.28])
    assert driver.properties[cv2.CAP_PROP_FRAME_WIDTH] == 800 and driver.properties[cv2.CAP_PROP_FPS] == 20
    assert driver.properties[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")


@pytest.mark.parametrize("stamp_s", [-1e5, 50.0, -3.0])
def test_stamps_of_another_clock_are_not_used(monkeypatch: pytest.MonkeyPatch, stamp_s: float) -> None:
    frames, driver = drive(monkeypatch, [np.ones((6, 8, 3), np.uint8)], stamp_s=stamp_s)
    assert frames[0].timestamp_ns / 1e9 == pytest.approx(100.1)
    assert cv2.CAP_PROP_FOURCC not in driver.properties


@pytest.mark.parametrize("image", [np.ones((6, 8), np.uint8), np.ones((6, 8, 2), np.uint8)])
def test_other_pixel_formats_are_passed_on_to_be_dropped(monkeypatch: pytest.MonkeyPatch, image: np.ndarray) -> None:
    frames, _ = drive(monkeypatch, [image])
    assert fault(frames[0].image) == "shape"


def test_an_mjpeg_stream(server: MjpegServer) -> None:
    with stream(server.port) as source:
        frames = list(itertools.islice(source, 10))
    assert [frame.sequence for frame in frames] == list(range(10))
    assert [len(Model("face").detect(frame.image)) for frame in frames[::3]] == [1, 1, 1, 1]
    assert np.abs(frames[0].image.astype(int) - server.scene.picture(1)).mean() < 4  # red is red
    assert all(a.timestamp_ns <= b.timestamp_ns for a, b in itertools.pairwise(frames))


def test_a_password_is_used_and_a_wrong_one_is_not_shown() -> None:
    server = MjpegServer(password="hunter2")
    try:
        with stream(server.port, "user:hunter2@") as source:
            assert next(iter(source)).image.shape == (240, 320, 3)
        with pytest.raises(UnavailableError, match="check the address, the password") as raised:
            next(iter(stream(server.port, "user:hunter3@")))
        assert "hunter" not in str(raised.value)
    finally:
        server.close()


def test_a_network_camera_that_is_killed_comes_back() -> None:
    server = MjpegServer()
    states: list[Status] = []
    changed = threading.Condition()

    def report(status: Status) -> None:
        with changed:
            states.append(status)
            changed.notify_all()

    def await_state(state: str) -> None:
        with changed:
            assert changed.wait_for(lambda: bool(states) and states[-1].state == state, 60), states

    with Camera(stream(server.port), backoff_s=(0.05, 0.2), on_change=report) as camera:
        first = camera.latest(timeout_s=60)
        assert first is not None
        server.close()
        await_state("camera_lost")
        assert camera.latest(timeout_s=0) is None
        server = MjpegServer(port=server.port)
        await_state("streaming")
        again = camera.latest(first.sequence, timeout_s=60)
        assert again is not None and again.sequence > first.sequence
        assert camera.losses == 1 and camera.fps >= 0
    server.close()
    assert "hunter" not in str(states)


def test_a_stream_that_falls_silent_is_lost(short: None) -> None:
    server = MjpegServer(quiet_after=30)
    try:
        with pytest.raises(UnavailableError, match="sends no more frames"), stream(server.port) as source:
            assert 1 <= len(list(source)) <= 30
    finally:
        server.close()


def test_damaged_frames_of_a_stream_are_no_reason_to_stop() -> None:
    def spoil(number: int, jpeg: bytes) -> bytes:
        return jpeg if number % 3 else jpeg[: len(jpeg) // 3] + b"\0" * (len(jpeg) // 2)

    server = MjpegServer(spoil=spoil)
    try:
        with stream(server.port) as source:
            frames = list(itertools.islice(source, 20))
        assert len(frames) == 20 and all(fault(frame.image) in (None, "empty") for frame in frames)
    finally:
        server.close()


def test_an_rtsp_camera_that_is_killed_comes_back() -> None:
    server = RtspServer()
    lost = threading.Event()
    source = Stream(f"rtsp://user:hunter2@127.0.0.1:{server.port}/stream", name=f"rtsp://***@127.0.0.1:{server.port}")
    with Camera(
        source, backoff_s=(0.05, 0.2), on_change=lambda status: status.state != "camera_lost" or lost.set()
    ) as camera:
        frame = camera.latest(timeout_s=60)
        assert frame is not None and len(Model("face").detect(frame.image)) == 1
        nearest = min(np.abs(frame.image.astype(int) - server.scene.picture(n)).mean() for n in range(1, 40))
        assert nearest < 5  # red is red
        server.close()
        assert lost.wait(60) and "hunter2" not in camera.status.reason
        server = RtspServer(port=server.port)
        assert camera.latest(frame.sequence, timeout_s=60) is not None
        assert camera.losses == 1
    server.close()


@pytest.mark.parametrize(
    ("host", "words"), [("no-such-host.invalid", "about 'no-such-host.invalid'"), ("a" * 70, "no valid name")]
)
def test_hosts_without_an_address(monkeypatch: pytest.MonkeyPatch, host: str, words: str) -> None:
    monkeypatch.setattr(opencv, "NAME_TIMEOUT_S", 60)
    with pytest.raises(UnavailableError, match=words):
        next(iter(Stream(f"http://{host}/", name=f"http://{host}/")))


def test_a_resolver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: asked.wait(60))
    monkeypatch.setattr(opencv, "NAME_TIMEOUT_S", 0.01)
    with pytest.raises(UnavailableError, match=r"no answer within 0.01 s about 'camera.lan'"):
        next(iter(Stream("rtsp://camera.lan/", name="rtsp://camera.lan/")))
    asked.set()


def test_the_longest_silence_is_below_the_watchdogs() -> None:
    assert opencv.NAME_TIMEOUT_S + 2 * opencv.TIMEOUT_S < 10


def test_nobody_listens_or_nobody_answers(short: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with pytest.raises(UnavailableError, match=r"cannot open the stream .* within 1 s"):
            next(iter(stream(port)))
    with pytest.raises(UnavailableError, match="cannot open the stream"):
        next(iter(stream(port)))
