from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.data.examples import read_digits
from edgebnn.errors import ConfigError, DataError
from edgebnn.quantizers import WORKERS_APART
from edgebnn.training.checkpoints import load_state
from edgebnn.training.classification import Classification, classification_loss
from edgebnn.training.recipe import read_recipe
from edgebnn.training.run import train
from edgebnn.training.workers import Workers, join_workers

import tensorflow as tf  # isort: skip


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(
    *recipes: Path, out: Path, workers: int, logs: Path, resume: bool = False, smoke: bool = False
) -> list[subprocess.Popen[bytes]]:
    """The workers' processes, the chief first; one recipe for all, or one each."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    processes = []
    for index in range(workers):
        command = [sys.executable, "-c", "import sys; from edgebnn import cli; cli.main(sys.argv[1:])"]
        command += ["train", str(recipes[index % len(recipes)]), "--out", str(out), *(["--resume"] if resume else [])]
        command += ["--smoke"] if smoke else []
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"PYTHONPATH": ":".join(filter(None, sys.path)), "TF_CONFIG": json.dumps(config)}
        with (logs / f"worker{index}.log").open("wb") as log:
            processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    return processes


def said(logs: Path, index: int = 0) -> str:
    return (logs / f"worker{index}.log").read_text(errors="replace")


def wait_for_epoch(logs: Path, process: subprocess.Popen[bytes], epoch: int) -> None:
    while f"epoch {epoch} " not in said(logs):
        assert process.poll() is None, said(logs)
        time.sleep(0.1)


def rows(out: Path) -> list[dict[str, float]]:
    with (out / "metrics.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def recipe(folder: Path, *, epochs: int) -> Path:
    """The packaged digits-mlp, of another length."""
    text = (files("edgebnn.training") / "recipes" / "digits-mlp.toml").read_text()
    file = folder / "digits.toml"
    file.write_text(re.sub(r"epochs = \d+", f"epochs = {epochs}", text, count=1))
    return file


def test_two_workers_learn_as_one_does(tmp_path: Path) -> None:
    """Batch statistics are each worker's own, so that the curves agree within noise, not to the bit."""
    how = recipe(tmp_path, epochs=6)
    processes = start(how, out=tmp_path / "two", workers=2, logs=tmp_path)
    train(str(how), data=[], out=tmp_path / "one", resume=False, init_from=None, smoke=False)
    assert [process.wait() for process in processes] == [0, 0], said(tmp_path)
    curves = [rows(tmp_path / "one"), rows(tmp_path / "two")]
    assert "with 2 workers" in said(tmp_path)
    assert "epoch" not in said(tmp_path, 1), "the chief alone speaks"
    for alone, together in zip(*curves, strict=True):
        assert together["step"] == alone["step"]
        assert together["loss"] == pytest.approx(alone["loss"], rel=0.25)
        assert together["accuracy"] == pytest.approx(alone["accuracy"], abs=0.06)
    assert curves[1][-1]["loss"] < curves[1][0]["loss"]


def test_all_workers_have_the_chiefs_teacher(tmp_path: Path) -> None:
    """They compare its weights before they begin, as part of the data."""
    how = tmp_path / "taught.toml"
    how.write_text((Path(__file__).parent / "tiny.toml").read_text() + "\n[teacher]\nepochs = 2\n")
    processes = start(how, out=tmp_path / "run", workers=2, logs=tmp_path, smoke=True)
    assert [process.wait() for process in processes] == [0, 0], said(tmp_path) + said(tmp_path, 1)
    assert [row["step"] for row in rows(tmp_path / "run" / "teacher")] == [4, 8]
    assert all(row["teacher_loss"] > 0 for row in rows(tmp_path / "run"))


CHANCE = """
task = "classify"
name = "chance"
[input]
source = "digits"
width = 8
height = 8
channels = 1
mean = 8
std = 8
[model]
name = "binarynet"
dense = [16, 16]
weights = "stochastic"
activations = "stochastic"
[schedule]
epochs = 2
steps = 2
batch = 50
seed = 1
"""


