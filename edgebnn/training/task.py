"""What is particular to the task of a recipe: the loop knows no more of it than this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgebnn.card import Card

Example = tuple[str, npt.NDArray[np.uint8]]
"""caption, RGB picture (h, w, 3)"""


class Task(Protocol):
    """A network in its sizes, its data, its optimizer."""

    network: Any
    """tf.keras.Model that learns"""
    still: Any
    """the tf.keras.Model that is validated and saved: `network`, or a copy for several workers or averaged weights"""
    optimizer: Any
    """tf.keras.optimizers.Optimizer, built for the network's variables"""
    steps: int
    """steps per epoch"""
    losses: tuple[str, ...]
    """names of what `step` returns, the loss that is minimized first"""
    average_steps: int | None
    """time constant of the average of weights that is validated and kept; None: the weights themselves are"""
    metric: str
    """name of the figure of `validate` that picks the best epoch, higher is better; "epoch" without validation"""

    def describe_data(self) -> str:
        """For example "7 training and 3 validation pictures"."""

    def batches(self, start: int, stop: int) -> Iterable[tuple[Any, ...]]:
        """What the steps `start` to `stop` learn, a function of the recipe's seed and the step alone."""

    def rate(self, step: int) -> float:
        """Learning rate of a step."""

    def step(self, number: int, batch: tuple[Any, ...]) -> Any:
        """Learn this worker's share of a batch: a tensor (len(losses),), the mean over all workers."""

    def take_weights(self, other: Any) -> list[str]:
        """Copy the weights of another network; names of the layers that it lacks. ValueError when it does not fit."""

    def restore(self, step: int) -> None:
        """Bring what is neither weight nor optimizer state to where it is before `step`."""

    def validate(self) -> dict[str, float]:
        """Figures on the validation split, none without one."""

    def probe(self) -> npt.NDArray[np.float32]:
        """A few training examples as `still` takes them."""

    def examples(self) -> list[Example]:
        """A few validation pictures with what the network says of them."""

    def identify(self) -> Iterator[bytes]:
        """The training data, in bytes that are the same only for the same data."""

    def card(self, row: Mapping[str, float], *, checkpoint_sha256: str) -> Card:
        """The card of a checkpoint after the epoch whose figures are `row`."""
