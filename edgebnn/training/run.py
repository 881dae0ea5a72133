"""`edgebnn train`: a recipe and data in, a run folder with checkpoints out."""

from __future__ import annotations

import fcntl
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from edgebnn.data.composites import write_composites, write_pieces
from edgebnn.data.examples import read_digits, read_folders
from edgebnn.data.night_examples import read_examples, simulate_examples
from edgebnn.data.pictures import Image, Labelled, Pictures, read_rgb
from edgebnn.errors import DataError
from edgebnn.evaluation.annotations import read_annotations
from edgebnn.models import MODELS
from edgebnn.runtime.sleep_features import COUNT as FEATURES
from edgebnn.training.checkpoints import fitting, load_state
from edgebnn.training.classification import Classification
from edgebnn.training.classification_recipe import ClassificationRecipe
from edgebnn.training.detection import Detection
from edgebnn.training.loop import Loop
from edgebnn.training.recipe import DetectionRecipe, Recipe, read_recipe
from edgebnn.training.sleep import Sleep
from edgebnn.training.sleep_recipe import SleepRecipe
from edgebnn.training.task import Task
from edgebnn.training.workers import Workers, join_workers

TEACHER = "teacher"
"""the folder of its run, in the run's own"""
SMOKE_PICTURES = 64
SMOKE_LICENCE = "Trained for a minute on a public-domain photograph, to prove that training works: of no use."
SIMULATED = ("simulated nights (edgebnn.data.nights)",)
SHOWN_PROBLEMS = 20


def train(
    recipe: str,
    *,
    data: list[Path],
    out: Path | None,
    resume: bool,
    init_from: Path | None,
    smoke: bool,
    deterministic: bool = False,
) -> None:
    """Train `recipe` (a packaged name or a .toml file) on the folders `data`; see docs/training.md for the run folder.

    `resume` goes on exactly from the run folder's last checkpoint; `init_from` starts from a .keras file's weights;
    `smoke` runs the recipe's [smoke] variant, on pictures made of the bundled photograph when there is no `data`.
    `deterministic` has TensorFlow refuse or replace operators whose result depends on timing. With TF_CONFIG set, this
    process is one of several workers; see `workers`. SIGINT and SIGTERM save and end in KeyboardInterrupt.
    """
    how = read_recipe(recipe, smoke=smoke)
    if not data and how.own_data == "never":
        how = how.model_copy(update={"licence": SMOKE_LICENCE})
    folder = out or Path("runs") / (f"{how.name}-smoke" if smoke else how.name)
    last, teachers_last = folder / "last.npz", folder / TEACHER / "last.npz"
    begun = last.exists() or not teachers_last.exists()  # else it was stopped while its teacher learnt
    if resume and begun and init_from:
        raise DataError("--resume goes on with the run's own weights: leave --init-from out")
    if data and how.own_data == "always":
        raise DataError(f"recipe {how.name} brings its own pictures: leave --data out")
    if not data and how.own_data == "never" and not smoke:
        raise DataError("expected at least one --data DIR to train on (only --smoke runs without)")
    if not resume and (last.exists() or teachers_last.exists()):
        raise DataError(f"{folder} holds a run already: go on with --resume, or name another folder with --out")
    workers = join_workers()
    with workers.together(), tempfile.TemporaryDirectory(prefix="edgebnn-") as scratch:
        workers.check_same(how.model_dump_json().encode())  # TensorFlow fails when variables have other shapes
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        state = load_state(last) if resume and begun and workers.is_chief else None
        if not workers.is_chief:  # it follows the chief's state and writes nothing
            folder = Path(scratch) / "run"
        with _writing(folder), _alone(folder):
            loop = Loop(how, folder, make_task(how, data, folder, Path(scratch), workers), workers)
            if init_from and workers.is_chief:
                loop.load_weights(init_from)
            loop.run(state)


def untrained(recipe: str, *, smoke: bool) -> Any:
    """The recipe's network, before it has learnt anything, at its export size; ten classes where data would say."""
    how = read_recipe(recipe, smoke=smoke)
    tf.keras.utils.set_random_seed(how.schedule.seed)
    return _build(how)


def _build(how: Recipe) -> Any:
    _, build = MODELS[how.model.name]
    if isinstance(how, ClassificationRecipe):
        size = how.input
        return build(how.model, width=size.width, height=size.height, channels=size.channels, classes=10)
    if isinstance(how, SleepRecipe):
        return build(how.model, features=FEATURES)
    return build(how.model, width=how.export.width, height=how.export.height)


