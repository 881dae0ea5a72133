"""The settings of /etc/edgebnn/face.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from edgebnn.camera.open import check_source
from edgebnn.service.mqtt import MqttSettings
from edgebnn.service.settings import LIVE, Field, Settings, table
from edgebnn.service.web_settings import WebSettings

Fraction = Annotated[float, Field(ge=0, le=1)]
Polygon = Annotated[tuple[tuple[Fraction, Fraction], ...], Field(min_length=3, max_length=50)]


class CameraSettings(Settings):
    """Where frames come from."""

    source: Annotated[str, AfterValidator(check_source)] = Field(
        "picamera:0",
        min_length=1,
        max_length=500,
        description="picamera:0, v4l2:/dev/video0, an rtsp:// or http:// stream, a video file or a folder of pictures.",
    )
    width: int = Field(640, ge=64, le=4096, description="Width of the picture that the camera is asked for, in pixels.")
    height: int = Field(480, ge=64, le=4096, description="Height of it.")
    fps: float = Field(15, ge=0.5, le=120, description="Frames per second that the camera is asked for.")
    stuck_s: float = Field(
        30,
        ge=0,
        le=3600,
        description="Seconds of the very same picture that make a camera count as stuck; 0: never.",
    )


class DetectionSettings(Settings):
    """What counts as a face."""

    model: str = Field(
        "face", min_length=1, max_length=500, description="A detector .tflite, or the name of one in the package."
    )
    threads: int = Field(1, ge=1, le=8, description="Threads of the network.")
    min_score: Annotated[float, LIVE] = Field(0.5, ge=0.05, le=0.99, description="Least score of a face.")
    min_size: Annotated[int, LIVE] = Field(
        0, ge=0, le=4096, description="Least width and height of a face, in pixels of the camera's picture."
    )
    max_fps: Annotated[float, LIVE] = Field(
        15, ge=0.2, le=120, description="Most frames per second that are looked at."
    )
    idle_fps: Annotated[float, LIVE] = Field(
        2, ge=0.2, le=120, description="Frames per second that are looked at while nothing moves, if that is less."
    )
    idle_after_s: float = Field(5, ge=0, le=600, description="Seconds without motion after which the rate drops.")
    roi: tuple[Polygon, ...] = Field(
        (),
        max_length=20,
        description="Polygons in which the centre of a face must lie, each of points [x, y] from [0, 0] (top left) to "
        "[1, 1]; without any, the whole picture counts.",
        examples=[[[[0.0, 0.2], [0.5, 0.2], [0.5, 1.0], [0.0, 1.0]]]],
    )


class PresenceSettings(Settings):
    """When somebody is there."""

    enter_after_s: Annotated[float, LIVE] = Field(
        0.5, ge=0, le=60, description="Seconds for which a face must be seen before somebody has come."
    )
    leave_after_s: Annotated[float, LIVE] = Field(
        3, ge=0, le=300, description="Seconds without the face after which somebody has left."
    )


class PictureSettings(Settings):
    """What of the pictures may be seen."""

    stream: Annotated[bool, LIVE] = Field(
        False, description="Show the live picture on the page. Without it no picture leaves the memory of this process."
    )
    blur_faces: Annotated[bool, LIVE] = Field(
        False, description="Make faces unrecognisable in the live picture and in snapshots."
    )
    stream_fps: Annotated[float, LIVE] = Field(10, ge=0.5, le=60, description="Most frames per second of the stream.")
    stream_width: int = Field(640, ge=160, le=1920, description="Width of the stream's pictures at most, in pixels.")
    quality: int = Field(75, ge=30, le=95, description="JPEG quality of the stream.")


class SnapshotSettings(Settings):
    """Pictures of people who come."""

    enabled: Annotated[bool, LIVE] = Field(False, description="Keep a picture each time somebody comes.")
    keep_days: float = Field(7, gt=0, le=3650, description="Days after which a picture is deleted.")
    max_mb: float = Field(200, gt=0, le=100_000, description="Megabytes of all pictures; the oldest make room.")
    min_free_mb: float = Field(
        200, ge=0, le=100_000, description="Megabytes that stay free on the disk: below, no picture is kept."
    )


class FaceSettings(Settings):
    """All settings of `edgebnn-face`."""

    camera: CameraSettings = table(CameraSettings, description="Where frames come from.")
    detection: DetectionSettings = table(DetectionSettings, description="What counts as a face.")
    presence: PresenceSettings = table(PresenceSettings, description="When somebody is there.")
    picture: PictureSettings = table(PictureSettings, description="Who may see what.")
    snapshots: SnapshotSettings = table(SnapshotSettings, description="Pictures of people who come.")
    web: WebSettings = table(WebSettings, description="The page.")
    mqtt: MqttSettings = table(MqttSettings, description="Home Assistant, or any other listener, over MQTT.")
    json_lines: Literal["off", "events", "frames"] = Field(
        "off", description="Lines of JSON on standard output: none, one an event, or one a frame as well."
    )
