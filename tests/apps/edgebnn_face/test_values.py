"""What the page shows of a board, a camera and a broker: fakes of all three."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from edgebnn_face.page import Page
from edgebnn_face.pipeline import Figures
from edgebnn_face.presence import Event
from edgebnn_face.service import Service
from edgebnn_face.settings import FaceSettings

from edgebnn.camera.camera import Status
from edgebnn.service.board import Board
from edgebnn.service.live import LiveSettings
from edgebnn.service.metrics import Metrics
from edgebnn.service.notify import Notifier

FIGURES = Figures(100, 14.93, 15.02, 23.456, 61.2, 8.76, True, 2)
NOTHING_KNOWN = Board(None, None, None, None, None, None, None, None)


@pytest.fixture
def service() -> Any:
    """A Pi 4 that is hot, with two people before its camera."""
    board = Board(
        "Raspberry Pi 4", 81.4, ("throttled", "throttling has occurred"), ("ondemand",), 4 << 30, 3 << 30, 92_000_000, 1
    )
    return SimpleNamespace(
        board=lambda: board,
        camera=SimpleNamespace(status=Status("streaming", "", 0), source=SimpleNamespace(name="picamera:0")),
        pipeline=SimpleNamespace(figures=FIGURES),
        detector=SimpleNamespace(problem=""),
        snapshots=SimpleNamespace(failure="No space left on device"),
        home=SimpleNamespace(problem="Connection refused"),
        events=deque(),
    )


def values(service: Any, tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "face.toml").write_text("")
    live = LiveSettings(tmp_path / "face.toml", FaceSettings, state=tmp_path / "settings.json")
    return Page(service, live, metrics=Metrics("face"), state=tmp_path).values()


def test_gauges_of_a_board(service: Any, tmp_path: Path) -> None:
    shown = values(service, tmp_path)
    assert (shown["fps"], shown["latency"], shown["inference"]) == ("14.9", "23", "8.8")
    assert (shown["temperature"], shown["throttled"], shown["memory"]) == ("81", "throttled", "92")
    assert shown["count"] == 2 and shown["people"] == "people here"
    assert "No space left" in shown["snapshot_problem"]
    assert shown["mqtt_problem"] == "No MQTT broker: Connection refused."
    assert shown["model_problem"] == "" and shown["camera_problem"] == ""


def test_a_board_that_says_nothing(service: Any, tmp_path: Path) -> None:
    service.board = lambda: NOTHING_KNOWN
    shown = values(service, tmp_path)
    assert shown["temperature"] is None and shown["throttled"] is None and shown["memory"] is None


@pytest.mark.parametrize(("degrees", "scraped"), [(0.0, " 0.0\n"), (None, " NaN\n")])
def test_a_freezing_board_has_a_temperature(service: Any, tmp_path: Path, degrees: float | None, scraped: str) -> None:
    service.board = lambda: replace(NOTHING_KNOWN, temperature_c=degrees)
    (tmp_path / "face.toml").write_text("")
    live = LiveSettings(tmp_path / "face.toml", FaceSettings, state=tmp_path / "settings.json")
    metrics = Metrics("face")
    Page(service, live, metrics=metrics, state=tmp_path)
    assert f"\nedgebnn_face_temperature_celsius{scraped}".encode() in metrics.text()[0]


def test_before_the_first_frame_and_without_a_camera_nobody_knows(service: Any, tmp_path: Path) -> None:
    nan = float("nan")
    service.pipeline.figures = Figures(0, 0.0, 0.0, nan, nan, nan, True, 0)
    shown = values(service, tmp_path)
    assert shown["count"] is None and shown["people"] == "unknown" and shown["latency"] is None
    service.pipeline.figures = Figures(9, 0.0, 0.0, 1.0, 1.0, 1.0, True, 0)
    service.camera.status = Status("camera_lost", "unplugged", 0)
    shown = values(service, tmp_path)
    assert shown["count"] is None and shown["away"] and shown["state_text"] == "Camera lost"
    assert shown["motion"] is None and shown["latency"] is None
    assert shown["camera_problem"] == "Camera lost: unplugged"
    service.camera.status = Status("ended", "", 0)
    assert values(service, tmp_path)["camera_problem"] == "Ended"


@pytest.mark.parametrize("reason", ["picamera:0 has sent no frame for 4 s", "has sent no frame for 4 s"])
def test_the_log_names_the_camera_once(service: Any, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    service._notifier, service._status_line = Notifier(environ={}), lambda: ""
    Service._on_camera(service, Status("camera_lost", reason, 0))
    assert caplog.messages[0].count("picamera:0") == 1 and caplog.messages[0].endswith("has sent no frame for 4 s")


def test_events_are_sentences_the_latest_first(service: Any, tmp_path: Path) -> None:
    noon = datetime(2026, 7, 1, 12)
    for stayed_s in (4.4, 61, 3600 * 3 + 125):
        service.events.append((Event("leave", 0, 1, 7, stayed_s), noon))
    service.events.append((Event("count", 0, 1), noon))
    service.events.append((Event("enter", 0, 0, 8), noon))
    assert [event["text"] for event in values(service, tmp_path)["events"]] == [
        "Person 8 came",
        "Person 7 left after 3 h 2 min",
        "Person 7 left after 1 min",
        "Person 7 left after 4 s",
    ]
    service.events.extend(list(service.events) * 10)
    assert len(values(service, tmp_path)["events"]) == 12


def test_of_a_film_the_name_alone_is_shown(service: Any, tmp_path: Path) -> None:
    service.camera.source.name = "/home/me/films/hall.mp4"
    assert values(service, tmp_path)["source"] == "hall.mp4"
    service.camera.source.name = "rtsp://***@door.lan/stream"
    assert values(service, tmp_path)["source"] == "rtsp://***@door.lan/stream"
