from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.card import parse_card
from edgebnn.data.night_examples import NightExamples
from edgebnn.errors import DataError
from edgebnn.models.sleep import build_sleep_network
from edgebnn.runtime.sleep_features import COUNT
from edgebnn.training.checkpoints import load_state
from edgebnn.training.recipe import read_recipe
from edgebnn.training.run import train
from edgebnn.training.sleep import Sleep, best_threshold, masked_cross_entropies
from edgebnn.training.workers import Workers
from tests.edgebnn.data.test_sleep_accel import write_person
from tests.edgebnn.training.test_run import HERE, assert_same_run

import tensorflow as tf  # isort: skip

TINY = str(HERE / "tiny-sleep.toml")
PLAIN: dict[str, Any] = {"data": [], "resume": False, "init_from": None, "smoke": False}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an uninterrupted run."""
    out = tmp_path_factory.mktemp("sleep") / "run"
    train(TINY, out=out, **PLAIN)
    return out


def test_the_card_says_what_it_is(whole: Path) -> None:
    card = parse_card((whole / "card.json").read_bytes())
    assert card.task == "sleep" and card.sleep is not None and card.sleep.window == 16
    assert card.classes == ("wake", "N1", "N2", "N3", "REM")
    assert card.training.data == ("simulated nights (edgebnn.data.nights)",)
    assert card.training.samples == card.training.epochs * 4 * 4 * 64
    assert {"val_kappa", "val_specificity", "val_stage_kappa"} <= card.metrics.keys()
    network = tf.keras.models.load_model(whole / "best.keras", compile=False)
    assert network.input_shape == (None, 1, 16, COUNT)


def test_resuming_equals_never_having_stopped(whole: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "interrupted.py"), TINY, "-", str(tmp_path / "run"), "kill-step", "7"]
    environment = os.environ | {"PYTHONPATH": ":".join(filter(None, sys.path))}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert load_state(tmp_path / "run" / "last.npz").step == 4
    train(TINY, out=tmp_path / "run", **(PLAIN | {"resume": True}))
    assert_same_run(tmp_path / "run", whole)


def test_weights_start_another_run(whole: Path, tmp_path: Path) -> None:
    train(TINY, out=tmp_path / "run", **(PLAIN | {"init_from": whole / "best.keras"}))
    assert (tmp_path / "run" / "best.keras").is_file()


def test_people_can_be_learnt(tmp_path: Path) -> None:
    stages = [0] * 8 + [1, 2, 2, 2, 3, 5] * 5
    for number in range(4):
        write_person(tmp_path / "people", f"p{number}", stages, set(range(8)), seed=number)
    train(TINY, out=tmp_path / "run", **(PLAIN | {"data": [tmp_path / "people"]}))
    card = parse_card((tmp_path / "run" / "card.json").read_bytes())
    assert card.training.data == ("people",)
    with pytest.raises(DataError, match="labels/ID_labeled_sleep"):
        train(TINY, out=tmp_path / "other", **(PLAIN | {"data": [tmp_path]}))


def task(**changes: Any) -> Sleep:
    recipe = read_recipe(TINY)
    random = np.random.default_rng(0)
    stages = [random.integers(-1, 5, 150) for _ in range(3)]
    features = [random.normal(0, 1, (150, COUNT)).astype(np.float32) for _ in stages]
    nights = NightExamples(features, stages)
    return Sleep(recipe.model_copy(update=changes), nights, nights, data=(), workers=Workers())


def test_answers_are_those_of_the_network_on_the_device() -> None:
    one = task()
    for variable in one.still.weights:
        variable.assign(tf.random.stateless_uniform(variable.shape, (1, 2), 0.1, 0.9))
    one.validate()
    rows = one.val.features[0]
    wake, stages = one.answers_of(rows)
    device = build_sleep_network(one.recipe.model, features=COUNT)
    device.set_weights(one.still.get_weights())
    padded = np.concatenate([np.zeros((one.window - 1, COUNT), np.float32), rows])
    for at in (0, 5, 63, 64, 149):
        answer = device(padded[None, None, at : at + one.window])
        assert wake[at] == pytest.approx(float(tf.sigmoid(answer["wake"])[0, 0]), abs=1e-4)
        np.testing.assert_allclose(stages[at], tf.nn.softmax(answer["stages"])[0], atol=1e-4)
    assert wake.shape == (150,) and stages.shape == (150, 5)


def test_losses_by_hand() -> None:
    logits = {
        "wake": np.array([[[2.0], [-1.0], [0.5]]], np.float32),
        "restless": np.array([[[1.0], [0.0], [3.0]]], np.float32),
        "stages": np.zeros((1, 3, 5), np.float32),
    }
    stages, restless = np.array([[0, 2, -1]]), np.array([[-1, 1, -1]])
    wake, near, which = masked_cross_entropies(logits, stages, restless)
    assert float(wake) == pytest.approx((np.log1p(np.exp(-2)) + np.log1p(np.exp(-1))) / 2)
    assert float(near) == pytest.approx(np.log(2))
    assert float(which) == pytest.approx(np.log(5))
    nothing = masked_cross_entropies(logits, np.full((1, 3), -1), np.full((1, 3), -1))
    assert [float(loss) for loss in nothing] == [0, 0, 0]


def test_the_threshold_is_not_that_of_the_nights_with_most_epochs() -> None:
    random = np.random.default_rng(0)

    def night(share: float, epochs: int) -> tuple[np.ndarray, np.ndarray]:
        awake = random.random(epochs) < share
        return awake, np.clip(np.where(awake, 0.6, 0.2) + random.normal(0, 0.1, epochs), 0, 1)

    threshold = best_threshold([night(0.05, 3000), night(0.2, 3000), night(0.5, 3000)])
    assert 0.35 < threshold < 0.5
    assert 0 < best_threshold([(np.zeros(5, bool), np.zeros(5))]) < 1


def test_smoke(tmp_path: Path) -> None:
    train("sleep", out=tmp_path / "run", **(PLAIN | {"smoke": True}))
    card = parse_card((tmp_path / "run" / "card.json").read_bytes())
    assert card.metrics["val_kappa"] > 0.05 and "simulated nights" in card.licence
