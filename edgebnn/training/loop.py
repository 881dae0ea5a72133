"""The training loop of a detector: steps, epochs, validation, checkpoints."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from edgebnn.data.crops import Cutter
from edgebnn.data.pictures import Pictures
from edgebnn.data.pipeline import Shape, batches, shape_at
from edgebnn.data.targets import Range, cell_centres
from edgebnn.errors import DataError
from edgebnn.models import MODELS
from edgebnn.models.face import STRIDES, take_weights
from edgebnn.training.bfloat16 import bfloat16
from edgebnn.training.checkpoints import State, save_state, write_atomically, write_csv
from edgebnn.training.interrupts import stopping
from edgebnn.training.losses import detection_loss, flatten_outputs
from edgebnn.training.provenance import decode_of, describe, preprocess_of
from edgebnn.training.recipe import Recipe
from edgebnn.training.validation import Prepared, prepare_all, validate


class Loop:
    """One run: the network in its sizes, its optimizer, its data, its folder."""

    def __init__(
        self, recipe: Recipe, folder: Path, train: Pictures, val: Pictures | None, *, data: tuple[str, ...]
    ) -> None:
        """Build the network of `recipe`; `data` names the data sets in the card."""
        self.recipe, self.folder, self.train, self.val, self.data = recipe, folder, train, val, data
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
        self.steps = {
            side: self._make_step(build(recipe.model, width=side, height=side, like=self.network), side)
            for side in sorted({shape.side for shape in self.shapes})
        }
        self.infer = tf.function(lambda images: self.network(images, training=False))

    def _make_step(self, network: Any, side: int) -> Any:
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

    def load_weights(self, file: Path) -> None:
        """Take the weights of a .keras file of the same network, or of one it has grown from; else DataError."""
        try:
            grown = take_weights(self.network, tf.keras.models.load_model(file, compile=False))
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{file} does not fit recipe {self.recipe.name}: {first}") from None
        if grown:
            print(f"edgebnn: new beside {file}: {', '.join(grown)}", file=sys.stderr)

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, constant until the decay, then a cosine that ends with the last."""
        how, plan = self.recipe.optimizer, self.recipe.schedule
        total = plan.epochs * plan.steps
        begin = how.warmup_steps if how.decay_epochs is None else total - how.decay_epochs * plan.steps
        if step < how.warmup_steps:
            return how.rate * (step + 1) / how.warmup_steps
        share = max(step - begin, 0) / max(total - begin, 1)
        return float(how.final_rate + (how.rate - how.final_rate) * (1 + np.cos(np.pi * min(share, 1))) / 2)

    def fingerprint(self) -> str:
        """What must not change between the parts of a run: all of the recipe but its length and decay, and the data."""
        text = self.recipe.model_dump(mode="json")
        del text["schedule"]["epochs"], text["optimizer"]["decay_epochs"]
        del text["batches"]["workers"], text["batches"]["cache_mb"]
        sha = hashlib.sha256(json.dumps(text, sort_keys=True).encode())
        for item in self.train.items:
            sha.update(item.file.name.encode() + item.boxes.tobytes() + item.ignore.tobytes())
        return sha.hexdigest()

    def restore(self, state: State) -> None:
        """Bring network and optimizer to `state`; DataError when it belongs to another recipe or other data."""
        if state.fingerprint != self.fingerprint():
            raise DataError(
                f"the run in {self.folder} was made with another recipe or other data: "
                "resume with the same ones, or start anew with another --out"
            )
        self.network.set_weights(state.weights)
        for variable, value in zip(self.optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)

    def save(self, state: State) -> None:
        """Write last.npz."""
        state.fingerprint = self.fingerprint()
        state.weights = self.network.get_weights()
        state.optimizer = [variable.numpy() for variable in self.optimizer.variables]
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
        plan, every = self.recipe.schedule, self.recipe.batches.large_every
        total = plan.epochs * plan.steps
        prepared = prepare_all(self.val, preprocess_of(self.recipe)) if self.val else []
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(
            f"{self.recipe.name}: {len(self.train)} training and {len(prepared)} validation pictures, "
            f"{self.network.count_params():,} parameters, steps {state.step} to {total}, into {self.folder}"
        )
        data = batches(
            Cutter(self.train, self.recipe.crops),
            self.ranges,
            self.shapes,
            every=every,
            seed=plan.seed,
            start=state.step,
            stop=total,
            workers=self.recipe.batches.workers,
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
            for images, targets in data:
                with bfloat16(self.recipe.optimizer.bfloat16):
                    self._take_step(state, shape_at(state.step, self.shapes, every).side, images, targets)
                progress.update(bar, completed=state.step)
                if state.step % plan.steps == 0:
                    self._end_epoch(state, prepared, console, time.monotonic() - began)
                    board.flush()
                    began = time.monotonic()
                if stop.asked:
                    break
        if state.step % plan.steps:
            self.save(state)
        if state.step < total:
            console.print(f"saved after step {state.step} of {total}: go on with --resume")
            raise KeyboardInterrupt
        console.print(f"finished: {self.folder / 'best.keras'}, {self.metric} {state.best:.4f}")

    def _take_step(self, state: State, side: int, images: Any, targets: Any) -> None:
        self.optimizer.learning_rate.assign(self.rate(state.step))
        losses = self.steps[side](images, targets).numpy().tolist()
        if not np.isfinite(losses).all():
            raise DataError(
                f"the loss is {losses[0]} at step {state.step}: lower optimizer.rate in the recipe and start anew"
            )
        state.running = [a + b for a, b in zip(state.running or [0.0] * 3, losses, strict=True)]
        state.step += 1

    @property
    def metric(self) -> str:
        """Name of the figure that picks the best epoch; without a validation split the newest is the best."""
        return f"ap50_{self.recipe.export.least_px}" if self.val else "epoch"

    def _end_epoch(self, state: State, prepared: Sequence[Prepared], console: Console, seconds: float) -> None:
        """Validate, keep the best network, write the metrics and the state."""
        steps = self.recipe.schedule.steps
        loss, score, box = (value / steps for value in state.running)
        row = {"epoch": state.step // steps, "step": state.step, "rate": self.rate(state.step - 1)}
        row |= {"loss": loss, "score_loss": score, "box_loss": box}
        if prepared:
            how = decode_of(self.recipe)
            row |= validate(lambda x: self.infer(tf.constant(x)), prepared, preprocess_of(self.recipe), how)
        state.history.append(row)
        state.running = []
        if row[self.metric] >= state.best:
            state.best = row[self.metric]
            self._write_best(row)
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
        write_atomically(best, self.network.save)
        digest = hashlib.sha256(best.read_bytes()).hexdigest()
        card = describe(self.recipe, row, data=self.data, pictures=len(self.train), checkpoint_sha256=digest)
        text = card.model_dump_json(indent=1) + "\n"
        write_atomically(self.folder / "card.json", lambda file: _write_text(file, text))


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
