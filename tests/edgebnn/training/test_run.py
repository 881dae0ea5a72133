import csv
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.card import parse_card
from edgebnn.cli import main
from edgebnn.errors import DataError
from edgebnn.training.checkpoints import State, load_state
from edgebnn.training.run import train
from edgebnn.training.validation import validate

import tensorflow as tf  # isort: skip

HERE = Path(__file__).parent
TINY = str(HERE / "tiny.toml")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of drawn faces, with one corrupt picture, one corrupt box and one corrupt line."""
    folder = tmp_path_factory.mktemp("data")
    lines = []
    for index in range(8):
        picture = np.random.default_rng(index).integers(0, 255, (120, 160, 3), np.uint8)
        boxes: list[list[float]] = [[20 + 5 * index, 30, 40, 50]] if index != 3 else []
        for x, y, w, h in boxes:
            cv2.ellipse(picture, (int(x + w / 2), int(y + h / 2)), (w // 2, h // 2), 0, 0, 360, (180, 200, 240), -1)
        cv2.imwrite(str(folder / f"{index}.png"), picture)
        lines.append(json.dumps({"file": f"{index}.png", "boxes": boxes, "split": "val" if index > 5 else "train"}))
    (folder / "corrupt.jpg").write_bytes(b"\xff\xd8\xff nothing")
    lines += ['{"file": "corrupt.jpg"}', '{"file": "0.png", "boxes": [[1, 2, -3, 4]]}', "{"]
    (folder / "annotations.jsonl").write_text("\n".join(lines))
    return folder


def go(data: Path, out: Path, *, resume: bool = False, init_from: Path | None = None) -> None:
    train(TINY, data=[data], out=out, resume=resume, init_from=init_from, smoke=False)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole") / "run"
    go(data, out)
    return out


def assert_same_run(one: Path, other: Path) -> None:
    a, b = load_state(one / "last.npz"), load_state(other / "last.npz")
    assert (a.step, a.best, a.history) == (b.step, b.best, b.history)
    assert (a.health, a.warnings) == (b.health, b.warnings)
    assert a.signs.keys() == b.signs.keys() and all((a.signs[name] == b.signs[name]).all() for name in a.signs)
    assert a.averaged == b.averaged == (a.step if a.average else 0)
    for x, y in zip(a.weights + a.optimizer + a.average, b.weights + b.optimizer + b.average, strict=True):
        np.testing.assert_array_equal(x, y)
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
    best = [tf.keras.models.load_model(run / "best.keras", compile=False).get_weights() for run in (one, other)]
    for x, y in zip(*best, strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_run_folder(whole: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    assert names == {"best.keras", "card.json", "last.npz", "metrics.csv", "report.html", "tensorboard", ".lock"}
    assert list((whole / "tensorboard").iterdir())
    with (whole / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["4", "8", "12"]
    assert {"loss", "score_loss", "box_loss", "rate", "ap50_12", "ap50_24", "ap50_48"} <= set(rows[0])


def test_the_card_describes_the_checkpoint(whole: Path, data: Path) -> None:
    import hashlib

    card = parse_card((whole / "card.json").read_bytes())
    assert card.task == "detect" and card.classes == ("face",) and card.decode and card.preprocess
    assert [level.stride for level in card.decode.levels] == [8, 16, 32]
    assert card.training.data == (data.name,)
    assert card.training.pictures == 7  # six, and the one whose box was corrupt
    assert card.training.checkpoint_sha256 == hashlib.sha256((whole / "best.keras").read_bytes()).hexdigest()
    steps = int(card.training.epochs) * 4
    assert card.training.samples == sum(2 if step % 3 == 2 else 4 for step in range(steps))
    network = tf.keras.models.load_model(whole / "best.keras", compile=False)
    assert set(network.output_names) == {level.output for level in card.decode.levels}
    assert network.input_shape == (None, card.preprocess.height, card.preprocess.width, 3)


def test_latent_weights_stay_in_reach_of_the_sign(whole: Path) -> None:
    network = tf.keras.models.load_model(whole / "best.keras", compile=False)
    kernels = [layer.kernel.numpy() for layer in network.layers if type(layer).__name__ == "QuantConv2D"]
    assert kernels and max(np.abs(kernel).max() for kernel in kernels) <= 1


@pytest.mark.parametrize(("moment", "number", "at"), [("kill-step", 3, 0), ("kill-save", 3, 4), ("int", 6, 6)])
def test_resuming_equals_never_having_stopped(
    data: Path, whole: Path, tmp_path: Path, moment: str, number: int, at: int
) -> None:
    command = [
        sys.executable,
        str(HERE / "interrupted.py"),
        TINY,
        str(data),
        str(tmp_path / "run"),
        moment,
        str(number),
    ]
    environment = os.environ | {"PYTHONPATH": ":".join(filter(None, sys.path))}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == (130 if moment == "int" else -signal.SIGKILL), ended.stderr
    assert load_state(tmp_path / "run" / "last.npz").step == at
    go(data, tmp_path / "run", resume=True)
    assert_same_run(tmp_path / "run", whole)


def test_resuming_a_finished_run_changes_nothing(data: Path, whole: Path) -> None:
    before = (whole / "last.npz").read_bytes()
    go(data, whole, resume=True)
    assert (whole / "last.npz").read_bytes() == before


def test_a_run_is_not_overwritten(data: Path, whole: Path) -> None:
    with pytest.raises(DataError, match="--resume"):
        go(data, whole)


def test_two_processes_do_not_share_a_folder(data: Path, tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process"):
            go(data, tmp_path)


def test_resuming_with_other_data_is_refused(data: Path, whole: Path, tmp_path: Path) -> None:
    for file in data.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    lines = (tmp_path / "annotations.jsonl").read_text().splitlines()
    (tmp_path / "annotations.jsonl").write_text("\n".join(lines[1:]))
    with pytest.raises(DataError, match="other data"):
        train(TINY, data=[tmp_path], out=whole, resume=True, init_from=None, smoke=False)


def test_an_input_that_turns(data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Learns as another does, and is validated in both orientations."""
    turning = tmp_path / "turning.toml"
    turning.write_text(Path(TINY).read_text().replace("height = 96", "height = 64\nturns = true"))
    for name in ("6.png", "7.png"):  # the validation pictures
        assert cv2.imread(str(data / name)).shape[:2] == (120, 160)
    mixed = tmp_path / "mixed"
    shutil.copytree(data, mixed)
    upright = cv2.rotate(cv2.imread(str(data / "7.png")), cv2.ROTATE_90_CLOCKWISE)
    cv2.imwrite(str(mixed / "7.png"), upright)
    seen: list[tuple[int, ...]] = []

    def watched(network: Callable[[np.ndarray], Any], *arguments: Any) -> dict[str, float]:
        def watch(images: np.ndarray) -> Any:
            outputs = network(images)
            seen.append((*images.shape[1:3], *outputs["s32"].shape[1:3]))
            return outputs

        return validate(watch, *arguments)

    monkeypatch.setattr("edgebnn.training.detection.validate", watched)
    train(str(turning), data=[mixed], out=tmp_path / "run", resume=False, init_from=None, smoke=False)
    card = parse_card((tmp_path / "run" / "card.json").read_bytes())
    assert (card.preprocess.width, card.preprocess.height, card.preprocess.turns) == (96, 64, True)
    assert seen == 3 * [(64, 96, 2, 3), (96, 64, 3, 2)]
    for one, other in zip(*(load_state(run / "last.npz").weights for run in (tmp_path / "run", whole)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_init_from_takes_the_weights(data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebnn.training.loop import Loop

    started: list[list[np.ndarray]] = []

    def record(self: Loop, state: State | None) -> None:
        started.append(self.task.network.get_weights())

    monkeypatch.setattr(Loop, "run", record)
    go(data, tmp_path / "run", init_from=whole / "best.keras")
    expected = tf.keras.models.load_model(whole / "best.keras", compile=False).get_weights()
    for x, y in zip(started[0], expected, strict=True):
        np.testing.assert_array_equal(x, y)


def test_init_from_what_does_not_fit(data: Path, tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no network")
    other = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(2,))])
    other.save(tmp_path / "other.keras")
    for name in ("text.keras", "other.keras", "missing.keras"):
        with pytest.raises(DataError, match=name):
            go(data, tmp_path / "run", init_from=tmp_path / name)


def test_mistakes_are_said_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(DataError, match="--data"):
        train(TINY, data=[], out=out, resume=False, init_from=None, smoke=False)
    with pytest.raises(DataError, match=r"last\.npz"):
        train(TINY, data=[tmp_path], out=out, resume=True, init_from=None, smoke=False)
    with pytest.raises(DataError, match="--init-from"):
        train(TINY, data=[tmp_path], out=out, resume=True, init_from=out, smoke=False)
    assert not out.exists()


@pytest.fixture(scope="module")
def taught_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("taught") / "taught.toml"
    file.write_text(
        Path(TINY).read_text().replace('"tiny"', '"taught"') + "\n[teacher]\nepochs = 2\ndecay_epochs = 1\n"
    )
    return file


@pytest.fixture(scope="module")
def taught(taught_recipe: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an uninterrupted run with a teacher."""
    out = tmp_path_factory.mktemp("taught") / "run"
    train(str(taught_recipe), data=[data], out=out, resume=False, init_from=None, smoke=False)
    return out


def test_a_teacher_is_trained_first_and_stays_as_it_is(taught: Path) -> None:
    assert load_state(taught / "teacher" / "last.npz").step == 8
    card = parse_card((taught / "teacher" / "card.json").read_bytes())
    assert card.name == "taught-float"
    network = tf.keras.models.load_model(taught / "teacher" / "best.keras", compile=False)
    assert not any(type(layer).__name__ == "QuantConv2D" for layer in network.layers)
    with (taught / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["4", "8", "12"]
    for row in rows:
        loss, score, box, told = (float(row[name]) for name in ("loss", "score_loss", "box_loss", "teacher_loss"))
        assert loss == pytest.approx(0.5 * (2 * score + box) + 0.5 * told, rel=1e-4)
        assert told > 0


@pytest.mark.parametrize(("number", "teacher_at", "student_at"), [(3, 0, None), (10, 8, 8)])
def test_resuming_with_a_teacher_equals_never_having_stopped(
    taught_recipe: Path, taught: Path, data: Path, tmp_path: Path, number: int, teacher_at: int, student_at: int | None
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, HERE / "interrupted.py", taught_recipe, data, run, "kill-step", number]
    environment = os.environ | {"PYTHONPATH": ":".join(filter(None, sys.path))}
    ended = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert load_state(run / "teacher" / "last.npz").step == teacher_at
    assert (run / "last.npz").exists() == (student_at is not None)
    assert student_at is None or load_state(run / "last.npz").step == student_at
    with pytest.raises(DataError, match="--resume"):
        train(str(taught_recipe), data=[data], out=run, resume=False, init_from=None, smoke=False)
    train(str(taught_recipe), data=[data], out=run, resume=True, init_from=None, smoke=False)
    assert_same_run(run / "teacher", taught / "teacher")
    assert_same_run(run, taught)


def test_another_teacher_is_another_run(taught_recipe: Path, taught: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(taught, run)
    twin = tf.keras.models.load_model(run / "teacher" / "best.keras", compile=False)
    twin.set_weights([1.01 * weights for weights in twin.get_weights()])
    twin.save(run / "teacher" / "best.keras")
    with pytest.raises(DataError, match="another recipe or other data"):
        train(str(taught_recipe), data=[data], out=run, resume=True, init_from=None, smoke=False)
    whole = (run / "teacher" / "best.keras").read_bytes()
    middle = len(whole) // 2
    for damaged in (b"", b"PK", whole[:middle], whole[:middle] + bytes(64) + whole[middle + 64 :]):
        (run / "teacher" / "best.keras").write_bytes(damaged)
        with pytest.raises(DataError, match=r"teacher/best\.keras does not fit recipe taught-float"):
            train(str(taught_recipe), data=[data], out=run, resume=True, init_from=None, smoke=False)
    (run / "teacher" / "best.keras").unlink()
    with pytest.raises(DataError, match=r"teacher/best\.keras does not fit recipe taught-float"):
        train(str(taught_recipe), data=[data], out=run, resume=True, init_from=None, smoke=False)


def test_smoke_runs_without_data(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", TINY, "--smoke", "--out", str(tmp_path / "run")])
    assert ended.value.code == 0
    card = parse_card((tmp_path / "run" / "card.json").read_bytes())
    assert card.training.data == ("composites of the bundled photograph",)
    assert "public-domain" in card.licence
