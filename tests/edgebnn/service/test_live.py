from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Annotated, Literal

import pytest

from edgebnn.errors import ConfigError
from edgebnn.service.live import LiveField, LiveSettings
from edgebnn.service.settings import LIVE, Field, Settings, table


class Camera(Settings):
    source: str = Field("picamera:0", max_length=100, description="Where frames come from.")
    fps: Annotated[float, LIVE] = Field(10.0, gt=0, le=60, description="Frames per second.")
    mode: Annotated[Literal["day", "night"], LIVE] = Field("day", description="The mode.")
    blur: Annotated[bool, LIVE] = Field(False, description="Blurred faces.")


class Service(Settings):
    camera: Camera = table(Camera, description="The camera.")
    note: Annotated[str, LIVE] = Field("", max_length=10, description="A note.")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    config = tmp_path / "service.toml"
    config.write_text("[camera]\nfps = 5\n")
    return config, tmp_path / "changes.json"


def open_live(files: tuple[Path, Path]) -> LiveSettings[Service]:
    return LiveSettings(files[0], Service, state=files[1])


def test_changes_outlive_a_restart_and_can_be_taken_back(files: tuple[Path, Path]) -> None:
    live = open_live(files)
    told: list[Service] = []
    live.on_change(told.append)
    assert live.current.camera.fps == 5
    live.change({"camera.fps": "2.5", "camera.blur": "on"})  # as a form sends it
    live.change({"note": "hello"})
    assert live.current.camera.fps == 2.5 and live.current.camera.blur is True and live.current.note == "hello"
    assert told[-1] == live.current and len(told) == 2 and live.unsaved == ""

    again = open_live(files)
    assert again.current == live.current
    assert json.loads(files[1].read_text()) == {"camera.blur": True, "camera.fps": 2.5, "note": "hello"}
    again.reset()
    assert again.current.camera.fps == 5 and open_live(files).current.note == ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"camera.fps": "100"}, r"camera\.fps = '100': Input should be less than or equal to 60"),
        ({"camera.fps": "nan"}, r"camera\.fps = 'nan'"),
        ({"camera.mode": "dusk"}, r"camera\.mode = 'dusk'"),
        ({"camera.source": "x"}, r"camera\.source = 'x': there is no such setting that can change"),
        ({"camera": {"fps": 3}}, "there is no such setting"),
        ({"nothing.at.all": 3}, "there is no such setting"),
        ({"note.fps": 3}, "there is no such setting"),
        ({"": 3}, "there is no such setting"),
        ({"note": 11 * "x"}, "note = 'xxxxxxxxxxx'"),
        ({"camera.fps": 3, "note": 11 * "x"}, "note"),
    ],
)
def test_a_bad_change_changes_nothing(files: tuple[Path, Path], values: dict[str, object], message: str) -> None:
    live = open_live(files)
    before = live.current
    with pytest.raises(ConfigError, match=message) as caught:
        live.change(values)
    assert live.current == before and not files[1].exists()
    assert ".json" not in str(caught.value)  # what somebody typed on a page stands in no file


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'"x"', 100_000 * b"["])
def test_a_damaged_state_file_is_ignored_with_a_warning(
    files: tuple[Path, Path], content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    files[1].write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert open_live(files).current.camera.fps == 5
    assert [record.getMessage() for record in caplog.records if "is ignored" in record.getMessage()]


def test_a_change_that_is_no_longer_valid_is_dropped_alone(
    files: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    files[1].write_text(json.dumps({"camera.fps": 500, "gone": 1, "note": "kept"}))
    with caplog.at_level(logging.WARNING):
        live = open_live(files)
    assert live.current.camera.fps == 5 and live.current.note == "kept"
    assert len(caplog.records) == 2 and all("changes.json: " in record.getMessage() for record in caplog.records)


def test_a_disk_that_takes_nothing(files: tuple[Path, Path]) -> None:
    live = LiveSettings(files[0], Service, state=files[1].parent / "missing" / "changes.json")
    assert live.change({"note": "now"}).note == "now"
    assert "cannot be written" in live.unsaved and live.current.note == "now"


def test_a_bad_configuration_is_an_error(files: tuple[Path, Path]) -> None:
    files[0].write_text("[camera]\nfps = 0\n")
    with pytest.raises(ConfigError, match=r"service\.toml: camera\.fps = 0"):
        open_live(files)


def test_what_a_page_shows(files: tuple[Path, Path]) -> None:
    live = open_live(files)
    live.change({"camera.fps": 3})
    fields = {field.key: field for field in live.fields()}
    assert list(fields) == ["camera.fps", "camera.mode", "camera.blur", "note"]
    assert fields["camera.fps"] == LiveField(
        "camera.fps", 3.0, 5.0, "float", "Frames per second.", "above 0, to 60", (), 0, 60
    )
    assert fields["camera.mode"].kind == "choice" and fields["camera.mode"].choices == ("day", "night")
    assert fields["camera.blur"].kind == "bool" and fields["note"].kind == "text"


def test_changes_of_many_threads_are_all_kept(files: tuple[Path, Path]) -> None:
    live = open_live(files)
    changes = {"camera.fps": 7, "camera.blur": True, "camera.mode": "night", "note": "n"}
    threads = [threading.Thread(target=live.change, args=({key: value},)) for key, value in changes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert live.current.camera == Camera(fps=7, blur=True, mode="night") and live.current.note == "n"
    assert open_live(files).current == live.current
