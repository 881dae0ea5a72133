"""Training of the sleep network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from edgebnn.card import Card, SleepDecode, Training
from edgebnn.data.ahead import made_ahead
from edgebnn.data.night_examples import Features, NightExamples, crops_at, put_piece, restlessness
from edgebnn.evaluation.sleep.nights import STAGE_NAMES, WAKE, Stages
from edgebnn.evaluation.sleep.scores import cohens_kappa, score_sleep_wake
from edgebnn.models.sleep import build_sleep_network
from edgebnn.runtime.sleep_features import COUNT
from edgebnn.training.provenance import versions
from edgebnn.training.rates import cosine
from edgebnn.training.sleep_recipe import SleepRecipe
from edgebnn.training.task import Example
from edgebnn.training.workers import Workers

PROBE_EPOCHS = 64
SHOWN_NIGHTS = 8
THRESHOLDS = np.arange(0.15, 0.7, 0.01)

Floats = npt.NDArray[np.float64]


def masked_cross_entropies(logits: Mapping[str, Any], stages: Any, restless: Any) -> tuple[Any, Any, Any]:
    """Means over the labelled epochs of the cross entropies of wake, restlessness and stages.

    `logits` are (n, t, 1), (n, t, 1) and (n, t, 5) by name; `stages` and `restless` (n, t), negative where unknown.
    """

    def mean(loss: Any, known: Any) -> Any:
        known = tf.cast(known, tf.float32)
        return tf.reduce_sum(loss * known) / tf.maximum(tf.reduce_sum(known), 1.0)

    sigmoid = tf.nn.sigmoid_cross_entropy_with_logits
    wake = sigmoid(labels=tf.cast(stages == WAKE, tf.float32), logits=logits["wake"][..., 0])
    near = sigmoid(labels=tf.cast(restless == 1, tf.float32), logits=logits["restless"][..., 0])
    which = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.maximum(stages, 0), logits=logits["stages"])
    return mean(wake, stages >= 0), mean(near, restless >= 0), mean(which, stages >= 0)


class Sleep:
    """The task of a `SleepRecipe`; see `Task`."""

    losses: tuple[str, ...] = ("loss", "wake_loss", "restless_loss", "stages_loss")
    metric = "kappa"

    def __init__(
        self, recipe: SleepRecipe, train: NightExamples, val: NightExamples, *, data: tuple[str, ...], workers: Workers
    ) -> None:
        """Build the network of `recipe`; `data` names the nights in the card."""
        self.recipe, self.train, self.val, self.data, self.workers = recipe, train, val, data, workers
        self.window, self.answers = recipe.model.window, recipe.batches.answers
        tf.keras.utils.set_random_seed(recipe.schedule.seed)
        with workers.scope():
            self.network = build_sleep_network(recipe.model, features=COUNT, answers=self.answers)
            self.optimizer = tf.keras.optimizers.Adam(recipe.optimizer.rate)
            self.optimizer.build(self.network.trainable_variables)
        self.still = build_sleep_network(recipe.model, features=COUNT)
        self._wide = build_sleep_network(recipe.model, features=COUNT, answers=self.answers)
        self.still.set_weights(self.network.get_weights())
        self.steps, self.average_steps = recipe.schedule.steps, recipe.optimizer.average_steps
        self._share = workers.share(recipe.batches.size, name="batches.size")
        self._learn = workers.compile(self._learn_batch)
        self._infer = tf.function(lambda night: self._wide(night, training=False))

    def _learn_batch(self, features: Any, stages: Any, restless: Any) -> Any:
        variables, how = self.network.trainable_variables, self.recipe.loss
        with tf.GradientTape() as tape:
            parts = masked_cross_entropies(self.network(features, training=True), stages, restless)
            loss = parts[0] + how.restless * parts[1] + how.stages * parts[2]
            own_share = loss / self.workers.count
        self.optimizer.apply_gradients(zip(tape.gradient(own_share, variables), variables, strict=True))
        return tf.stack([loss, *parts])

    def describe_data(self) -> str:
        """How many nights there are."""
        return f"{len(self.train)} training and {len(self.val)} validation nights"

    def batches(self, start: int, stop: int) -> Iterable[tuple[Features, Stages, Stages]]:
        """(features, stages, restlessness) of each step, made ahead."""
        size, seed = self.recipe.batches.size, self.recipe.schedule.seed

        def make(step: int) -> tuple[Features, Stages, Stages]:
            features, stages = crops_at(
                self.train, step, size=size, window=self.window, answers=self.answers, seed=seed
            )
            own = slice(self._share.start, self._share.stop)
            return features[own], stages[own], np.stack([restlessness(one) for one in stages[own]])

        return made_ahead(make, range(start, stop))

    def rate(self, step: int) -> float:
        """Warm-up, then a cosine over the run."""
        how = self.recipe.optimizer
        total = self.recipe.schedule.epochs * self.steps
        return cosine(step, total=total, rate=how.rate, final_rate=how.final_rate, warmup_steps=how.warmup_steps)

    def step(self, number: int, batch: tuple[Any, ...]) -> Any:
        """The losses of a batch."""
        return self._learn(*batch)

    def take_weights(self, other: Any) -> list[str]:
        """From a network of the same shapes."""
        self.network.set_weights(other.get_weights())
        return []

    def restore(self, step: int) -> None:
        """Nothing but weights and optimizer changes."""

    def answers_of(self, rows: Features) -> tuple[Floats, Floats]:
        """P(wake) (n,) and the probabilities of the stages (n, 5) of a night's features (n, COUNT)."""
        wake, stages = [], []
        for start in range(0, len(rows), self.answers):
            piece = np.zeros((1, 1, self.window - 1 + self.answers, COUNT), np.float32)
            put_piece(piece[0, 0], rows, start=start, window=self.window)
            logits = self._infer(piece)
            wake.append(tf.sigmoid(logits["wake"][0, :, 0]).numpy())
            stages.append(tf.nn.softmax(logits["stages"][0]).numpy())
        return np.concatenate(wake)[: len(rows)], np.concatenate(stages)[: len(rows)]

    def validate(self) -> dict[str, float]:
        """Kappa of wake at the threshold that serves best, and what goes with it."""
        self._wide.set_weights(self.still.get_weights())
        nights = []
        agreement = []
        for rows, stage in zip(self.val.features, self.val.stages, strict=True):
            wake, probabilities = self.answers_of(rows)
            scored = stage >= 0
            nights.append((stage[scored] == WAKE, wake[scored]))
            agreement.append((stage[scored], probabilities[scored].argmax(axis=1)))
        threshold = best_threshold(nights)
        truth = np.concatenate([awake for awake, _ in nights])
        said = np.concatenate([wake for _, wake in nights]) >= threshold
        scores = score_sleep_wake(truth, said)
        staged = [np.concatenate(part) for part in zip(*agreement, strict=True)]
        return {
            "kappa": float(np.nan_to_num(scores.kappa)),  # nan: no wake at all is found and none was there
            "accuracy": scores.accuracy,
            "sensitivity": scores.sensitivity,
            "specificity": scores.specificity,
            "stage_kappa": cohens_kappa(*staged),
            "threshold": threshold,
        }

    def probe(self) -> npt.NDArray[np.float32]:
        """Some windows of the first training nights."""
        features, _ = crops_at(self.train, 0, size=PROBE_EPOCHS, window=self.window, answers=1, seed=0)
        return features

    def examples(self) -> list[Example]:
        """Validation nights: scored wake above, P(wake) below."""
        shown = []
        for rows, stage in list(zip(self.val.features, self.val.stages, strict=True))[:SHOWN_NIGHTS]:
            wake, _ = self.answers_of(rows)
            shown.append((f"{len(stage) / 120:.1f} h: awake as scored (top), P(wake)", _draw(stage, wake)))
        return shown

    def identify(self) -> Iterator[bytes]:
        """Features and stages of the training nights."""
        for rows, stage in zip(self.train.features, self.train.stages, strict=True):
            yield rows.tobytes()
            yield stage.tobytes()

    def card(self, row: Mapping[str, float], *, checkpoint_sha256: str) -> Card:
        """Task "sleep"."""
        names = ("kappa", "accuracy", "sensitivity", "specificity", "stage_kappa")
        return Card(
            name=self.recipe.name,
            task="sleep",
            classes=STAGE_NAMES,
            sleep=SleepDecode(window=self.window, threshold=round(row["threshold"], 2)),
            metrics={f"val_{name}": round(row[name], 4) for name in names},
            training=Training(
                recipe=self.recipe.name,
                data=self.data,
                epochs=row["epoch"],
                samples=int(row["step"]) * self.recipe.batches.size * self.answers,
                checkpoint_sha256=checkpoint_sha256,
                versions=versions(),
            ),
            licence=self.recipe.licence,
        )


