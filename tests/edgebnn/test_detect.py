from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebnn.camera.camera import Camera
from edgebnn.camera.clock import SimulatedClock
from edgebnn.camera.files import Video, read_picture
from edgebnn.camera.frame import Frame
from edgebnn.camera.record import VideoRecord
from edgebnn.camera.synthetic import Scene, Synthetic
from edgebnn.detect import _Live, detect
from edgebnn.errors import EdgebnnError, InputError, ModelError, UnavailableError
from edgebnn.interrupts import Stop
from edgebnn.runtime.detections import Detections
from edgebnn.runtime.model import Model

Lines = pytest.CaptureFixture[str]


def json_lines(captured: Lines) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


@pytest.fixture
def video(tmp_path: Path, square: np.ndarray) -> Path:
    """Eight frames of the square wandering right."""
    record = VideoRecord(tmp_path / "walk.mp4", fps=20)
    for i in range(8):
        record.write(np.roll(square, 4 * i, axis=1))
    record.close()
    return record.path


def test_a_json_line_a_picture(pictures: Path, detector_file: Path, capfd: Lines) -> None:
    given = str(pictures / "a.jpg")
    assert detect([given], model=detector_file, as_json=True) == 0
    (line,) = json_lines(capfd)
    assert set(line) == {"file", "frame", "width", "height", "faces", "latency_ms"}
    assert (line["file"], line["frame"], line["width"], line["height"]) == (given, 0, 192, 128)
    assert set(line["latency_ms"]) == {"preprocess", "inference", "decode"}
    assert all(isinstance(value, float) and value >= 0 for value in line["latency_ms"].values())
    scores = [face["score"] for face in line["faces"]]
    assert scores and scores == sorted(scores, reverse=True)
    for face in line["faces"]:
        assert set(face) == {"box", "score"} and 0.5 <= face["score"] <= 1
        x, y, w, h = face["box"]
        assert all(isinstance(value, float) for value in face["box"])
        assert x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 192 and y + h <= 128


def test_folders_files_and_failures(pictures: Path, detector_file: Path, capfd: Lines) -> None:
    alone, missing = str(pictures / "sub" / "b.png"), str(pictures / "missing.jpg")
    assert detect([missing, f"{pictures}/", alone], model=detector_file, as_json=True) == 1
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["file"] for line in lines] == [
        missing,
        f"{pictures}/a.jpg",
        f"{pictures}/broken.jpg",
        f"{pictures}/sub/b.png",
        alone,
    ]
    for line in (lines[0], lines[2]):
        assert set(line) == {"file", "error"} and f"edgebnn: {line['file']}: {line['error']}" in err.splitlines()
    assert all("faces" in lines[i] for i in (1, 3, 4))


def test_the_least_score_is_the_cards_or_the_users(pictures: Path, detector_file: Path, capfd: Lines) -> None:
    counts = []
    for min_score in (None, 0.5, 0.9, 1e-4):
        detect([str(pictures / "a.jpg")], model=detector_file, min_score=min_score, as_json=True)
        (line,) = json_lines(capfd)
        counts.append(len(line["faces"]))
        assert all(face["score"] >= (min_score or 0.5) * (1 - 1e-6) for face in line["faces"])
    assert counts[0] == counts[1] >= counts[2] and counts[3] > counts[0]


def test_a_video_is_its_frames(video: Path, detector_file: Path, capfd: Lines) -> None:
    assert detect([str(video)], model=detector_file, as_json=True) == 0
    lines = json_lines(capfd)
    assert [line["frame"] for line in lines] == list(range(8)) and {line["file"] for line in lines} == {str(video)}
    assert all(line["faces"] for line in lines)


def test_text(pictures: Path, video: Path, detector_file: Path, capfd: Lines) -> None:
    assert detect([str(pictures), str(video)], model=detector_file) == 1
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"{pictures}/a.jpg: ") and "face" in lines[0]
    assert lines[2].startswith(f"{video}: 8 frames, ")
    assert lines[3].startswith("10 frames, ") and "1 unreadable" in lines[3]
    assert all(f"{stage} " in lines[3] for stage in ("preprocess", "inference", "decode"))


def test_saved_files(pictures: Path, video: Path, detector_file: Path, tmp_path: Path, capfd: Lines) -> None:
    out = tmp_path / "out"
    sources = [str(pictures), str(pictures / "a.jpg"), str(video)]
    assert detect(sources, model=detector_file, save=out, as_json=True) == 1
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert written == ["a-detected-2.jpg", "a-detected.jpg", "sub/b-detected.png", "walk-detected.mp4"]
    original, drawn = read_picture(pictures / "sub" / "b.png"), read_picture(out / "sub" / "b-detected.png")
    assert drawn.shape == original.shape and (drawn != original).any()
    with Video(out / "walk-detected.mp4") as source:
        frames = list(source)
    assert len(frames) == 8 and source.fps == pytest.approx(20) and frames[0].image.shape == (128, 192, 3)


