"""What Home Assistant hears: whether somebody is there, how many, how the camera does."""

from __future__ import annotations

import edgebnn
from edgebnn.service.board import Board
from edgebnn.service.entities import Device, binary_sensor, sensor
from edgebnn.service.mqtt import HomeAssistant, MqttSettings
from edgebnn_face.pipeline import Figures

ENTITIES = (
    binary_sensor("person", "Person", device_class="occupancy"),
    sensor("count", "People", state_class="measurement", icon="mdi:account-multiple"),
    binary_sensor("camera", "Camera", device_class="connectivity", entity_category="diagnostic"),
    sensor(
        "camera_fps", "Camera rate", unit_of_measurement="fps", state_class="measurement", entity_category="diagnostic"
    ),
    sensor(
        "latency",
        "Latency",
        unit_of_measurement="ms",
        device_class="duration",
        state_class="measurement",
        entity_category="diagnostic",
    ),
    sensor(
        "temperature",
        "Temperature",
        unit_of_measurement="°C",
        device_class="temperature",
        state_class="measurement",
        entity_category="diagnostic",
    ),
)


def make_home(settings: MqttSettings, board: Board) -> HomeAssistant:
    """The device, not yet connected."""
    return HomeAssistant(settings, Device("face", "Face detection", board.model or "", edgebnn.__version__), ENTITIES)


def announce_presence(home: HomeAssistant, count: int | None) -> None:
    """Somebody, nobody, or, with None, unknown because the camera sees nothing."""
    home.publish("person", None if count is None else count > 0)
    home.publish("count", count)


def announce_figures(home: HomeAssistant, figures: Figures, board: Board, *, streaming: bool) -> None:
    """How camera and board do; to be called every few seconds."""
    home.publish("camera", streaming)
    home.publish("camera_fps", round(figures.camera_fps, 1))
    home.publish("latency", round(figures.latency_ms, 1))
    home.publish("temperature", None if board.temperature_c is None else round(board.temperature_c, 1))
