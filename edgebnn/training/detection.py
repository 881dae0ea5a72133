"""Training of an anchor-free detector on crops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from edgebnn.card import Card
from edgebnn.data.crops import Cutter
from edgebnn.data.pictures import Pictures
from edgebnn.data.pipeline import Shape, batches, shape_at
from edgebnn.data.targets import Range, cell_centres
from edgebnn.models import MODELS
from edgebnn.models.face import STRIDES, take_weights
from edgebnn.training.bfloat16 import bfloat16
from edgebnn.training.losses import detection_loss, flatten_outputs
from edgebnn.training.provenance import decode_of, describe, preprocess_of
from edgebnn.training.rates import cosine
from edgebnn.training.recipe import DetectionRecipe
from edgebnn.training.validation import Prepared, prepare_all, validate


class Detection:
    """The task of a `DetectionRecipe`; see `Task`."""

    losses: tuple[str, ...] = ("loss", "score_loss", "box_loss")

    def __init__(
        self, recipe: DetectionRecipe, train: Pictures, val: Pictures | None, *, data: tuple[str, ...]
    ) -> None:
        """Build the network of `recipe`; `data` names the data sets in the card."""
        self.recipe, self.train, self.val, self.data = recipe, train, val, data
        tf.keras.utils.set_random_seed(recipe.schedule.seed)
        _, build = MODELS[recipe.model.name]
        self.network = build(recipe.model, width=recipe.export.width, height=recipe.export.height)
        sizes = recipe.batches
        self.shapes = (
            Shape(sizes.side, sizes.size, sizes.sides),
            Shape(sizes.large_side, sizes.large_size, sizes.large_sides),
        )
        limits = (recipe.targets.s8, recipe.targets.s16, recipe.targets.s32)
        self.ranges = [Range(stride, *limit) for stride, limit in zip(STRIDES, limits, strict=True)]
        self.optimizer = tf.keras.optimizers.Adam(recipe.optimizer.rate, clipnorm=recipe.optimizer.clipnorm)
        self.optimizer.build(self.network.trainable_variables)
        self._compiled = {
            side: self._compile_step(build(recipe.model, width=side, height=side, like=self.network), side)
            for side in sorted({shape.side for shape in self.shapes})
        }
        self._infer = tf.function(lambda images: self.network(images, training=False))
        self._prepared: list[Prepared] | None = None
        self.steps = recipe.schedule.steps
        self.average_steps = recipe.optimizer.average_steps
        self.metric = f"ap50_{recipe.export.least_px}" if val else "epoch"

    def _compile_step(self, network: Any, side: int) -> Any:
        """A compiled training step on crops of `side`: (images, targets) to [loss, score loss, box loss]."""
        centres = tf.constant(cell_centres(side, side, STRIDES))
        how, card = self.recipe.loss, preprocess_of(self.recipe)

        def step(images: Any, targets: Any) -> Any:
            scaled = (tf.cast(images, tf.float32) - card.mean) / card.std
            with tf.GradientTape() as tape:
                outputs = network(scaled, training=True)
                logits, boxes = flatten_outputs(outputs, STRIDES, self.recipe.model.scales, centres)
                losses = detection_loss(logits, boxes, targets, floor=how.floor, score_weight=how.score_weight)
            variables = self.network.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(losses[0], variables), variables, strict=True))
            return tf.stack(losses)

        return tf.function(step, reduce_retracing=True)

    def describe_data(self) -> str:
        """How many pictures there are."""
        return f"{len(self.train)} training and {len(self.val or ())} validation pictures"

    def batches(self, start: int, stop: int) -> Iterable[tuple[Any, ...]]:
        """(images, targets) of each step."""
        how: Iterable[tuple[Any, ...]] = batches(
            Cutter(self.train, self.recipe.crops),
            self.ranges,
            self.shapes,
            every=self.recipe.batches.large_every,
            seed=self.recipe.schedule.seed,
            start=start,
            stop=stop,
            workers=self.recipe.batches.workers,
        )
        return how

    def rate(self, step: int) -> float:
        """Linear warm-up, constant until the decay, then a cosine that ends with the last step."""
        how, plan = self.recipe.optimizer, self.recipe.schedule
        return cosine(
            step,
            total=plan.epochs * plan.steps,
            rate=how.rate,
            final_rate=how.final_rate,
            warmup_steps=how.warmup_steps,
            decay_steps=None if how.decay_epochs is None else how.decay_epochs * plan.steps,
        )

    def step(self, number: int, batch: tuple[Any, ...]) -> Any:
        """[loss, score loss, box loss] of a batch of crops."""
        side = shape_at(number, self.shapes, self.recipe.batches.large_every).side
        with bfloat16(self.recipe.optimizer.bfloat16):
            return self._compiled[side](*batch)

    def take_weights(self, other: Any) -> list[str]:
        """From a network of the same channels; see models.face.take_weights."""
        return take_weights(self.network, other)

    def restore(self, step: int) -> None:
        """Crops are a function of the step: there is nothing else."""

    def validate(self) -> dict[str, float]:
        """AP50 by face size on the validation pictures."""
        if self.val is None:
            return {}
        how = preprocess_of(self.recipe)
        if self._prepared is None:
            self._prepared = prepare_all(self.val, how)
        return validate(lambda x: self._infer(tf.constant(x)), self._prepared, how, decode_of(self.recipe))

    def identify(self) -> Iterator[bytes]:
        """Names and labels of the training pictures."""
        for item in self.train.items:
            yield item.file.name.encode() + item.boxes.tobytes() + item.ignore.tobytes()

    def card(self, row: Mapping[str, float], *, checkpoint_sha256: str) -> Card:
        """See provenance.describe."""
        pictures = len(self.train)
        return describe(self.recipe, row, data=self.data, pictures=pictures, checkpoint_sha256=checkpoint_sha256)
