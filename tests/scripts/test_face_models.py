"""The packaged face detectors, the script that makes them and the one that states what they are worth."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

if importlib.util.find_spec("larq_compute_engine") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn_convert.embed import strip_card

from edgebnn import samples
from edgebnn.card import read_card
from edgebnn.models import FaceNetwork, build_face_network
from edgebnn.runtime.model import Model, read_model
from tests.converters.conftest import delegate  # noqa: F401  (a fixture)
from tests.edgebnn.small_networks import detector_card
from tests.scripts.test_bnn import script

SIZES = {"face": (384, 256), "face-large": (416, 416), "face-small": (192, 160)}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_the_package_holds_what_the_script_makes(name: str, size: tuple[int, int]) -> None:
    card = read_card(read_model(name)[1])
    assert card is not None and card.preprocess is not None and card.decode is not None
    assert (card.name, card.preprocess.width, card.preprocess.height) == (name, *size)
    assert card.preprocess.turns == (size[0] != size[1])
    assert {"val_ap50_24", "test_ap50_24_wider_low", "test_precision_24_mask"} <= card.metrics.keys()
    assert 0 < card.metrics["cpu_time_of_yunet_n"] < 1


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The photograph to validate."""
    folder = tmp_path / "data"
    folder.mkdir()
    cv2.imwrite(str(folder / "val.png"), cv2.resize(cv2.imread(str(samples.photograph())), (64, 64)))
    row = {"file": "val.png", "width": 64, "height": 64, "boxes": [[20, 6, 14, 26]], "split": "val"}
    (folder / "annotations.jsonl").write_text(json.dumps(row | {"source": "wider_val"}) + "\n")
    return folder


@pytest.mark.usefixtures("delegate")
def test_each_size_has_its_card(tmp_path: Path, data: Path) -> None:
    network = build_face_network(FaceNetwork(stem=8, channels=(32, 32, 32), blocks=(0, 0, 0)), width=64, height=64)
    network.save(tmp_path / "best.keras")
    levels = [{"output": f"s{stride}", "stride": stride, "scale": 1.0} for stride in (8, 16, 32)]
    card = detector_card(size=64).model_dump(mode="json") | {"metrics": {"val_ap50_24": 0.5}}
    card["decode"]["levels"] = levels
    (tmp_path / "card.json").write_text(json.dumps(card))
    sizes = ["face=64x64", "face-large=96x64", "upright=64x96"]
    arguments = [*sizes, "--data", str(data), "--out", str(tmp_path / "out")]
    assert script("face_models").main([str(tmp_path / "best.keras"), *arguments]) == 0
    for name, width in (("face", 64), ("face-large", 96)):
        made = Model(tmp_path / "out" / f"{name}.tflite")
        assert made.card is not None and made.card.name == name
        assert made.inputs[0].shape == (1, 64, width, 3)
        assert made.card.preprocess.turns == (width != 64)
        assert {"val_ap50_12", "val_recall_24"} <= made.card.metrics.keys()
    wide, upright = (Model(tmp_path / "out" / f"{name}.tflite") for name in ("face-large", "upright"))
    picture = cv2.imread(str(samples.photograph()))
    for crop in (picture[:, :300], picture[:300]):
        one, other = (model.detect(np.ascontiguousarray(crop), min_score=0.01) for model in (wide, upright))
        assert len(one) and np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)


def test_what_is_missing_is_one_sentence(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(tmp_path / "best.keras"), "face=64x64", "--data", str(data), "--out", str(tmp_path / "out")]
    assert script("face_models").main(arguments) == 1
    assert "expected card.json beside" in capsys.readouterr().err
    (tmp_path / "card.json").write_text('{"version": 1, "name": "x", "task": "tensors"}')
    assert script("face_models").main(arguments) == 1
    assert "expected the card of a detector beside the checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["face", "face=64", "face=0x64", "face=64x100", "../face=64x64", "face=64x64x64"])
def test_a_name_and_a_size_are_needed(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script("face_models").main(["best.keras", model, "--data", "x", "--out", "y"])
    assert f"expected NAME=WIDTHxHEIGHT, both multiples of 32, got '{model}'" in capsys.readouterr().err


def figures(name: str, milliseconds: float) -> dict[str, Any]:
    """A row of a comparison."""
    group = {"ap50": {"12": 0.5, "24": 0.8, "48": 0.9}, "interval": [0.7, 0.9], "recall": 0.75, "precision": 0.9}
    alarms = {"pictures": 24, "false_alarms": 2}
    return {"name": name, "cpu_ms": milliseconds, "groups": {"wider": group}, "without_faces": alarms}


@pytest.fixture
def comparison(tmp_path: Path) -> Path:
    file = tmp_path / "comparison.json"
    rows = [figures("face", 1.0), figures("other", 2.0), figures("YuNet_n 320x320 (OpenCV)", 4.0)]
    file.write_text(json.dumps({"ours": 2, "rows": rows}))
    return file


def test_a_comparison_goes_into_the_cards(tmp_path: Path, comparison: Path) -> None:
    content = read_model("face")[1]
    (tmp_path / "face.tflite").write_bytes(content)
    before = read_card(content)
    assert script("face_cards").main([str(comparison), str(tmp_path / "face.tflite")]) == 0
    after = read_card((tmp_path / "face.tflite").read_bytes())
    assert before is not None and after is not None
    test = {key: value for key, value in after.metrics.items() if not key.startswith("val_")}
    assert test == {
        "test_ap50_12_wider": 0.5,
        "test_ap50_24_wider": 0.8,
        "test_ap50_48_wider": 0.9,
        "test_ap50_24_wider_low": 0.7,
        "test_ap50_24_wider_high": 0.9,
        "test_recall_24_wider": 0.75,
        "test_precision_24_wider": 0.9,
        "test_false_alarms": 2,
        "cpu_time_of_yunet_n": 0.25,
    }
    assert after.metrics | test == after.metrics and after.metrics["val_ap50_24"] == before.metrics["val_ap50_24"]
    assert strip_card((tmp_path / "face.tflite").read_bytes()) == strip_card(content)


def test_cards_that_cannot_be_stated_are_one_sentence(
    tmp_path: Path, comparison: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, other = tmp_path / "face.tflite", tmp_path / "face-small.tflite"
    file.write_bytes(read_model("face")[1])
    other.write_bytes(read_model("face-small")[1])
    content = file.read_bytes()
    command = script("face_cards").main
    for arguments, sentence in (
        ([comparison, file, other], f"compares (face, other), {other} has a card of 'face-small'"),
        ([comparison, file, tmp_path / "none.tflite"], "cannot read"),
        ([tmp_path / "none.json", file], "cannot read"),
        ([file, file], "expected"),
    ):
        assert command([str(argument) for argument in arguments]) == 1
        assert sentence in capsys.readouterr().err
    comparison.write_text(json.dumps({"ours": 1, "rows": [figures("face", 1.0)]}))
    assert command([str(comparison), str(file)]) == 1
    assert "what edgebnn.evaluation.comparison --peers wrote" in capsys.readouterr().err
    assert file.read_bytes() == content
