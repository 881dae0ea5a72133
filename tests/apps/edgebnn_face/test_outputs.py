"""What a result sets off: presence for Home Assistant, snapshots, lines, counts. No thread, no process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edgebnn_face.announce import ENTITIES
from edgebnn_face.lines import JsonLines, frame_line
from edgebnn_face.pipeline import Result
from edgebnn_face.presence import Event
from edgebnn_face.service import Service
from edgebnn_face.settings import FaceSettings

from edgebnn.camera.frame import Frame
from edgebnn.runtime.detections import Detections
from edgebnn.runtime.tracker import Tracks
from edgebnn.service.live import LiveSettings
from edgebnn.service.notify import Notifier

PICTURE = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
BOX = np.array([[40, 30, 50, 60]], np.float32)


def make(tmp_path: Path, text: str = "") -> Service:
    file = tmp_path / "face.toml"
    file.write_text(f'[camera]\nsource = "synthetic:"\n{text}')
    live = LiveSettings(file, FaceSettings, state=tmp_path / "settings.json")
    return Service(live, state=tmp_path, notifier=Notifier(environ={}))


def result(number: int, count: int, *kinds: Any, seen: bool = True) -> Result:
    found = Detections(BOX, np.array([0.9], np.float32), np.zeros(1, np.int64))
    tracks = Tracks(np.array([7]), BOX, found.scores, np.array([seen]), np.ones(1))
    events = tuple(Event(kind, 10**9, count, 0 if kind == "count" else 7) for kind in kinds)
    return Result(number, Frame(PICTURE, 10**9, number), found, tracks, events, count, True, 12.345, 3.2)


def person(service: Service) -> tuple[str, str]:
    return service.home.states["person"], service.home.states["count"]


def test_presence_is_known_from_the_first_frame_on_and_unknown_without_a_camera(tmp_path: Path) -> None:
    service = make(tmp_path)
    service._on_result(result(1, 0))
    assert person(service) == ("OFF", "0")
    service._on_result(result(2, 1, "enter", "count"))
    assert person(service) == ("ON", "1")
    service._on_away([Event("leave", 0, 1, 7, 3.0), Event("count", 0, 0)])
    assert person(service) == ("None", "None")
    service._on_result(result(3, 0))  # it is back, and nobody is there
    assert person(service) == ("OFF", "0")
    service._on_away([])
    assert person(service) == ("None", "None")
    assert [event.kind for event, _ in service.events] == ["enter", "count", "leave", "count"]


def test_every_entity_has_a_class_or_an_icon_and_the_rest_is_diagnostic() -> None:
    assert [entity.key for entity in ENTITIES if entity.config.get("entity_category") is None] == ["person", "count"]
    assert all({"device_class", "icon", "unit_of_measurement"} & entity.config.keys() for entity in ENTITIES)


@pytest.mark.parametrize("blur", [False, True])
def test_a_snapshot_is_the_whole_frame_of_the_moment_blurred_if_wanted(tmp_path: Path, blur: bool) -> None:
    service = make(tmp_path, f"[snapshots]\nenabled = true\n[picture]\nblur_faces = {str(blur).lower()}")
    service._on_result(result(1, 0))
    service._on_result(result(2, 1, "enter", "count"))
    service._on_result(result(3, 1, "leave"))
    assert service.snapshots._waiting.qsize() == 1
    job = service.snapshots._waiting.get()
    assert job is not None and job[1] == 7
    same = (job[0] == PICTURE).all(axis=2)
    assert same[:10].all() and same[40:80, 50:80].all() == (not blur) and job[0] is not PICTURE


def test_without_snapshots_none_is_made(tmp_path: Path) -> None:
    service = make(tmp_path)
    service._on_result(result(1, 1, "enter"))
    assert service.snapshots._waiting.empty()


def test_frames_are_counted_for_prometheus(tmp_path: Path) -> None:
    service = make(tmp_path)
    service._on_result(result(1, 1, "enter", "count"))
    service._on_away([Event("leave", 0, 1, 7, 3.0)])
    value = service._measures._frames._value.get()
    events = {kind: service._measures._events.labels(kind)._value.get() for kind in ("enter", "leave", "count")}
    assert value == 1 and events == {"enter": 1, "leave": 1, "count": 1}


def test_a_line_of_a_frame_holds_what_is_seen() -> None:
    assert frame_line(result(5, 1)) == {
        "frame": 5, "monotonic_s": 1.0, "width": 160, "height": 120, "count": 1, "latency_ms": 12.35,
        "faces": [{"id": 7, "box": [40.0, 30.0, 50.0, 60.0], "score": 0.9}],
    }  # fmt: skip
    assert frame_line(result(5, 1, seen=False))["faces"] == []


def test_lines_that_nobody_takes_are_counted(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        lines = JsonLines(stream)
        for number in range(600):
            lines.put({"frame": number})
        assert lines.dropped == 100
        lines.start()
        lines.put({"frame": 600})
        lines.close(timeout_s=30)
    assert len((tmp_path / "out").read_text().splitlines()) >= 500
