"""The digits recipes and their variants, three seeds each, for docs/bnn.md.

    .venv/bin/python scripts/bnn_table.py            # what is not yet in docs/figures/digits.csv
    .venv/bin/python scripts/bnn_table.py --only render

Each line of docs/figures/digits.csv is one run: the network of the epoch that is best on the 359 validation digits, its
accuracy there and on the 359 test digits. The tables between the marks in docs/bnn.md are made from that file.
"""

from __future__ import annotations

import argparse
import csv
import platform
import sys
import time
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import numpy as np
import tensorflow as tf

from edgebnn.config import read_toml
from edgebnn.data.examples import ExampleSet, read_digits
from edgebnn.training.average import WeightAverage
from edgebnn.training.classification import Classification, classification_loss
from edgebnn.training.classification_recipe import ClassificationRecipe
from edgebnn.training.workers import Workers

ROOT = Path(__file__).parent.parent
RUNS, PAGE = ROOT / "docs/figures/digits.csv", ROOT / "docs/bnn.md"
SEEDS = (0, 1, 2)
FLOAT = {"model": {"weights": "float", "activations": "float"}, "optimizer": {"glorot": False}}
FIRST_STAGE = {"model": {"weights": "float"}, "optimizer": {"glorot": False}}
RESIDUAL = {"name": "quicknet", "stem_stride": 1, "channels": [32, 64], "layers": [2, 2]}
PAPER: dict[str, dict[str, Any]] = {
    "float twin (ReLU)": FLOAT,
    "deterministic": {},
    "stochastic activations": {"model": {"activations": "stochastic"}},
    "stochastic activations and weights": {"model": {"activations": "stochastic", "weights": "stochastic"}},
    # Rates: the best of 2^-9, 2^-7, 2^-6 here, of 0.003, 0.01, 0.03, 0.1 below; validation digits, digits-mlp, seed 0.
    "shift-based norm and AdaMax": {
        "model": {"norm": "shift"},
        "optimizer": {"kind": "shift-adamax", "rate": 2.0**-7, "final_rate": 2.0**-13},
    },
    "one rate for all layers, 0.003": {"optimizer": {"glorot": False}},
    "one rate for all layers, 0.1": {"optimizer": {"glorot": False, "rate": 0.1, "final_rate": 0.001}},
}
LATER: dict[str, dict[str, Any]] = {
    "approx_sign on activations": {"model": {"activations": "approx"}},
    "swish_sign on activations": {"model": {"activations": "swish"}},
    "magnitude-aware weights": {"model": {"weights": "magnitude"}},
    "two stages: weights float, then binary": {},
    "distilled from the float twin": {},
    "Bop instead of latent weights": {},
    "moving average of the weights, 100 steps": {"optimizer": {"average_steps": 100}},
    "QuickNet blocks, ReLU": {"model": RESIDUAL},
    "QuickNet blocks, RSign and RPReLU": {"model": RESIDUAL | {"activation": "rprelu"}},
}


def recipe_of(name: str, seed: int, changes: dict[str, Any]) -> ClassificationRecipe:
    """The packaged recipe with other values; a model of another name replaces the recipe's."""
    raw = read_toml(Path(str(files("edgebnn.training") / f"recipes/{name}.toml")))
    del raw["smoke"]
    for key, value in changes.items():
        raw[key] = value if value.get("name") else raw.get(key, {}) | value
    raw["schedule"]["seed"] = seed
    return ClassificationRecipe.model_validate(raw)


class Distilled(Classification):
    """Squared hinge, and the mean squared distance of the scores from those of a trained teacher."""

    teacher: Any = None

    def _learn_batch(self, images: Any, labels: Any) -> Any:
        variables, x = self.network.trainable_variables, self._scale(images)
        with tf.GradientTape() as tape:
            scores = self.network(x, training=True)
            loss = classification_loss(scores, labels, kind="squared-hinge")
            loss += tf.reduce_mean(tf.square(scores - self.teacher(x, training=False)))
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return tf.stack([loss, 0.0])


