"""Batches of crops and targets as a tf.data.Dataset whose order is a function of seed and step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from edgebnn.data.ahead import made_ahead
from edgebnn.data.crops import Cutter, Sides
from edgebnn.data.pictures import Image
from edgebnn.data.targets import Range, assign


@dataclass(frozen=True)
class Shape:
    """One kind of batch: crops of `side` pixels with faces of `sides`; `share` says which of them are made here."""

    side: int
    share: range
    sides: Sides


def shape_at(step: int, shapes: Sequence[Shape], every: int) -> Shape:
    """The first shape, but the second one at each `every`-th step (0: never)."""
    return shapes[1] if every and step % every == every - 1 else shapes[0]


def make_batch(
    cutter: Cutter, ranges: Sequence[Range], shape: Shape, *, seed: int, step: int
) -> tuple[Image, npt.NDArray[np.float32]]:
    """Crops (share, side, side, 3) and targets (share, cells, 6) of one step: a function of seed, step and share."""
    images, targets = [], []
    for index in shape.share:
        random = np.random.default_rng((seed, step, index))
        image, boxes, mask = cutter.cut(random, shape.side, shape.sides)
        images.append(image)
        targets.append(assign(boxes, mask, shape.side, shape.side, ranges))
    return np.stack(images), np.stack(targets)


def batches(
    cutter: Cutter,
    ranges: Sequence[Range],
    shapes: Sequence[Shape],
    *,
    every: int,
    seed: int,
    start: int,
    stop: int,
    workers: int,
) -> Any:
    """A tf.data.Dataset of (images, targets) for steps `start` to `stop`, made ahead by `workers` threads."""

    cv2.setNumThreads(1)  # the workers are the threads

    def make(step: int) -> tuple[Image, npt.NDArray[np.float32]]:
        return make_batch(cutter, ranges, shape_at(step, shapes, every), seed=seed, step=step)

    def generate() -> Iterator[tuple[Image, npt.NDArray[np.float32]]]:
        return made_ahead(make, range(start, stop), threads=workers)

    signature = (
        tf.TensorSpec((None, None, None, 3), tf.uint8),
        tf.TensorSpec((None, None, 6), tf.float32),
    )
    return tf.data.Dataset.from_generator(generate, output_signature=signature).prefetch(2)
