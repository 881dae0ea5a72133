"""Networks of the recipes for digits, trained a little and converted: Keras = LCE = delegate, all binary."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if find_spec("larq_compute_engine") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn_convert.convert import convert

from edgebnn import Model
from edgebnn.config import read_toml
from edgebnn.data.examples import read_digits
from edgebnn.inspection.report import inspect
from edgebnn.training.classification import Classification
from edgebnn.training.classification_recipe import ClassificationRecipe
from edgebnn.training.workers import Workers

REACT = {"name": "quicknet", "stem_stride": 1, "channels": [32, 64], "layers": [1, 1], "activation": "rprelu"}
STOCHASTIC = {"weights": "stochastic", "activations": "stochastic"}


@pytest.mark.parametrize(
    ("recipe", "model"),
    [
        ("digits-mlp", {}),
        ("digits-mlp", STOCHASTIC | {"norm": "shift"}),
        ("digits-cnn", STOCHASTIC),
        ("digits-cnn", {"norm": "shift"}),
        ("digits-cnn", {"weights": "magnitude", "activations": "swish"}),
        ("digits-cnn", REACT),
    ],
)
def test_a_classifier_converts(
    delegate: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str, model: dict[str, Any]
) -> None:
    import edgebnn.training

    raw = read_toml(Path(edgebnn.training.__file__).parent / f"recipes/{recipe}.toml")
    del raw["smoke"]
    raw["model"] = model if "name" in model else raw["model"] | model
    raw["schedule"]["epochs"] = 1
    digits = read_digits()
    task = Classification(ClassificationRecipe.model_validate(raw), digits, data=(), workers=Workers())
    for step, batch in enumerate(task.batches(0, 8)):
        task.step(step, batch)
    task.network.save(tmp_path / "best.keras")
    card = task.card({"epoch": 1, "step": 8}, checkpoint_sha256="")
    (tmp_path / "card.json").write_text(card.model_dump_json())
    convert(tmp_path / "best.keras", tmp_path / "digits.tflite", card=None)  # compares all implementations

    capsys.readouterr()
    inspect("digits.tflite", (tmp_path / "digits.tflite").read_bytes(), as_json=True)
    table = json.loads(capsys.readouterr().out)
    kernels = [layer for layer in task.network.layers if hasattr(layer, "kernel") or hasattr(layer, "depthwise_kernel")]
    expected = [getattr(layer, "input_quantizer", None) is not None for layer in kernels]
    assert [op["binary"] for op in table["operators"] if op["macs"]] == expected
    assert not [op["type"] for op in table["operators"] if op["type"] == "LceDequantize"]

    device = Model(tmp_path / "digits.tflite")
    images = digits.test.images[:40]
    scores = np.concatenate([device.run(((one - 8.0) / 8.0).astype(np.float32)[None])[0] for one in images])
    np.testing.assert_allclose(scores, task.scores(images), atol=1e-4 * np.ptp(scores))