def learn_by_hand(file: Path, *, shared: bool, apart: bool) -> list[np.ndarray]:
    """The weights after all steps of two workers, of which each draws signs of activations and of weights.

    `shared`: the same weights on both; `apart`: other activations. Each worker is a network of its own that has half of
    each batch; the gradients' mean moves both.
    """
    how = read_recipe(str(file))
    tasks = [Classification(how, read_digits(), data=(), workers=Workers()) for _ in range(2)]
    for layer in tasks[1].network.layers:
        if getattr(layer, "input_quantizer", None) is not None and apart:
            layer.input_quantizer.seed += WORKERS_APART
        if hasattr(layer, "kernel_quantizer") and not shared:
            layer.kernel_quantizer.seed += WORKERS_APART
    for step, (images, labels) in enumerate(tasks[0].batches(0, 4)):
        found = []
        for task, mine in zip(tasks, (slice(25), slice(25, 50)), strict=True):
            with tf.GradientTape() as tape:
                scores = task.network((images[mine].astype(np.float32) - 8) / 8, training=True)
                loss = classification_loss(scores, labels[mine], kind="squared-hinge")
            found.append(tape.gradient(loss, task.network.trainable_variables))
        means = [(tf.convert_to_tensor(a) + tf.convert_to_tensor(b)) / 2 for a, b in zip(*found, strict=True)]
        for task in tasks:
            task.optimizer.learning_rate.assign(task.rate(step))
            task.optimizer.apply_gradients(zip(means, task.network.trainable_variables, strict=True))
        if step % 2:  # an epoch's end: the mean of the batch statistics
            weights = [np.mean(pair, axis=0) for pair in zip(*(t.network.get_weights() for t in tasks), strict=True)]
            for task in tasks:
                task.network.set_weights(weights)
    return weights


def test_two_workers_take_the_steps_of_the_mean_gradient_chance_included(tmp_path: Path) -> None:
    """Both have the same signs of the weights, each has signs of activations of its own."""
    file = tmp_path / "chance.toml"
    file.write_text(CHANCE)
    processes = start(file, out=tmp_path / "run", workers=2, logs=tmp_path)
    by_hand = {how: learn_by_hand(file, shared=how[0], apart=how[1]) for how in ((1, 1), (1, 0), (0, 1))}
    assert [process.wait() for process in processes] == [0, 0], said(tmp_path)
    found = load_state(tmp_path / "run" / "last.npz").weights
    differences = {
        how: max(float(np.abs(a - b).max()) for a, b in zip(found, weights, strict=True))
        for how, weights in by_hand.items()
    }
    assert differences.pop((1, 1)) < 1e-3
    assert min(differences.values()) > 0.01, "the comparison could tell"


def test_a_worker_that_dies_and_one_that_is_asked_to_stop(tmp_path: Path) -> None:
    out, long = tmp_path / "run", recipe(tmp_path, epochs=2000)
    chief, other = start(long, out=out, workers=2, logs=tmp_path)
    wait_for_epoch(tmp_path, chief, 2)
    other.kill()
    other.wait()
    assert chief.wait() != 0
    saved = load_state(out / "last.npz")
    assert saved.history[1]["epoch"] == 2 and saved.step == saved.history[-1]["step"], "what was shown is saved"

    chief, other = start(long, out=out, workers=2, logs=tmp_path, resume=True)
    wait_for_epoch(tmp_path, chief, int(saved.history[-1]["epoch"]) + 2)
    other.send_signal(signal.SIGTERM)
    assert (other.wait(), chief.wait()) == (130, 130), said(tmp_path)
    match = re.search(r"saved after step (\d+) of", said(tmp_path))
    assert match and load_state(out / "last.npz").step == int(match[1]) > saved.step


def test_workers_with_other_networks_are_refused(tmp_path: Path) -> None:
    """In a sentence, and not by TensorFlow at the first variable whose shapes differ."""
    recipes = [tmp_path / "one.toml", tmp_path / "other.toml"]
    for file, units in zip(recipes, ("16", "24"), strict=True):
        file.write_text(CHANCE.replace("dense = [16, 16]", f"dense = [16, {units}]"))
    processes = start(*recipes, out=tmp_path / "run", workers=2, logs=tmp_path)
    assert [process.wait() for process in processes] == [1, 1]
    for index in range(2):
        assert "edgebnn: the workers have different recipes or data" in said(tmp_path, index)
    assert not (tmp_path / "run").exists()


def test_without_tf_config_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    alone = join_workers()
    assert alone.is_chief and alone.count == 1
    assert alone.share(7, name="batch") == range(7)
    value = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(alone.agree(value), value)
    assert alone.any(True) and not alone.any(False)
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["here:1"]}, "task": {"type": "worker", "index": 0}}')
    assert join_workers().count == 1


def test_batches_are_shared_out_evenly() -> None:
    shares = [Workers(index=index, count=4).share(32, name="batches.size") for index in range(4)]
    assert [number for share in shares for number in share] == list(range(32))
    with pytest.raises(DataError, match=r"batches.size = 30 cannot be shared by 4 workers: choose a multiple of 4"):
        Workers(index=0, count=4).share(30, name="batches.size")


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        "{}",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": [1, 2]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_wrong_tf_config_is_one_sentence(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match="expected workers and which of them this is") as raised:
        join_workers()
    assert "\n" not in str(raised.value)