class Flipped(Classification):
    """Larq's Bop on binary kernels, Adam on the rest.

    Threshold and gamma: the best on validation of {1e-7, 1e-6, 1e-5} x {1e-3, 1e-2}, digits-mlp, 15 epochs, seed 0.
    """

    threshold, gamma = 1e-7, 1e-3

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As every classification."""
        super().__init__(*arguments, **options)
        for layer in self.network.layers:
            if hasattr(layer, "kernel"):
                layer.kernel.assign(tf.where(layer.kernel >= 0, 1.0, -1.0))
        legacy = tf.keras.optimizers.legacy
        self.adam = legacy.Adam(self.recipe.optimizer.rate)
        flips = lq.optimizers.Bop(threshold=self.threshold, gamma=self.gamma)
        self.optimizer = lq.optimizers.CaseOptimizer(
            (lq.optimizers.Bop.is_binary_variable, flips), default_optimizer=self.adam
        )

    def set_rate(self, rate: float) -> None:
        """Of Adam; Bop has none."""
        self.adam.learning_rate.assign(rate)


def train(task: Classification) -> dict[str, float]:
    """Train to the end; best epoch on the validation digits, accuracy there and on the test digits."""
    best = {"val": -1.0}
    weights = None
    total = task.recipe.schedule.epochs * task.steps
    average = WeightAverage(task.network, task.average_steps) if task.average_steps else None
    for step, batch in enumerate(task.batches(0, total)):
        if isinstance(task, Flipped):
            task.set_rate(task.rate(step))
        else:
            task.optimizer.learning_rate.assign(task.rate(step))
        task.step(step, batch)
        if average:
            average.update()
        if (step + 1) % task.steps == 0:
            if average:
                task.still.set_weights(average.weights)
            val = task.accuracy(task.pictures.val)
            if val >= best["val"]:
                best = {"val": val, "test": task.accuracy(task.pictures.test), "epoch": (step + 1) // task.steps}
                weights = task.still.get_weights()
    task.network.set_weights(weights)
    return best


def run(recipe: str, variant: str, seed: int, digits: ExampleSet) -> dict[str, float]:
    """One line of the table."""
    changes = (PAPER | LATER)[variant]
    kind = {
        "distilled from the float twin": Distilled,
        "Bop instead of latent weights": Flipped,
    }.get(variant, Classification)
    if variant.startswith("QuickNet"):
        changes = changes | {"optimizer": {"glorot": False}}
    task = kind(recipe_of(recipe, seed, changes), digits, data=(), workers=Workers())
    if variant.startswith("two stages"):
        first = Classification(recipe_of(recipe, seed, FIRST_STAGE), digits, data=(), workers=Workers())
        train(first)
        task.take_weights(first.network)
    if isinstance(task, Distilled):
        teacher = Classification(recipe_of(recipe, seed, FLOAT), digits, data=(), workers=Workers())
        train(teacher)
        task.teacher = teacher.network
    return train(task)


def do_runs() -> None:
    """Every run that the file does not have yet."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    digits = read_digits()
    plan = [("digits-mlp", v, s) for v in PAPER for s in SEEDS] + [("digits-cnn", v, s) for v in PAPER for s in SEEDS]
    plan += [("digits-cnn", v, s) for v in LATER for s in SEEDS]
    done = {(row["recipe"], row["variant"], int(row["seed"])) for row in read_runs()}
    for recipe, variant, seed in plan:
        if (recipe, variant, seed) in done:
            continue
        tf.keras.backend.clear_session()
        began = time.process_time()
        best = run(recipe, variant, seed, digits)
        row = [recipe, variant, seed, best["epoch"], f"{best['val']:.4f}", f"{best['test']:.4f}"]
        row.append(round(time.process_time() - began))
        RUNS.parent.mkdir(parents=True, exist_ok=True)
        fresh = not RUNS.exists()
        with RUNS.open("a", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\n")
            if fresh:
                writer.writerow(["recipe", "variant", "seed", "epoch", "val", "test", "cpu_s"])
            writer.writerow(row)
        print(*row, flush=True)


def read_runs() -> list[dict[str, str]]:
    """The lines of the file."""
    if not RUNS.exists():
        return []
    with RUNS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def spread(rows: list[dict[str, str]], recipe: str, variant: str) -> str:
    """Mean and standard deviation over seeds of the test accuracy, in percent."""
    values = [100 * float(row["test"]) for row in rows if (row["recipe"], row["variant"]) == (recipe, variant)]
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else "not run"


def render() -> None:
    """Write the tables into docs/bnn.md."""
    rows = read_runs()
    paper = ["| | digits-mlp | digits-cnn |", "|---|---|---|"]
    paper += [f"| {v} | {spread(rows, 'digits-mlp', v)} | {spread(rows, 'digits-cnn', v)} |" for v in PAPER]
    later = ["| digits-cnn with | test accuracy, % |", "|---|---|"]
    later += [f"| {v} | {spread(rows, 'digits-cnn', v)} |" for v in ("deterministic", *LATER)]
    names = ("tensorflow", "tf-keras", "larq", "scikit-learn", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    note = f"Seeds {', '.join(map(str, SEEDS))}; Python {platform.python_version()}, {versions}"
    text = PAGE.read_text(encoding="utf-8")
    for mark, lines in (("paper", paper), ("later", later), ("versions", [note.strip() + "."])):
        begin, end = f"<!-- {mark}: made by scripts/bnn_table.py -->", f"<!-- end of {mark} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            sys.exit(f"expected {begin} and {end} once in {PAGE}")
        head, rest = text.split(begin)
        text = "\n".join([head + begin, *lines, end + rest.split(end)[1]])
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["runs", "render"])
    only = parser.parse_args().only
    if only != "render":
        do_runs()
    if only != "runs":
        render()
