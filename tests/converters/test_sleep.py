"""The sleep recipe's network, trained a little and converted: what the device says of a night is what training said."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("larq_compute_engine") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn_convert.convert import convert

from edgebnn.data.night_examples import simulate_examples
from edgebnn.data.nights import simulate_night
from edgebnn.inspection.report import inspect
from edgebnn.runtime.sleep_scorer import SleepScorer
from edgebnn.training.recipe import read_recipe
from edgebnn.training.sleep import Sleep
from edgebnn.training.workers import Workers

TINY = Path(__file__).parents[1] / "edgebnn/training/tiny-sleep.toml"
SEED = 4


def test_a_sleep_network_converts(delegate: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = read_recipe(str(TINY))
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"levels": 3})})
    nights = simulate_examples(3, seed=SEED)
    task = Sleep(recipe, nights, nights, data=(), workers=Workers())
    for step, batch in enumerate(task.batches(0, 6)):
        task.step(step, batch)
    task.still.set_weights(task.network.get_weights())
    row = {"epoch": 1.0, "step": 6.0, **task.validate()}
    task.still.save(tmp_path / "best.keras")
    (tmp_path / "card.json").write_text(task.card(row, checkpoint_sha256="").model_dump_json())
    convert(tmp_path / "best.keras", tmp_path / "sleep.tflite", card=None)  # compares all implementations

    capsys.readouterr()
    inspect("sleep.tflite", (tmp_path / "sleep.tflite").read_bytes(), as_json=True)
    binary = [op["binary"] for op in json.loads(capsys.readouterr().out)["operators"] if op["macs"]]
    assert binary == [False, True, True, True, True, True, False, False, False, False]

    scorer = SleepScorer(tmp_path / "sleep.tflite")
    activity = simulate_night(np.random.default_rng((SEED, 0))).activity[:150]
    said = [
        scorer.add(30.0 * at, None if np.isnan(value) else float(value)).p_wake for at, value in enumerate(activity)
    ]
    wake, _ = task.answers_of(nights.features[0][:150])
    np.testing.assert_allclose(said, wake, atol=1e-3)
