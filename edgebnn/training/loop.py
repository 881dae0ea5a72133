"""The training loop of every task: steps, epochs, validation, checkpoints."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edgebnn.errors import DataError
from edgebnn.training.average import WeightAverage
from edgebnn.training.checkpoints import State, save_state, write_atomically, write_csv
from edgebnn.training.interrupts import stopping
from edgebnn.training.recipe import Recipe
from edgebnn.training.task import Task


class Loop:
    """One run: a recipe's task and the folder that it writes."""

    def __init__(self, recipe: Recipe, folder: Path, task: Task) -> None:
        """Train `task`, which was made of `recipe`, into `folder`."""
        self.recipe, self.folder, self.task = recipe, folder, task
        self.average = WeightAverage(task.network, task.average_steps) if task.average_steps else None

    def load_weights(self, file: Path) -> None:
        """Take the weights of a .keras file of the same network, or of one it has grown from; else DataError."""
        try:
            grown = self.task.take_weights(tf.keras.models.load_model(file, compile=False))
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{file} does not fit recipe {self.recipe.name}: {first}") from None
        if grown:
            print(f"edgebnn: new beside {file}: {', '.join(grown)}", file=sys.stderr)

    def fingerprint(self) -> str:
        """What must not change between the parts of a run: all of the recipe but its length and decay, and the data."""
        sha = hashlib.sha256(json.dumps(self.recipe.identity(), sort_keys=True).encode())
        for part in self.task.identify():
            sha.update(part)
        return sha.hexdigest()

    def restore(self, state: State) -> None:
        """Bring network and optimizer to `state`; DataError when it belongs to another recipe or other data."""
        if state.fingerprint != self.fingerprint():
            raise DataError(
                f"the run in {self.folder} was made with another recipe or other data: "
                "resume with the same ones, or start anew with another --out"
            )
        self.task.network.set_weights(state.weights)
        for variable, value in zip(self.task.optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)
        if self.average:
            self.average.restore(state.average or state.weights, state.averaged)
        self.task.restore(state.step)

    def save(self, state: State) -> None:
        """Write last.npz."""
        state.fingerprint = self.fingerprint()
        state.weights = self.task.network.get_weights()
        state.optimizer = [variable.numpy() for variable in self.task.optimizer.variables]
        if self.average:
            state.average, state.averaged = self.average.weights, self.average.count
        save_state(self.folder / "last.npz", state)

    def run(self, state: State | None) -> None:
        """Train from `state` (None: from the beginning) to the recipe's end.

        SIGINT and SIGTERM end in KeyboardInterrupt, after the step is done and its state saved.
        """
        if state is None:
            state = State()
            self.save(state)
        else:
            self.restore(state)
        steps = self.task.steps
        total = self.recipe.schedule.epochs * steps
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(
            f"{self.recipe.name}: {self.task.describe_data()}, {self.task.network.count_params():,} parameters, "
            f"steps {state.step} to {total}, into {self.folder}"
        )
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        board = tf.summary.create_file_writer(str(self.folder / "tensorboard"))
        began = time.monotonic()
        progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        with board.as_default(), stopping() as stop, progress:
            bar = progress.add_task("training", total=total, completed=state.step)
            for batch in self.task.batches(state.step, total):
                self._take_step(state, batch)
                progress.update(bar, completed=state.step)
                if state.step % steps == 0:
                    self._end_epoch(state, console, time.monotonic() - began)
                    board.flush()
                    began = time.monotonic()
                if stop.asked:
                    break
        if state.step % steps:
            self.save(state)
        if state.step < total:
            console.print(f"saved after step {state.step} of {total}: go on with --resume")
            raise KeyboardInterrupt
        console.print(f"finished: {self.folder / 'best.keras'}, {self.task.metric} {state.best:.4f}")

    def _take_step(self, state: State, batch: tuple[Any, ...]) -> None:
        self.task.optimizer.learning_rate.assign(self.task.rate(state.step))
        losses = self.task.step(state.step, batch).numpy().tolist()
        if not np.isfinite(losses).all():
            raise DataError(
                f"the loss is {losses[0]} at step {state.step}: lower optimizer.rate in the recipe and start anew"
            )
        if self.average:
            self.average.update()
        state.running = [a + b for a, b in zip(state.running or [0.0] * len(losses), losses, strict=True)]
        state.step += 1

    def _end_epoch(self, state: State, console: Console, seconds: float) -> None:
        """Validate, keep the best network, write the metrics and the state."""
        steps = self.task.steps
        row = {"epoch": state.step // steps, "step": state.step, "rate": self.task.rate(state.step - 1)}
        row |= {name: value / steps for name, value in zip(self.task.losses, state.running, strict=True)}
        state.running = []
        with self.average.applied() if self.average else nullcontext():
            row |= self.task.validate()
            if row[self.task.metric] >= state.best:
                state.best = row[self.task.metric]
                self._write_best(row)
        state.history.append(row)
        write_atomically(self.folder / "metrics.csv", lambda file: write_csv(file, state.history))
        for name, number in row.items():
            if name not in ("epoch", "step"):
                tf.summary.scalar(name, number, step=int(row["epoch"]))
        self.save(state)
        shown = " ".join(f"{name} {row[name]:.3f}" for name in row if name not in ("epoch", "step", "rate"))
        console.print(f"{time.strftime('%H:%M:%S')} epoch {row['epoch']} ({seconds:.0f} s) {shown}")

    def _write_best(self, row: dict[str, float]) -> None:
        """Write best.keras, then card.json, which states the checkpoint's SHA-256."""
        best = self.folder / "best.keras"
        write_atomically(best, self.task.network.save)
        digest = hashlib.sha256(best.read_bytes()).hexdigest()
        text = self.task.card(row, checkpoint_sha256=digest).model_dump_json(indent=1) + "\n"
        write_atomically(self.folder / "card.json", lambda file: _write_text(file, text))


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