def test_saving_beside_the_originals_spares_them(pictures: Path, detector_file: Path, capfd: Lines) -> None:
    before = {path: path.read_bytes() for path in pictures.rglob("*") if path.is_file()}
    for _ in range(2):
        detect([str(pictures)], model=detector_file, save=pictures)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_damaged_video_keeps_what_was_found(tmp_path: Path, detector_file: Path, capfd: Lines) -> None:
    import cv2

    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for _ in range(60):
        writer.write(np.full((240, 320, 3), 200, np.uint8))
    writer.release()
    content = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "a.avi").write_bytes(content[: len(content) // 2])
    assert detect([str(tmp_path / "a.avi")], model=detector_file, save=tmp_path / "out", as_json=True) == 1
    lines = json_lines(capfd)
    assert "error" in lines[-1] and all("faces" in line for line in lines[:-1]) and 5 < len(lines) < 60
    with Video(tmp_path / "out" / "a-detected.mp4") as source:
        assert len(list(source)) == len(lines) - 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_the_video(
    video: Path,
    detector_file: Path,
    tmp_path: Path,
    capfd: Lines,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    interruptible: None,
) -> None:
    real, calls = Model.detect, []

    def interrupted(self: Model, frame: np.ndarray, **options: Any) -> Detections:
        calls.append(1)
        if len(calls) == 4:
            signal.raise_signal(number)
        return real(self, frame, **options)

    monkeypatch.setattr(Model, "detect", interrupted)
    assert detect([str(video), "never-reached.jpg"], model=detector_file, save=tmp_path / "out") == 128 + number
    with Video(tmp_path / "out" / "walk-detected.mp4") as source:
        assert len(list(source)) == 4
    out, err = capfd.readouterr()
    assert "4 frames, " in out and "never-reached" not in out + err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["walk-detected.mp4"]


def test_ctrl_c_in_a_terminal(tmp_path: Path, detector_file: Path, interruptible: None) -> None:
    record = VideoRecord(tmp_path / "long.mp4", fps=25)
    frame = np.full((480, 640, 3), 90, np.uint8)
    for _ in range(1500):
        record.write(frame)
    record.close()
    program = "from edgebnn.cli import main; main()"
    arguments = ["detect", "--model", str(detector_file), "--save", str(tmp_path / "out"), str(record.path)]
    running = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    part = tmp_path / "out" / ".long-detected.part.mp4"
    for _ in range(600):
        if part.exists() and part.stat().st_size > 0:
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "median CPU time" in out and "Traceback" not in err
    with Video(tmp_path / "out" / "long-detected.mp4") as source:
        assert 0 < len(list(source)) < 1500


@pytest.mark.parametrize("min_score", [0.0, 1.0, float("nan")])
def test_scores_out_of_range(detector_file: Path, min_score: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        detect(["a.jpg"], model=detector_file, min_score=min_score)


def test_cameras_and_foreign_models(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(UnavailableError, match="no-such-device"):
        detect([str(pictures), "v4l2:/dev/no-such-device"], model="face")
    with pytest.raises(ModelError):
        detect([str(pictures)], model=pictures / "notes.txt")


def test_a_camera_until_so_many_frames(capfd: Lines) -> None:
    spec = "synthetic:?faces=2&fps=0&width=320&height=240"
    assert detect([spec], model="face", frames=6, as_json=True) == 0
    lines = json_lines(capfd)
    assert [line["frame"] for line in lines] == list(range(6))
    assert all(set(line) == {"file", "frame", "width", "height", "faces", "latency_ms"} for line in lines)
    assert all((line["file"], line["width"], line["height"]) == (spec, 320, 240) for line in lines)
    assert all(len(line["faces"]) == 2 for line in lines)


def test_a_camera_in_text_says_when_the_faces_change(capfd: Lines) -> None:
    spec = "synthetic:?fps=0&frames=14&shown=3&hidden=3"
    assert detect([spec], model="face") == 0
    lines = capfd.readouterr().out.splitlines()
    starts = [f"{spec}: frame {number}: {faces}" for number, faces in ((0, "1 face"), (3, "0 faces"), (6, "1 face"))]
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=False))
    assert len(lines) == 7 and lines[5].startswith(f"{spec}: 14 frames, ")


def test_a_lost_camera_is_waited_for(capfd: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Camera.__init__

    def simulated(self: Camera, *arguments: Any, **options: Any) -> None:
        real(self, *arguments, **options, clock=SimulatedClock())

    monkeypatch.setattr(Camera, "__init__", simulated)
    assert detect(["synthetic:?fps=0&lost_after=4&lost_for=3&frames=8"], model="face", as_json=True) == 0
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 8
    said = [line for line in err.splitlines() if line.startswith("edgebnn: synthetic")]
    assert len(said) == 2 and "the camera is lost: the synthetic camera was unplugged" in said[0]
    assert said[1].endswith("the camera is back")


def test_a_camera_that_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, taken = SimulatedClock(), Camera.latest

    def latest(self: Camera, *arguments: Any, **options: Any) -> Frame | None:
        frame = taken(self, *arguments, timeout_s=60 if self.delivered < 2 else 0)
        if frame is None:
            clock.advance(6)
        return frame

    source = Synthetic(Scene(fps=0, hang_after=2))
    monkeypatch.setattr("edgebnn.detect.open_source", lambda *arguments, **options: source)
    monkeypatch.setattr("edgebnn.detect.Camera", lambda source, **options: Camera(source, clock=clock, **options))
    monkeypatch.setattr(Camera, "latest", latest)
    monkeypatch.setattr(Camera, "close", lambda self: None)
    with pytest.raises(UnavailableError, match="blocked: no sign for 10 s"):
        detect(["synthetic:"], model="face")
    source.woken.set()


def test_a_camera_ends_the_list_of_sources(pictures: Path) -> None:
    with pytest.raises(InputError, match="name it last, or give --frames N"):
        detect(["synthetic:", str(pictures)], model="face")


def test_wrong_specs_are_refused_and_passwords_never_printed(capfd: Lines) -> None:
    assert detect(["picamera:x", "synthetic:?face=1"], model="face", frames=1) == 1
    assert len(capfd.readouterr().err.splitlines()) >= 2
    with pytest.raises(UnavailableError) as raised:
        detect(["http://user:hunter2@127.0.0.1:1/stream"], model="face", as_json=True)
    out, err = capfd.readouterr()
    assert "hunter2" not in out + err + str(raised.value)


def test_a_camera_is_saved_at_its_own_speed(tmp_path: Path, capfd: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimulatedClock()
    every_other = Synthetic(Scene(fps=5, frames=10, width=320, height=240), clock=clock)
    frames = list(every_other)
    monkeypatch.setattr(_Live, "__iter__", lambda self: iter(frames))
    monkeypatch.setattr(_Live, "__exit__", lambda self, *_: None)
    monkeypatch.setattr(_Live, "__enter__", lambda self: self)
    assert detect(["synthetic:"], model="face", save=tmp_path, fps=10) == 0
    with Video(tmp_path / "synthetic-detected.mp4") as source:
        assert len(list(source)) == 19 and source.fps == pytest.approx(10)  # each stands for two


def test_sigterm_ends_a_camera_and_finishes_its_video(tmp_path: Path) -> None:
    program = "from edgebnn.cli import main; main()"
    arguments = ["detect", "--save", str(tmp_path), "--json", "synthetic:?width=320&height=240&fps=60"]
    running = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    lines = [running.stdout.readline() for _ in range(5)]
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 143, err
    assert "Traceback" not in err
    assert all(json.loads(line)["faces"] is not None for line in lines)
    (video,) = tmp_path.iterdir()
    with Video(video) as source:
        assert len(list(source)) >= 1


def test_a_folder_that_cannot_be_written(pictures: Path, detector_file: Path, capfd: Lines) -> None:
    with pytest.raises(EdgebnnError, match="--save"):
        detect([str(pictures)], model=detector_file, save=pictures / "notes.txt")


def test_names_of_any_bytes(tmp_path: Path, pictures: Path, detector_file: Path, capfd: Lines) -> None:
    name = os.fsdecode(bytes(tmp_path) + b"/\xff\xfe\n.jpg")
    Path(name).write_bytes((pictures / "a.jpg").read_bytes())
    for as_json in (True, False):
        assert detect([name], model=detector_file, save=tmp_path / "out", as_json=as_json) == 0
        out = capfd.readouterr().out
        assert not as_json or json.loads(out)["file"] == name


def test_a_window_shows_each_frame_and_its_user_ends_it(capfd: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[bool] = []

    class Shown:
        def __init__(self, title: str, *, stop: Stop) -> None: ...

        def show(self, image: np.ndarray, *, wait: bool = False) -> bool:
            shown.append(wait)
            return len(shown) < 5

        def close(self) -> None:
            shown.append(True)

    monkeypatch.setattr("edgebnn.detect.Window", Shown)
    assert detect(["synthetic:?fps=0&width=320&height=240"], model="face", show=True) == 0
    assert shown == [False] * 5 + [True] and "5 frames, 5 faces" in capfd.readouterr().out
