"""The training loop of every task: steps, epochs, validation, checkpoints, report."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from edgebnn.errors import DataError
from edgebnn.interrupts import stopping
from edgebnn.training.average import WeightAverage
from edgebnn.training.checkpoints import State, fitting, save_state, write_atomically, write_csv
from edgebnn.training.display import Display
from edgebnn.training.health import Doctor, diagnose, signs_of
from edgebnn.training.recipe import Recipe
from edgebnn.training.report import write_report
from edgebnn.training.task import Task
from edgebnn.training.workers import Workers


class Loop:
    """One run: a recipe's task and the folder that the chief of its workers writes."""

    def __init__(self, recipe: Recipe, folder: Path, task: Task, workers: Workers) -> None:
        """Train `task`, which was made of `recipe`, into `folder`."""
        self.recipe, self.folder, self.task, self.workers = recipe, folder, task, workers
        self.average = WeightAverage(task.network, task.average_steps) if task.average_steps else None
        self._doctor: Doctor | None = None

    def load_weights(self, file: Path) -> None:
        """Take the weights of a .keras file of the same network, or of one it has grown from; else DataError."""
        with fitting(file, self.recipe.name):
            grown = self.task.take_weights(tf.keras.models.load_model(file, compile=False))
        if grown:
            print(f"edgebnn: new beside {file}: {', '.join(grown)}", file=sys.stderr)

    def fingerprint(self) -> str:
        """What must not change between the parts of a run: all of the recipe but its length and decay, and the data."""
        sha = hashlib.sha256(json.dumps(self.recipe.identity(), sort_keys=True).encode())
        for part in self.task.identify():
            sha.update(part)
        return sha.hexdigest()

    def restore(self, state: State) -> None:
        """Bring network, optimizer and average to `state`; DataError when it holds others."""
        try:
            self.task.network.set_weights(state.weights)
            for variable, value in zip(self.task.optimizer.variables, state.optimizer, strict=True):
                variable.assign(value)
            if self.average:
                self.average.restore(state.average or state.weights, state.averaged)
        except ValueError:
            raise DataError(
                f"the state in {self.folder} is not of this network: start anew with another --out"
            ) from None

    def save(self, state: State) -> None:
        """Take up weights and optimizer, of all workers, and write last.npz."""
        state.fingerprint = self.fingerprint()
        state.weights = self.task.network.get_weights()
        state.optimizer = [variable.numpy() for variable in self.task.optimizer.variables]
        if self.average:
            state.average, state.averaged = self.average.weights, self.average.count
        if self.workers.is_chief:
            save_state(self.folder / "last.npz", state)

    def run(self, state: State | None) -> None:
        """Train from `state` (None: from the beginning) to the recipe's end.

        SIGINT and SIGTERM, of any worker, end in KeyboardInterrupt, after the step is done and its state saved.
        """
        self._train(self._begin(state))

    def _begin(self, state: State | None) -> State:
        """The chief's state, on every worker; DataError when it belongs to another recipe or other data."""
        if state is not None and state.fingerprint != self.fingerprint():
            raise DataError(
                f"the run in {self.folder} was made with another recipe or other data: "
                "resume with the same ones, or start anew with another --out"
            )
        resumed = self.workers.any(state is not None)  # the chief alone has read it
        state = state or State()
        if self.workers.count > 1:
            self._agree(state)
        if resumed or self.workers.count > 1:
            self.restore(state)
        self.task.restore(state.step)
        if not resumed:
            self.save(state)
        return state

    def _agree(self, state: State) -> None:
        """Every worker's `state` gets the chief's step, weights and optimizer."""
        self.workers.check_same(self.fingerprint().encode())
        agree = self.workers.agree
        weights = self.task.network.get_weights()  # by all workers together, whether it is needed or not
        optimizer = [variable.numpy() for variable in self.task.optimizer.variables]
        state.step = int(agree(np.array([state.step], np.int64))[0])
        state.weights = [agree(value) for value in state.weights or weights]
        state.optimizer = [agree(value) for value in state.optimizer or optimizer]

    def _train(self, state: State) -> None:
        steps, chief = self.task.steps, self.workers.is_chief
        total = self.recipe.schedule.epochs * steps
        display = Display(total=total, done=state.step, shown=chief)
        display.console.print(
            f"{self.recipe.name}: {self.task.describe_data()}, {self.task.network.count_params():,} parameters, "
            f"steps {state.step} to {total}, into {self.folder}"
            + (f", with {self.workers.count} workers" if self.workers.count > 1 else "")
        )
        board = (
            tf.summary.create_file_writer(str(self.folder / "tensorboard"))
            if chief
            else tf.summary.create_noop_writer()
        )
        with board.as_default(), stopping() as stop, display:
            for batch in self.task.batches(state.step, total):
                self._take_step(state, batch)
                display.step(state.step)
                if state.step % steps == 0:
                    self._end_epoch(state, display)
                    board.flush()
                if self.workers.any(stop.asked is not None):
                    break
        if state.step % steps:
            self.save(state)
        if chief and state.history:
            self._write_report(state)
        if state.step < total:
            display.console.print(f"saved after step {state.step} of {total}: go on with --resume")
            raise KeyboardInterrupt
        display.console.print(f"finished: {self.folder / 'best.keras'}, {self.task.metric} {state.best:.4f}")

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

    def _end_epoch(self, state: State, display: Display) -> None:
        """Validate, keep the best network, examine it, write the metrics and the state."""
        network, still = self.task.network, self.task.still
        if still is not network:
            weights = network.get_weights()
            network.set_weights(weights)  # of several workers the mean of their batch statistics, as a resumed run has
            still.set_weights(self.average.weights if self.average else weights)
        if self.workers.is_chief:
            steps = self.task.steps
            row = {"epoch": state.step // steps, "step": state.step, "rate": self.task.rate(state.step - 1)}
            row |= {name: value / steps for name, value in zip(self.task.losses, state.running, strict=True)}
            row |= self.task.validate()
            state.history.append(row)
            if row[self.task.metric] >= state.best:
                state.best = row[self.task.metric]
                self._write_best(row)
            write_atomically(self.folder / "metrics.csv", lambda file: write_csv(file, state.history))
            self._examine(state, display)
            for name, number in row.items():
                if name not in ("epoch", "step"):
                    tf.summary.scalar(name, number, step=int(row["epoch"]))
        state.running = []
        self.save(state)
        if self.workers.is_chief:
            display.epoch(state.history[-1])

    def _examine(self, state: State, display: Display) -> None:
        """Note the health of the binary layers, and say what ails them."""
        if self._doctor is None:
            self._doctor = Doctor(self.task.still, self.task.probe())
        layers = self._doctor.examine(state.signs)
        state.signs = signs_of(self.task.still)
        state.health.append([one.as_json() for one in layers])
        epoch, epochs = len(state.history), self.recipe.schedule.epochs
        for sentence in diagnose(layers, epoch=epoch, last=2 * epoch > epochs):
            state.warnings.append(f"epoch {epoch}: {sentence}")
            display.console.print(f"warning: {sentence}")
        for one in layers:
            for name in ("flips", "saturated", "constant", "small_gammas"):
                tf.summary.scalar(f"{name}/{one.layer}", getattr(one, name), step=epoch)

    def _write_best(self, row: dict[str, float]) -> None:
        """Write best.keras, then card.json, which states the checkpoint's SHA-256."""
        best = self.folder / "best.keras"
        write_atomically(best, self.task.still.save)
        digest = hashlib.sha256(best.read_bytes()).hexdigest()
        text = self.task.card(row, checkpoint_sha256=digest).model_dump_json(indent=1) + "\n"
        write_atomically(self.folder / "card.json", lambda file: _write_text(file, text))

    def _write_report(self, state: State) -> None:
        best = max(state.history, key=lambda row: (row[self.task.metric], row["epoch"]))  # of equals the last is kept
        write_report(
            self.folder / "report.html",
            title=f"Training of {self.recipe.name}",
            summary={
                "data": self.task.describe_data(),
                "parameters": f"{self.task.network.count_params():,}",
                "epochs": f"{len(state.history)} of {self.recipe.schedule.epochs}",
                "best": f"{self.task.metric} {state.best:.4f} in epoch {best['epoch']:g}",
            },
            recipe=self.recipe.model_dump_json(indent=2),
            history=state.history,
            health=state.health,
            warnings=state.warnings,
            examples=self.task.examples(),
        )


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
