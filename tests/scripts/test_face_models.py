"""The packaged face detectors and the script that makes them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

if importlib.util.find_spec("larq_compute_engine") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

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
    assert {"val_ap50_24", "test_ap50_24_wider", "test_ap50_24_mask"} <= card.metrics.keys()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The photograph, once to validate and once to test."""
    folder = tmp_path / "data"
    folder.mkdir()
    picture = cv2.resize(cv2.imread(str(samples.photograph())), (64, 64))
    with (folder / "annotations.jsonl").open("w", encoding="utf-8") as lines:
        for split in ("val", "test"):
            cv2.imwrite(str(folder / f"{split}.png"), picture)
            row = {"file": f"{split}.png", "width": 64, "height": 64, "boxes": [[20, 6, 14, 26]], "split": split}
            lines.write(json.dumps(row | {"source": "wider_val"}) + "\n")
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
        assert {"val_ap50_12", "val_recall_24", "test_ap50_24_wider"} <= made.card.metrics.keys()
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
