"""picamera2 and libcamera in memory: what `edgebnn.camera.picamera` uses of them, with few buffers and strict rules."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any

import numpy as np
import pytest


class Hardware:
    """What the test sets and sees: frame n (from 1) is grey, of level n (RGB) or luma 16 + n (YUV)."""

    def __init__(self, *, cameras: int = 1, buffers: int = 6, padding: int = 0, formats: dict[str, str] | None = None):
        self.cameras, self.buffers, self.padding = cameras, buffers, padding
        self.formats = formats or {}
        """What the camera gives instead of the format that was asked for, by stream."""
        self.busy = False
        self.refuses = False
        self.stamp_ns: int | None = None
        self.log: list[str] = []
        self.free = 0
        self.frames = 0
        self.mapped: list[str] = []
        self.asked: dict[str, Any] = {}


class Request:
    def __init__(self, camera: Camera, number: int) -> None:
        self.camera, self.number = camera, number
        self.config = camera.config
        self.released = False

    def get_metadata(self) -> dict[str, Any]:
        stamp = self.camera.hardware.stamp_ns
        return {} if stamp is None else {"SensorTimestamp": stamp}

    def release(self) -> None:
        assert not self.released, "released twice"
        self.released = True
        self.camera.hardware.free += 1


class Job:
    def __init__(self, camera: Camera) -> None:
        self.camera = camera

    def get_result(self, timeout: float | None = None) -> Request:
        hardware = self.camera.hardware
        # Two buffers stay with the camera, one with picamera2: without a fourth, no frame comes.
        if hardware.free < 4:
            assert timeout is not None, "this would block for ever"
            raise TimeoutError
        hardware.free -= 1
        hardware.frames += 1
        return Request(self.camera, hardware.frames)


class Camera:
    def __init__(self, hardware: Hardware) -> None:
        self.hardware = hardware
        self.config: dict[str, Any] = {}
        if hardware.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.") from RuntimeError(
                "Device or resource busy"
            )

    def create_video_configuration(self, **asked: Any) -> dict[str, Any]:
        self.hardware.asked = asked
        return asked

    def configure(self, config: dict[str, Any]) -> None:
        if self.hardware.refuses:
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        streams = {name: dict(config[name]) for name in ("main", "lores") if name in config}
        for name, stream in streams.items():
            stream["format"] = self.hardware.formats.get(name, stream["format"])
            pixel = {"BGR888": 3, "RGB888": 3, "XBGR8888": 4, "XRGB8888": 4}.get(stream["format"], 1)
            stream["stride"] = stream["size"][0] * pixel + self.hardware.padding
        self.config = streams
        self.libcamera_config = SimpleNamespace(at=lambda index: SimpleNamespace(buffer_count=self.hardware.buffers))

    def start(self) -> None:
        self.hardware.free = self.hardware.buffers
        self.hardware.log.append("start")

    def capture_request(self, *, wait: bool) -> Job:
        assert not wait, "this could block for ever"
        return Job(self)

    def stop(self) -> None:
        self.hardware.log.append("stop")

    def close(self) -> None:
        self.hardware.log.append("close")


class MappedArray:
    """The bytes of a stream; padding is 255, and what was released is gone."""

    def __init__(self, request: Request, stream: str, *, reshape: bool, write: bool) -> None:
        assert not reshape and not write
        assert not request.released, "read after its release"
        request.camera.hardware.mapped.append(stream)
        config = request.config[stream]
        (width, height), stride = config["size"], config["stride"]
        if config["format"] in ("YUV420", "NV12"):
            # Chroma is 128: grey. Its rows are half as wide and padded by half, or interleaved.
            luma = np.full((height, stride), 255, np.uint8)
            luma[:, :width] = 16 + request.number % 200
            chroma = np.full((height // 2, stride), 128, np.uint8)
            self.array = np.concatenate([luma.reshape(-1), chroma.reshape(-1)])
        else:
            rows = np.full((height, stride), 255, np.uint8)
            rows[:, : stride - request.camera.hardware.padding] = request.number % 200
            self.array = rows.reshape(-1)

    def __enter__(self) -> MappedArray:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.array = np.zeros(0, np.uint8)


def install(monkeypatch: pytest.MonkeyPatch, hardware: Hardware) -> None:
    """Make `import picamera2` and `import libcamera` find this."""
    picamera2, libcamera = ModuleType("picamera2"), ModuleType("libcamera")

    class Picamera2(Camera):
        def __init__(self, number: int) -> None:
            super().__init__(hardware)
            hardware.log.append(f"open {number}")

        @staticmethod
        def global_camera_info() -> list[dict[str, Any]]:
            return [{"Id": f"camera{number}", "Num": number} for number in range(hardware.cameras)]

    picamera2.Picamera2, picamera2.MappedArray = Picamera2, MappedArray  # type: ignore[attr-defined]
    libcamera.ColorSpace = SimpleNamespace(Smpte170m=lambda: "SMPTE170M")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", picamera2)
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
