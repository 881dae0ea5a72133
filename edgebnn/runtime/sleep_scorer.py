"""Scores a night as it goes on: activity of an epoch in, wake, restlessness and stage out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebnn.errors import InputError, ModelError
from edgebnn.runtime.model import Model
from edgebnn.runtime.sleep_features import COUNT, Row, SleepFeatures, movement_of

EPOCH_S = 30
NEW_NIGHT_S = 4 * 3600
"""After a gap this long the next epoch begins a night of its own."""
RESTLESS = 0.5
WAKE, N1 = 0, 1


@dataclass(frozen=True)
class SleepScore:
    """What is said of an epoch; probabilities are 0 to 1."""

    time_s: float
    p_wake: float
    p_light: float
    """of wake or N1"""
    asleep: bool
    restless: bool
    """asleep, but N1 or close to an awakening"""
    stage: int
    """0 wake, 1 N1, 2 N2, 3 N3, 4 REM: experimental, motion alone does not tell stages apart"""
    moving: bool
    """activity exceeds the night's floor"""
    size: float
    """of the movement among those of the night so far, 0 to 1; 0 without one"""
    relative: float
    """activity above the floor, in typical movements of the night so far"""


class SleepScorer:
    """The network over one night after the other; strictly causal."""

    def __init__(self, model: str | Path = "sleep", *, num_threads: int = 1) -> None:
        """Load a .tflite whose card says task "sleep", else ModelError."""
        self._model = Model(model, num_threads=num_threads)
        card = self._model.card
        if card is None or card.sleep is None:
            task = "no card" if card is None else f"a card of task {card.task!r}"
            raise ModelError(f"expected a model whose card says task 'sleep', {model} has {task}")
        self._threshold, window = card.sleep.threshold, card.sleep.window
        shapes = {"wake": (1, 1), "restless": (1, 1), "stages": (1, 5)}
        outputs = {port.name: port.shape for port in self._model.outputs}
        inputs = [port.shape for port in self._model.inputs]
        if inputs != [(1, 1, window, COUNT)] or outputs != shapes:
            raise ModelError(
                f"expected an input {(1, 1, window, COUNT)} and outputs {shapes}, {model} has {inputs} and {outputs}: "
                "train and convert it again"
            )
        self._night = np.zeros((1, 1, window, COUNT), np.float32)
        self._order = [list(outputs).index(name) for name in shapes]
        self.begin()

    def begin(self) -> None:
        """Forget the night: a new one begins with the next epoch."""
        self._features = SleepFeatures()
        self._night[:] = 0
        self._first_s: float | None = None
        self._last_s = 0.0
        self._index = -1

    def add(self, time_s: float, activity: float | None) -> SleepScore:
        """Score the epoch of 30 s at `time_s`, seconds from any origin; `activity` from 0, None where there is none.

        Epochs that were left out are gaps. InputError unless time goes on and the activity is a number from 0.
        """
        if activity is not None and not 0 <= activity < float("inf"):
            raise InputError(f"expected an activity from 0, got {activity}")
        if self._first_s is not None and not time_s > self._last_s:
            raise InputError(
                f"expected an epoch after {self._last_s:.12g} s, got one at {time_s:.12g} s: begin() a new night"
            )
        if self._first_s is None or time_s - self._last_s > NEW_NIGHT_S:
            self.begin()
            self._first_s = time_s
        index = max(round((time_s - self._first_s) / EPOCH_S), self._index + 1)
        for _ in range(self._index + 1, index):
            self._push(None)
        row = self._push(activity)
        self._index, self._last_s = index, time_s
        return self._score(time_s, row)

    def _push(self, activity: float | None) -> Row:
        row = self._features.add(activity)
        night = self._night[0, 0]
        night[:-1] = night[1:]
        night[-1] = row
        return row

    def _score(self, time_s: float, row: Row) -> SleepScore:
        outputs = self._model.run(self._night)
        wake, restless, stages = (outputs[at][0].astype(np.float64) for at in self._order)
        p_wake = float(1 / (1 + np.exp(-wake[0])))
        likely = np.exp(stages - stages.max())
        likely /= likely.sum()
        asleep = p_wake < self._threshold
        moving, size, relative = movement_of(row)
        # Of stages the network knows less than of wake, so wake decides first.
        return SleepScore(
            time_s=time_s,
            p_wake=p_wake,
            p_light=float(p_wake + (1 - p_wake) * likely[N1] / max(float(likely[N1:].sum()), 1e-9)),
            asleep=asleep,
            restless=asleep and float(1 / (1 + np.exp(-restless[0]))) >= RESTLESS,
            stage=N1 + int(likely[N1:].argmax()) if asleep else WAKE,
            moving=moving,
            size=size,
            relative=relative,
        )
