"""The configuration of `edgebnn-sleep`: /etc/edgebnn/sleep.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, field_validator, model_validator

from edgebnn.camera.open import check_source
from edgebnn.service.mqtt import MqttSettings
from edgebnn.service.settings import Settings, table
from edgebnn.service.web_settings import WebSettings

Fraction = Annotated[float, Field(ge=0, le=1)]


class CameraSettings(Settings):
    """The camera that looks at the bed."""

    source: str = Field(
        "picamera:0",
        max_length=500,
        description="Where frames come from: picamera:N, v4l2:/dev/videoN, rtsp://..., or a file; empty: no camera, "
        "and alarms ring at their deadline.",
    )
    fps: float = Field(4, ge=1, le=30, description="Frames a second that are looked at.")
    width: int = Field(320, ge=80, le=1920, description="Pixels that the camera is asked for; few are enough.")
    height: int = Field(240, ge=60, le=1080, description="Pixels that the camera is asked for.")
    bed: tuple[Fraction, Fraction, Fraction, Fraction] = Field(
        (0.0, 0.0, 1.0, 1.0),
        description="Where the bed is: x, y, width, height as fractions of the picture. Movement outside of it does "
        "not count, and shows when somebody gets up. With a partner, give the sleeper's side only.",
    )

    @field_validator("source")
    @classmethod
    def _is_a_source(cls, source: str) -> str:
        return source and check_source(source)

    @model_validator(mode="after")
    def _bed_in_picture(self) -> CameraSettings:
        x, y, width, height = self.bed
        if width < 0.05 or height < 0.05 or x + width > 1.001 or y + height > 1.001:
            raise ValueError("bed must be x, y, width, height within the picture, at least 0.05 wide and high")
        return self


class MicrophoneSettings(Settings):
    """The microphone; only levels are kept, never sound."""

    enabled: bool = Field(False, description="Measure how loud it is and how much of it is snoring. No sound is kept.")
    device: str = Field("default", max_length=200, description="Name of the input as `python -m sounddevice` lists it.")
    offset_db: float = Field(
        0, ge=-200, le=200, description="Added to levels, to make them decibels of sound pressure."
    )


class EnvironmentSettings(Settings):
    """Sensors with a kernel driver (IIO)."""

    root: Path = Field(Path("/sys/bus/iio/devices"), description="Where the kernel lists its IIO devices.")
    devices: dict[
        Literal["light_lux", "temperature_c", "humidity_percent", "pressure_hpa", "co2_ppm"],
        Annotated[str, StringConstraints(max_length=100)],
    ] = Field(
        {},
        max_length=5,
        description="Which device measures what, by its name, where several could: "
        '{temperature_c = "bme280", light_lux = "tsl2591"}.',
    )


class ClockSettings(Settings):
    """The alarm clock, another service."""

    socket: Path = Field(Path("/run/edgebnn/alarm.sock"), description="Its Unix socket.")
    rule: Literal["motion", "network", "cole-kripke"] = Field(
        "motion",
        description="What wakes early within the window: plain movement, the network, or the formula of Cole and "
        "Kripke. The network was trained on simulated nights; docs/sleep.md compares them.",
    )


class StoreSettings(Settings):
    """The night database."""

    path: Path = Field(Path("/var/lib/edgebnn/sleep/nights.sqlite3"), description="The SQLite file.")
    keep_days: int = Field(
        730, ge=2, le=36_500, description="Nights older than this are deleted; a night takes 0.1 to 0.4 MB."
    )


class SleepWebSettings(WebSettings):
    """The page; its own port, so that the face page may run beside it."""

    port: int = Field(8081, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")


class SunriseSettings(Settings):
    """A lamp over MQTT that follows the clock's sunrise."""

    topic: str = Field(
        "",
        max_length=200,
        pattern=r"^[^+#\x00]*$",
        description="Command topic of a light that takes JSON, as of zigbee2mqtt; empty: none.",
        examples=["zigbee2mqtt/bedroom lamp/set"],
    )
    brightness: int = Field(254, ge=1, le=255, description="What the light takes as full brightness.")
    off_after_stop: bool = Field(False, description="Switch the light off when the alarm is stopped.")


class SleepSettings(Settings):
    """The whole file."""

    zone: str = Field(
        "",
        max_length=64,
        description="Time zone of nights, as Europe/Berlin; empty: the machine's. The alarm clock has its own setting.",
    )
    camera: CameraSettings = table(CameraSettings, description="The camera that looks at the bed.")
    microphone: MicrophoneSettings = table(MicrophoneSettings, description="The microphone.")
    environment: EnvironmentSettings = table(EnvironmentSettings, description="Sensors of the kernel (IIO).")
    clock: ClockSettings = table(ClockSettings, description="The alarm clock.")
    store: StoreSettings = table(StoreSettings, description="The night database.")
    web: SleepWebSettings = table(SleepWebSettings, description="The page.")
    mqtt: MqttSettings = table(MqttSettings, description="MQTT, with discovery by Home Assistant.")
    sunrise: SunriseSettings = table(SunriseSettings, description="A lamp over MQTT for the sunrise.")

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone:
            try:
                ZoneInfo(zone)
            except (KeyError, ValueError, OSError):
                raise ValueError('zone must be the name of a time zone like "Europe/Berlin"') from None
        return zone
