"""A moving average of a network's weights, which is less noisy than any single step of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip


class WeightAverage:
    """The mean of the weights after each of the first `steps` updates, then an exponential one with that time constant.

    Latent weights are averaged before their sign is taken, batch norm statistics like weights. `count` is the number of
    updates so far.
    """

    def __init__(self, network: Any, steps: int) -> None:
        """Average the weights of `network`."""
        self.network, self.steps, self.count = network, steps, 0
        self._values = [tf.Variable(weight, trainable=False) for weight in network.weights]
        self._compiled = tf.function(self._move)

    def _move(self, share: Any) -> None:
        for value, weight in zip(self._values, self.network.weights, strict=True):
            value.assign_add((weight - value) * share)

    def update(self) -> None:
        """Take in the network's weights as they are now."""
        self.count += 1
        self._compiled(tf.constant(1 / min(self.count, self.steps), tf.float32))

    @property
    def weights(self) -> list[npt.NDArray[np.float32]]:
        """The average, in the order of the network's weights; before the first update the initial weights."""
        return [value.numpy() for value in self._values]

    def restore(self, weights: Sequence[npt.NDArray[Any]], count: int) -> None:
        """Go on from an average of `count` updates."""
        self.count = count
        for value, weight in zip(self._values, weights, strict=True):
            value.assign(weight)