def make_task(how: Recipe, data: Sequence[Path], folder: Path, scratch: Path, workers: Workers) -> Task:
    """The task of a recipe on the sets `data`, without any on what is made here; a teacher is trained in `folder`."""
    names = tuple(path.resolve().name for path in data)
    if isinstance(how, ClassificationRecipe):
        if how.input.source == "digits":
            return Classification(how, read_digits(), data=("the digits of scikit-learn",), workers=workers)
        folders = data or [_make_pieces(scratch)]
        size = {"width": how.input.width, "height": how.input.height, "channels": how.input.channels}
        examples = read_folders(folders, **size, pad=how.input.pad, memory_mb=how.input.memory_mb)
        return Classification(how, examples, data=names or ("pieces of the bundled photograph",), workers=workers)
    if isinstance(how, SleepRecipe):
        if data:
            return Sleep(how, *read_examples(data), data=names, workers=workers)
        seed, first = how.schedule.seed, how.nights.val
        nights = simulate_examples(how.nights.train, seed=seed, first=first)
        return Sleep(how, nights, simulate_examples(how.nights.val, seed=seed), data=SIMULATED, workers=workers)
    learnt, held_out = _read_all(data) if data else _make_composites(scratch, how.schedule.seed)
    cache_mb = how.batches.cache_mb
    val = Pictures(held_out, cache_mb=cache_mb) if held_out else None
    pictures = Pictures(learnt, cache_mb=cache_mb, longest_side=how.batches.longest_side)

    def detection(recipe: DetectionRecipe, teacher: Any = None) -> Detection:
        own = names or ("composites of the bundled photograph",)
        return Detection(recipe, pictures, val, data=own, workers=workers, teacher=teacher)

    if twin := how.float_twin():
        return detection(how, _train_teacher(twin, lambda: detection(twin), folder / TEACHER, workers))
    return detection(how)


def _train_teacher(how: DetectionRecipe, make: Callable[[], Task], folder: Path, workers: Workers) -> Any:
    """The best network of a run of `how` in `folder`, which goes on where it was."""
    last, best = folder / "last.npz", folder / "best.keras"
    state = load_state(last) if workers.is_chief and last.exists() else None
    if not workers.any(state is not None and state.step >= how.schedule.epochs * how.schedule.steps):
        folder.mkdir(exist_ok=True)
        Loop(how, folder, make(), workers).run(state)
    network = _build(how)  # outside of the workers' scope: it is only read
    if workers.is_chief:
        with fitting(best, how.name):
            network.set_weights(tf.keras.models.load_model(best, compile=False).get_weights())
    network.set_weights([workers.agree(weights) for weights in network.get_weights()])
    return network


def _read_all(folders: Sequence[Path]) -> tuple[list[Labelled], list[Labelled]]:
    """The pictures of the splits train and val of all folders; what is wrong with them is reported."""
    splits: list[list[Labelled]] = []
    for split in ("train", "val"):
        pictures: list[Labelled] = []
        for folder in folders:
            found = read_annotations(folder, split=split)
            for problem in found.problems[:SHOWN_PROBLEMS]:
                print(f"edgebnn: {problem}", file=sys.stderr)
            if found.problems:
                print(f"edgebnn: {folder}: {len(found.problems)} annotations skipped", file=sys.stderr)
            pictures += [Labelled(one.file, one.boxes, one.ignore, one.source) for one in found.pictures]
        splits.append(pictures)
    if not splits[0]:
        raise DataError(f"expected pictures of split train, there are none in {', '.join(map(str, folders))}")
    return splits[0], splits[1]


def _make_composites(folder: Path, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    photograph, box = _photograph()
    made = write_composites(folder, photograph, box, count=SMOKE_PICTURES, seed=seed)
    return made[SMOKE_PICTURES // 4 :], made[: SMOKE_PICTURES // 4]


def _make_pieces(folder: Path) -> Path:
    """Two classes for a classifier: pieces of the face, pieces of what is around it."""
    write_pieces(folder, *_photograph(), count=SMOKE_PICTURES)
    return folder


def _photograph() -> tuple[Image, list[float]]:
    """The bundled photograph and its face as x, y, w, h."""
    samples = files("edgebnn.samples")
    box = json.loads((samples / "astronaut.json").read_text(encoding="utf-8"))["box"]
    with as_file(samples / "astronaut.jpg") as file:
        photograph = read_rgb(file)
    if photograph is None:
        raise DataError("the bundled photograph astronaut.jpg cannot be read: install edgebnn again")
    return photograph, box


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make the run folder; DataError when it, or a file in it, cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise DataError(
            f"the run folder {folder} cannot be written ({error.strerror or error}): make room, or name another one "
            "with --out; what was saved before is whole"
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the run folder; DataError when another process trains in it."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(f"another process is training in {folder}: name another folder with --out") from None
        yield
