"""`edgebnn train` on recipes of task "classify"."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.card import parse_card
from edgebnn.data.examples import read_digits
from edgebnn.errors import ConfigError, DataError
from edgebnn.training.checkpoints import load_state
from edgebnn.training.run import train
from tests.edgebnn.training.test_recipe import write
from tests.edgebnn.training.test_run import HERE, assert_same_run

import tensorflow as tf  # isort: skip

TINY = str(HERE / "tiny-digits.toml")
PLAIN = {"data": [], "resume": False, "init_from": None, "smoke": False}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an uninterrupted run with stochastic weights and activations."""
    out = tmp_path_factory.mktemp("digits") / "run"
    train(TINY, out=out, **PLAIN)
    return out


def test_deterministic_runs_repeat(tmp_path: Path) -> None:
    """In processes of their own: TensorFlow cannot be talked out of determinism."""
    command = [sys.executable, "-c", "import sys; from edgebnn import cli; cli.main(sys.argv[1:])", "train", TINY]
    environment = os.environ | {"PYTHONPATH": ":".join(filter(None, sys.path))}
    runs = [
        subprocess.Popen([*command, "--deterministic", "--out", str(tmp_path / name)], env=environment)
        for name in ("one", "other")
    ]
    assert [run.wait() for run in runs] == [0, 0]
    assert_same_run(tmp_path / "one", tmp_path / "other")


def test_the_card_names_classes_and_input(whole: Path) -> None:
    card = parse_card((whole / "card.json").read_bytes())
    assert card.task == "tensors" and card.classes == tuple("0123456789")
    assert card.preprocess and (card.preprocess.width, card.preprocess.mean, card.preprocess.std) == (8, 8, 8)
    assert card.training.pictures == 1079 and card.training.data == ("the digits of scikit-learn",)
    assert card.training.samples == card.training.epochs * 4 * 50
    network = tf.keras.models.load_model(whole / "best.keras", compile=False)
    digits = read_digits()
    right = np.argmax(network((digits.val.images - 8.0) / 8.0), axis=1) == digits.val.labels
    assert card.metrics["val_accuracy"] == pytest.approx(right.mean(), abs=1e-4)


@pytest.mark.parametrize(("moment", "number", "at"), [("kill-step", 7, 4), ("int", 6, 6)])
def test_resuming_equals_never_having_stopped(whole: Path, tmp_path: Path, moment: str, number: int, at: int) -> None:
    command = [sys.executable, str(HERE / "interrupted.py"), TINY, "-", str(tmp_path / "run"), moment, str(number)]
    environment = os.environ | {"PYTHONPATH": ":".join(filter(None, sys.path))}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == (130 if moment == "int" else -signal.SIGKILL), ended.stderr
    assert load_state(tmp_path / "run" / "last.npz").step == at
    train(TINY, out=tmp_path / "run", **(PLAIN | {"resume": True}))
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.parametrize(
    "change",
    [
        {"head": np.frombuffer(b"[1]", np.uint8)},
        {"weight0000": np.zeros((2, 2), np.float32)},
        {"optimizer9999": np.zeros(3, np.float32)},
    ],
    ids=str,
)
def test_a_state_that_was_changed_is_one_sentence(whole: Path, tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    (tmp_path / "run").mkdir()
    with np.load(whole / "last.npz") as stored:
        np.savez(tmp_path / "run" / "last.npz", **{**stored, **change})
    with pytest.raises(DataError, match="start anew with another --out"):
        train(TINY, out=tmp_path / "run", **(PLAIN | {"resume": True}))


def test_digits_are_learnt(tmp_path: Path) -> None:
    text = (HERE.parents[2] / "edgebnn/training/recipes/digits-mlp.toml").read_text()
    recipe = write(tmp_path, text.replace("epochs = 60", "epochs = 6"))
    train(recipe, out=tmp_path / "run", **PLAIN)
    assert load_state(tmp_path / "run" / "last.npz").best > 0.85


def test_the_first_stage_of_two_starts_the_second(whole: Path, tmp_path: Path) -> None:
    text = (HERE / "tiny-digits.toml").read_text().replace("epochs = 3", "epochs = 1")
    first = write(tmp_path, text.replace('weights = "stochastic"', 'weights = "float"'))
    train(first, out=tmp_path / "first", **PLAIN)
    second = write(tmp_path, text)
    train(second, out=tmp_path / "second", **(PLAIN | {"init_from": tmp_path / "first" / "best.keras"}))
    one = tf.keras.models.load_model(tmp_path / "second" / "best.keras", compile=False)
    assert np.abs(one.get_layer("block1_conv1").kernel.numpy()).max() <= 1


@pytest.mark.parametrize("name", ["cifar10-binarynet", "quicknet"])
def test_recipes_for_own_pictures_smoke_without_data(tmp_path: Path, name: str) -> None:
    train(name, out=tmp_path / "run", **(PLAIN | {"smoke": True}))
    card = parse_card((tmp_path / "run" / "card.json").read_bytes())
    assert card.classes == ("face", "other") and card.training.data == ("pieces of the bundled photograph",)
    assert "public-domain" in card.licence
    assert card.metrics["val_accuracy"] > 0.5


def test_mistakes_are_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave --data out"):
        train(TINY, out=tmp_path / "run", **(PLAIN | {"data": [tmp_path]}))
    with pytest.raises(DataError, match="--data"):
        train("quicknet", out=tmp_path / "run", **PLAIN)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file cannot be written"):
        train(TINY, out=tmp_path / "file", **PLAIN)

    def fill(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edgebnn.training.checkpoints.np.savez", fill)
    with pytest.raises(DataError, match=r"run cannot be written \(No space left on device\): make room"):
        train(TINY, out=tmp_path / "run", **PLAIN)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('task = "classify"', 'task = "clasify"', ["task", "'clasify'", "'classify'"]),
        ("width = 8", "width = 28", ["input", "8 x 8 pixels"]),
        ('weights = "stochastic"', 'weights = "random"', ["model.binarynet.weights", "random"]),
        ('name = "binarynet"', 'name = "face"', ["model", "binarynet"]),
        ('kind = "shift-adamax"', 'kind = "sgd"', ["optimizer.kind", "sgd"]),
        ("steps = 4", "large_every = 4", ["schedule.large_every"]),
    ],
)
def test_mistakes_name_the_key(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    text = (HERE / "tiny-digits.toml").read_text()
    assert old in text
    with pytest.raises(ConfigError) as error:
        train(write(tmp_path, text.replace(old, new)), out=tmp_path / "run", **PLAIN)
    assert all(part in str(error.value) for part in said), error.value