def best_threshold(nights: Sequence[tuple[npt.NDArray[np.bool_], Floats]]) -> float:
    """The threshold on P(wake) with the best mean kappa over three groups of nights, with little to much wake.

    Not pooled: there the nights with much wake would choose alone, and the threshold would not hold where the share of
    wake is another. `nights` are (awake (n,), P(wake) (n,)) each.
    """
    ordered = sorted(nights, key=lambda night: float(night[0].mean()) if len(night[0]) else 0.0)
    groups = [ordered[k * len(ordered) // 3 : (k + 1) * len(ordered) // 3] for k in range(3)]
    total = np.zeros(len(THRESHOLDS))
    for group in groups:
        if not group:
            continue
        truth = np.concatenate([awake for awake, _ in group])
        wake = np.concatenate([probability for _, probability in group])
        if truth.any() and not truth.all():
            total += [cohens_kappa(truth, wake >= threshold) for threshold in THRESHOLDS]
    return float(THRESHOLDS[int(np.argmax(total))])


def _draw(stage: Stages, wake: Floats, *, height: int = 64) -> npt.NDArray[np.uint8]:
    """RGB (2 * height, n, 3)."""
    picture = np.full((2 * height, len(stage), 3), 255, np.uint8)
    picture[:height][:, stage == WAKE] = (220, 120, 60)
    picture[:height][:, stage < 0] = (200, 200, 200)
    level = np.rint(wake * (height - 1)).astype(np.int64)
    picture[height:][np.arange(height)[::-1, None] <= level] = (60, 110, 200)
    return picture
