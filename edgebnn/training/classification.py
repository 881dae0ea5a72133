"""Training of a classifier, as Courbariaux et al. 2016 do it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from edgebnn.card import Card, Preprocess, Training
from edgebnn.data.ahead import made_ahead
from edgebnn.data.examples import Examples, ExampleSet, Labels, batch_at
from edgebnn.data.pictures import Image
from edgebnn.errors import DataError
from edgebnn.models import MODELS
from edgebnn.quantizers import set_draws
from edgebnn.training.classification_recipe import ClassificationRecipe
from edgebnn.training.optimizers import make_optimizer
from edgebnn.training.provenance import versions
from edgebnn.training.rates import exponential
from edgebnn.training.task import Example
from edgebnn.training.workers import Workers

VALIDATION_BATCH = 100
PROBE_PICTURES = 64
SHOWN_PICTURES = 24
SHOWN_SIDE = 96  # pixels


def classification_loss(scores: Any, labels: Any, *, kind: str) -> Any:
    """Mean loss of scores (n, classes) against labels (n,).

    squared-hinge: max(0, 1 - t s)^2 over all scores, t = +1 for the label and -1 for the other classes.
    cross-entropy: softmax cross entropy.
    """
    if kind == "squared-hinge":
        targets = 2.0 * tf.one_hot(labels, scores.shape[-1]) - 1.0
        return tf.reduce_mean(tf.keras.losses.squared_hinge(targets, scores))
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores))


class Classification:
    """The task of a `ClassificationRecipe`; see `Task`."""

    losses: tuple[str, ...] = ("loss", "train_accuracy")

    def __init__(
        self, recipe: ClassificationRecipe, examples: ExampleSet, *, data: tuple[str, ...], workers: Workers
    ) -> None:
        """Build the network of `recipe`; `data` names the data sets in the card."""
        self.recipe, self.pictures, self.data, self.workers = recipe, examples, data, workers
        how, plan = recipe.input, recipe.schedule
        workers.check_same("\0".join(examples.classes).encode())  # as many as the network has outputs
        tf.keras.utils.set_random_seed(plan.seed)
        _, build = MODELS[recipe.model.name]
        size = {"width": how.width, "height": how.height, "channels": how.channels}
        try:
            with workers.scope():
                self.network = build(recipe.model, classes=len(examples.classes), **size)
                self.optimizer = make_optimizer(
                    recipe.optimizer.kind, self.network, rate=recipe.optimizer.rate, glorot=recipe.optimizer.glorot
                )
            alone = workers.count == 1 and recipe.optimizer.average_steps is None
            self.still = self.network if alone else build(recipe.model, classes=len(examples.classes), **size)
        except ValueError as error:
            raise DataError(f"the recipe's input does not suit its model: {error}") from None
        self.batch = min(plan.batch, len(examples.train))
        self.steps = plan.steps or len(examples.train) // self.batch
        self.average_steps = recipe.optimizer.average_steps
        self.metric = "accuracy" if len(examples.val) else "epoch"
        self._share = workers.share(self.batch, name="the batch")
        self._learn = workers.compile(self._learn_batch)
        self._infer = tf.function(lambda images: self.still(self._scale(images), training=False))

    def _scale(self, images: Any) -> Any:
        return (tf.cast(images, tf.float32) - self.recipe.input.mean) / self.recipe.input.std

    def _learn_batch(self, images: Any, labels: Any) -> Any:
        """Algorithm 1 of the paper: binarize, forward, backward, update the latent weights and clip them."""
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            scores = self.network(self._scale(images), training=True)
            loss = classification_loss(scores, labels, kind=self.recipe.loss.kind)
            own_share = loss / self.workers.count
        self.optimizer.apply_gradients(zip(tape.gradient(own_share, variables), variables, strict=True))
        right = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(scores, axis=-1), labels), tf.float32))
        return tf.stack([loss, right])

    def describe_data(self) -> str:
        """How many pictures there are."""
        return f"{len(self.pictures.train)} training and {len(self.pictures.val)} validation pictures"

    def batches(self, start: int, stop: int) -> Iterable[tuple[Image, Labels]]:
        """(images, labels) of each step, made ahead."""
        how, seed = self.recipe.augmentation, self.recipe.schedule.seed

        def make(step: int) -> tuple[Image, Labels]:
            images, labels = batch_at(
                self.pictures.train, step, size=self.batch, seed=seed, shift=how.shift, flip=how.flip
            )
            return images[self._share.start : self._share.stop], labels[self._share.start : self._share.stop]

        return made_ahead(make, range(start, stop))

    def rate(self, step: int) -> float:
        """The same factor every epoch, from the first rate to the final one."""
        how, epochs = self.recipe.optimizer, self.recipe.schedule.epochs
        return exponential(step // self.steps, total=epochs, rate=how.rate, final_rate=how.final_rate)

    def step(self, number: int, batch: tuple[Any, ...]) -> Any:
        """[loss, share of right answers] of a batch."""
        return self._learn(*batch)

    def take_weights(self, other: Any) -> list[str]:
        """From a network of the same shapes, whatever its quantizers: the first of two stages starts the second."""
        self.network.set_weights(other.get_weights())
        return []

    def restore(self, step: int) -> None:
        """Stochastic quantizers have drawn once a step."""
        set_draws(self.network, step)

    def scores(self, images: Image) -> npt.NDArray[np.float32]:
        """What the network says, not training, of pictures (n, h, w, c): (n, classes)."""
        # A smaller last batch would have the network compiled again: fill it up.
        fill = -len(images) % VALIDATION_BATCH
        filled = np.concatenate([images, np.zeros((fill, *images.shape[1:]), np.uint8)])
        parts = [self._infer(filled[i : i + VALIDATION_BATCH]) for i in range(0, len(filled), VALIDATION_BATCH)]
        scores: npt.NDArray[np.float32] = np.concatenate(parts)[: len(images)]
        return scores

    def accuracy(self, examples: Examples) -> float:
        """Share of right answers."""
        return float((self.scores(examples.images).argmax(axis=1) == examples.labels).mean())

    def validate(self) -> dict[str, float]:
        """Accuracy on the validation pictures."""
        return {"accuracy": self.accuracy(self.pictures.val)} if len(self.pictures.val) else {}

    def probe(self) -> npt.NDArray[np.float32]:
        """The first training pictures."""
        probe: npt.NDArray[np.float32] = self._scale(self.pictures.train.images[:PROBE_PICTURES]).numpy()
        return probe

    def examples(self) -> list[Example]:
        """Validation pictures, enlarged, with the network's answers."""
        images, labels = self.pictures.val.images[:SHOWN_PICTURES], self.pictures.val.labels[:SHOWN_PICTURES]
        if not len(images):
            return []
        names, shown = self.pictures.classes, []
        for image, label, answer in zip(images, labels, self.scores(images).argmax(axis=1), strict=True):
            grey_or_rgb = image * np.uint8(255 // max(int(images.max()), 1))
            enlarged = cv2.resize(grey_or_rgb, (SHOWN_SIDE, SHOWN_SIDE), interpolation=cv2.INTER_NEAREST)
            rgb = cv2.cvtColor(enlarged, cv2.COLOR_GRAY2RGB) if enlarged.ndim == 2 else enlarged
            verdict = "" if answer == label else f", is {names[label]}"
            shown.append((f"{names[answer]}{verdict}", rgb))
        return shown

    def identify(self) -> Iterator[bytes]:
        """Classes, training pictures and their labels."""
        yield "\0".join(self.pictures.classes).encode()
        yield self.pictures.train.images.tobytes()
        yield self.pictures.train.labels.tobytes()

    def card(self, row: Mapping[str, float], *, checkpoint_sha256: str) -> Card:
        """Task "tensors": pictures of the input's size in, a score per class out, the highest one is the answer."""
        how = self.recipe.input
        return Card(
            name=self.recipe.name,
            task="tensors",
            classes=self.pictures.classes,
            preprocess=Preprocess(width=how.width, height=how.height, pad=how.pad, mean=how.mean, std=how.std),
            metrics={"val_accuracy": round(row["accuracy"], 4)} if "accuracy" in row else {},
            training=Training(
                recipe=self.recipe.name,
                data=self.data,
                pictures=len(self.pictures.train),
                epochs=row["epoch"],
                samples=int(row["step"]) * self.batch,
                checkpoint_sha256=checkpoint_sha256,
                versions=versions(),
            ),
            licence=self.recipe.licence,
        )
