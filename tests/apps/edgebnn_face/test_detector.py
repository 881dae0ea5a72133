from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from edgebnn_face.detector import Detector

from edgebnn.errors import ModelError
from tests.edgebnn import small_networks

PICTURE = np.zeros((128, 192, 3), np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(small_networks.detector())
    return path


def replace(file: Path, content: bytes, *, second: int) -> None:
    """As `mv` does it, with a time of its own."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    os.utime(new, (second, second))
    new.replace(file)


def face_model() -> bytes:
    return (files("edgebnn") / "weights" / "face.tflite").read_bytes()


def test_a_new_file_is_loaded_once_it_has_come_to_rest(file: Path) -> None:
    detector = Detector(str(file), threads=1)
    for _ in range(3):
        detector.look_again()
    assert detector.loaded == 1
    first = detector._model
    replace(file, face_model(), second=1)
    detector.look_again()
    assert detector._model is first  # it might still be growing
    detector.look_again()
    assert detector._model is not first and detector.loaded == 2 and not detector.problem
    detector.look_again()
    assert detector.loaded == 2
    detector.detect(PICTURE, min_score=0.5)


def test_a_file_that_grows_is_left_alone_until_it_is_whole(file: Path) -> None:
    detector = Detector(str(file), threads=1)
    content = face_model()
    for share in (0.1, 0.4, 0.7):
        file.write_bytes(content[: int(share * len(content))])
        detector.look_again()
    assert detector.loaded == 1 and not detector.problem
    file.write_bytes(content)
    detector.look_again()
    detector.look_again()
    assert detector.loaded == 2


@pytest.mark.parametrize("damage", ["half", "byte", "empty", "foreign", "no card", "text"])
def test_a_bad_file_changes_nothing_and_is_said_once(file: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    content = face_model()
    bad = {
        "half": content[: len(content) // 2],
        "byte": content[:5000] + bytes([content[5000] ^ 1]) + content[5001:],
        "empty": b"",
        "foreign": os.urandom(20_000),
        "no card": small_networks.bare_detector(),
        "text": b"not a model",
    }[damage]
    detector = Detector(str(file), threads=1)
    first = detector._model
    replace(file, bad, second=1)
    for _ in range(5):
        detector.look_again()
    assert detector._model is first and detector.loaded == 1
    assert "the model loaded before runs on" in detector.problem
    assert [record.message for record in caplog.records if record.name == "edgebnn.model"] == [detector.problem]
    detector.detect(PICTURE, min_score=0.5)
    # a good one again
    replace(file, content, second=2)
    detector.look_again()
    detector.look_again()
    assert detector.loaded == 2 and not detector.problem


def test_a_file_that_goes_and_comes_back(file: Path) -> None:
    detector = Detector(str(file), threads=1)
    content = file.read_bytes()
    file.unlink()
    detector.look_again()
    detector.look_again()
    assert f"{file} is gone" in detector.problem
    detector.detect(PICTURE, min_score=0.5)
    file.write_bytes(content)
    detector.look_again()
    detector.look_again()
    assert not detector.problem and detector.loaded == 2


def test_a_folder_or_a_pipe_in_its_place(file: Path) -> None:
    detector = Detector(str(file), threads=1)
    file.unlink()
    file.mkdir()
    detector.look_again()
    detector.look_again()
    assert "cannot be used" in detector.problem or "gone" in detector.problem
    file.rmdir()
    os.mkfifo(file)  # reading it would block for ever
    detector.look_again()
    detector.look_again()
    assert detector.problem and detector.loaded == 1


def test_the_packaged_model_is_not_watched() -> None:
    detector = Detector("face", threads=1)
    detector.look_again()
    detector.look_again()
    assert detector.loaded == 1 and not detector.problem


def test_what_is_no_detector_is_refused_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "plain.tflite"
    path.write_bytes(small_networks.bare_detector())
    with pytest.raises(ModelError, match="no card of a detector"):
        Detector(str(path), threads=1)
    with pytest.raises(ModelError, match="cannot read the model"):
        Detector(str(tmp_path / "none.tflite"), threads=1)
