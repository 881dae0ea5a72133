from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from edgebnn_convert.calibration import MOST_FILES, read_samples

from edgebnn import cli
from edgebnn.card import Preprocess
from edgebnn.errors import ModelError

PICTURE = {"image": (1, 24, 16, 3)}
CARD = Preprocess(width=16, height=24, mean=100, std=50, pad=7)


def test_pictures_are_scaled_as_the_card_says(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    bgr = np.zeros((24, 24, 3), np.uint8)
    bgr[...] = (10, 20, 250)
    cv2.imwrite(str(tmp_path / "deep" / "a.png"), bgr)
    (tmp_path / "annotations.json").write_text("{}")
    (sample,) = read_samples(tmp_path, PICTURE, CARD)
    x = sample["image"]
    assert x.shape == (1, 24, 16, 3) and x.dtype == np.float32
    np.testing.assert_allclose(x[0, 12, 8], [(250 - 100) / 50, (20 - 100) / 50, (10 - 100) / 50])
    np.testing.assert_allclose(x[0, 0, 0], (7 - 100) / 50)
    (grey,) = read_samples(tmp_path, {"image": (1, 24, 16, 1)}, CARD)
    assert grey["image"].shape == (1, 24, 16, 1)


def test_of_many_pictures_some_are_taken(tmp_path: Path) -> None:
    for i in range(MOST_FILES + 5):
        cv2.imwrite(str(tmp_path / f"{i:03}.png"), np.full((2, 2, 3), i, np.uint8))
    count = len(list(read_samples(tmp_path, PICTURE, CARD)))
    assert MOST_FILES / 2 < count <= MOST_FILES


def test_arrays_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", left=np.ones((2, 3)), right=np.zeros((2, 4, 5)), other=1)
    found = list(read_samples(tmp_path, {"left": (1, 3), "right": (1, 4, 5)}, None))
    assert [sample["left"].shape for sample in found] == 2 * [(1, 3)]
    assert found[0]["right"].dtype == np.float32


@pytest.mark.parametrize(
    ("make", "inputs", "card", "reason"),
    [
        (lambda folder: None, PICTURE, CARD, "holds no pictures"),
        (lambda folder: (folder / "a.png").write_bytes(b"no picture"), PICTURE, CARD, "cannot decode"),
        (lambda folder: (folder / "a.png").write_bytes(b""), PICTURE, CARD, "cannot decode"),
        (lambda folder: (folder / "a.png").write_bytes(b"x"), PICTURE, None, "a card whose preprocess"),
        (lambda folder: (folder / "a.png").write_bytes(b"x"), {"x": (1, 8)}, CARD, r"the model has x \(1, 8\)"),
        (lambda folder: (folder / "a.npz").write_bytes(b"x"), {"x": (1, 8)}, None, "cannot read the calibration file"),
        (lambda folder: np.savez(folder / "a.npz", y=1), {"x": (1, 8)}, None, "it holds nothing"),
        (lambda folder: np.savez(folder / "a.npz", x=np.ones((1, 7))), {"x": (1, 8)}, None, r"it holds \(1, 7\)"),
        (lambda folder: np.savez(folder / "a.npz", x=np.float32(1)), {"x": (1, 8)}, None, r"it holds \(\)"),
    ],
)
def test_what_does_not_fit_is_one_sentence(tmp_path: Path, make: Any, inputs: Any, card: Any, reason: str) -> None:
    make(tmp_path)
    with pytest.raises(ModelError, match=reason):
        list(read_samples(tmp_path, inputs, card))


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="to be a folder"):
        list(read_samples(tmp_path / "none", PICTURE, CARD))


@pytest.mark.parametrize("option", [["--int8"], ["--calibrate", "folder"]])
def test_the_options_belong_together(option: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["convert", "best.keras", "-o", "out.tflite", *option])
    assert end.value.code == 2 and "together" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        cli.main(["verify", "face", "--calibrate", "folder"])
    assert end.value.code == 2 and "expected --checkpoint" in capsys.readouterr().err
