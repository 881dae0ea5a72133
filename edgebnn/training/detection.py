"""Training of an anchor-free detector on crops."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from edgebnn.card import Card
from edgebnn.data.crops import Cutter
from edgebnn.data.pictures import Pictures
from edgebnn.data.pipeline import Shape, batches, shape_at
from edgebnn.data.targets import Range, cell_centres
from edgebnn.evaluation.detector import find, prepare
from edgebnn.models import MODELS
from edgebnn.models.face import STRIDES, start_from_twin, take_weights
from edgebnn.training.bfloat16 import bfloat16
from edgebnn.training.losses import detection_loss, flatten_outputs, teacher_loss
from edgebnn.training.provenance import decode_of, describe, preprocess_of
from edgebnn.training.rates import cosine
from edgebnn.training.recipe import DetectionRecipe
from edgebnn.training.task import Example
from edgebnn.training.validation import Prepared, prepare_all, validate
from edgebnn.training.workers import Workers

PROBE_PICTURES = 8
SHOWN_PICTURES = 12
BOX_COLOUR = (0, 220, 0)


class Detection:
    """The task of a `DetectionRecipe`; see `Task`."""

    def __init__(
        self,
        recipe: DetectionRecipe,
        train: Pictures,
        val: Pictures | None,
        *,
        data: tuple[str, ...],
        workers: Workers,
        teacher: Any = None,
    ) -> None:
        """Build the network of `recipe`; `data` names the sets in the card, `teacher` is the trained float twin."""
        if (teacher is None) != (recipe.teacher is None):
            raise ValueError("expected a teacher for a recipe with [teacher], and none for one without")
        self.recipe, self.train, self.val, self.data, self.workers = recipe, train, val, data, workers
        tf.keras.utils.set_random_seed(recipe.schedule.seed)
        _, build = MODELS[recipe.model.name]
        size = {"width": recipe.export.width, "height": recipe.export.height}
        sizes = recipe.batches
        with workers.scope():
            self.network = build(recipe.model, **size)
            self.optimizer = tf.keras.optimizers.Adam(recipe.optimizer.rate, clipnorm=recipe.optimizer.clipnorm)
            self.optimizer.build(self.network.trainable_variables)
            learning = {
                side: build(recipe.model, width=side, height=side, like=self.network)
                for side in sorted({sizes.side, sizes.large_side})
            }
        self.teacher = teacher
        self.losses: tuple[str, ...] = ("loss", "score_loss", "box_loss")
        if teacher is not None:
            self.losses += ("teacher_loss",)
            start_from_twin(self.network, teacher)
        alone = workers.count == 1 and recipe.optimizer.average_steps is None
        self.still = self.network if alone else build(recipe.model, **size)
        share = workers.share(sizes.size, name="batches.size")
        large_share = workers.share(sizes.large_size, name="batches.large_size") if sizes.large_every else range(0)
        self.shapes = (
            Shape(sizes.side, share, sizes.sides),
            Shape(sizes.large_side, large_share, sizes.large_sides),
        )
        limits = (recipe.targets.s8, recipe.targets.s16, recipe.targets.s32)
        self.ranges = [Range(stride, *limit) for stride, limit in zip(STRIDES, limits, strict=True)]
        self._compiled = {side: self._compile_step(network, side) for side, network in learning.items()}
        wide, high = recipe.export.width, recipe.export.height
        self._stills = {(high, wide): self.still}
        if recipe.export.turns:
            self._stills[wide, high] = build(recipe.model, width=high, height=wide, like=self.still)
        self._infer = tf.function(lambda images: self._stills[tuple(images.shape[1:3])](images, training=False))
        self._prepared: list[Prepared] | None = None
        self.steps = recipe.schedule.steps
        self.average_steps = recipe.optimizer.average_steps
        self.metric = f"ap50_{recipe.export.least_px}" if val else "epoch"

    def _compile_step(self, network: Any, side: int) -> Any:
        """A compiled training step on crops of `side`: (images, targets) to the figures of `losses`."""
        centres = tf.constant(cell_centres(side, side, STRIDES))
        how, card, lesson = self.recipe.loss, preprocess_of(self.recipe), self.recipe.teacher
        teacher = None
        if self.teacher is not None:
            _, build = MODELS[self.recipe.model.name]
            twin = self.recipe.model.model_copy(update={"binary": False})
            teacher = build(twin, width=side, height=side, like=self.teacher)

        def answers(model: Any, images: Any, *, training: bool) -> Any:
            return flatten_outputs(model(images, training=training), STRIDES, self.recipe.model.scales, centres)

        def step(images: Any, targets: Any) -> Any:
            scaled = (tf.cast(images, tf.float32) - card.mean) / card.std
            taught = None if teacher is None else answers(teacher, scaled, training=False)
            with tf.GradientTape() as tape:
                logits, boxes = answers(network, scaled, training=True)
                losses: tuple[Any, ...] = detection_loss(
                    logits, boxes, targets, floor=how.floor, score_weight=how.score_weight
                )
                if taught is not None:
                    assert lesson is not None
                    score, box = teacher_loss(logits, boxes, *taught)
                    told = lesson.score_weight * score + box
                    losses = ((1 - lesson.share) * losses[0] + lesson.share * told, *losses[1:], told)
                own_share = losses[0] / self.workers.count
            variables = self.network.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(own_share, variables), variables, strict=True))
            return tf.stack(losses)

        return self.workers.compile(step)

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
        """Linear warm-up, constant until the decay, then a cosine that ends with the last step; one a restart."""
        how, plan = self.recipe.optimizer, self.recipe.schedule
        ends = [min(epoch, plan.epochs) * plan.steps for epoch in (*(one.epoch for one in how.restarts), plan.epochs)]
        decay = None if how.decay_epochs is None else how.decay_epochs * plan.steps
        begin, rate, warmup = 0, how.rate, how.warmup_steps
        for restart, end in zip(how.restarts, ends, strict=False):
            if step >= end:
                begin, rate, warmup, decay = end, restart.rate, 0, None
        total = next((end for end in ends if step < end), ends[-1]) - begin
        return cosine(
            step - begin, total=total, rate=rate, final_rate=how.final_rate, warmup_steps=warmup, decay_steps=decay
        )

    def step(self, number: int, batch: tuple[Any, ...]) -> Any:
        """The figures of `losses` of a batch of crops."""
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

    def probe(self) -> npt.NDArray[np.float32]:
        """The first training pictures at the export size."""
        how = preprocess_of(self.recipe).model_copy(update={"turns": False})
        pictures = (self.train.image(index) for index in range(min(PROBE_PICTURES, len(self.train))))
        images = np.stack([prepare(picture, how).image for picture in pictures])
        probe: npt.NDArray[np.float32] = (images - np.float32(how.mean)) / np.float32(how.std)
        return probe

    def examples(self) -> list[Example]:
        """Validation pictures with the boxes that score over a half."""
        how, decode = preprocess_of(self.recipe), decode_of(self.recipe)
        shown = []
        for one in (self._prepared or [])[:SHOWN_PICTURES]:
            image = one.picture.image.astype(np.uint8)
            outputs = self._infer(tf.constant((image[None] - np.float32(how.mean)) / np.float32(how.std)))
            own = {name: np.asarray(value)[0] for name, value in outputs.items()}
            boxes, scores = find(own, decode, one.picture, min_score=0.5)
            for x, y, w, h in boxes * one.picture.scale + np.array([*one.picture.shift, 0, 0]):
                cv2.rectangle(image, (round(x), round(y)), (round(x + w), round(y + h)), BOX_COLOUR, 2)
            shown.append((f"{one.truth.file.name}: {len(scores)} found, {len(one.truth.boxes)} labelled", image))
        return shown

    def identify(self) -> Iterator[bytes]:
        """Names and labels of the training pictures, and the teacher's weights."""
        for item in self.train.items:
            yield item.file.name.encode() + item.boxes.tobytes() + item.ignore.tobytes()
        for weights in [] if self.teacher is None else self.teacher.get_weights():
            yield weights.tobytes()

    def card(self, row: Mapping[str, float], *, checkpoint_sha256: str) -> Card:
        """See provenance.describe."""
        pictures = len(self.train)
        return describe(self.recipe, row, data=self.data, pictures=pictures, checkpoint_sha256=checkpoint_sha256)
