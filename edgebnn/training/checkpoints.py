"""Files of a run folder, written so that being killed at any moment leaves the old file or the new one, whole.

last.npz      everything a run needs to go on exactly: weights, optimizer, step, history
best.keras    the network of the best epoch, with its card.json
metrics.csv   one row an epoch
report.html   all of it to look at, written when a run ends or is interrupted
"""

from __future__ import annotations

import csv
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebnn.errors import DataError

FORMAT = 1
_HEAD = ("step", "best", "fingerprint", "history", "running", "averaged", "health", "warnings")


@dataclass
class State:
    """Where a run stands after `step` steps: arrays in the order of the network's and the optimizer's variables.

    `average`, of `averaged` steps, is like `weights`; empty without averaging.
    """

    step: int = 0
    best: float = -1.0
    fingerprint: str = ""
    history: list[dict[str, float]] = field(default_factory=list)
    running: list[float] = field(default_factory=list)
    averaged: int = 0
    health: list[list[dict[str, Any]]] = field(default_factory=list)
    """`LayerHealth.as_json` of each binary layer, for each epoch"""
    warnings: list[str] = field(default_factory=list)
    signs: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    """`signs_of` the network after the last epoch"""
    weights: list[npt.NDArray[Any]] = field(default_factory=list)
    optimizer: list[npt.NDArray[Any]] = field(default_factory=list)
    average: list[npt.NDArray[Any]] = field(default_factory=list)


def write_atomically(file: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a file beside `file`, sync it and rename it over `file`."""
    partial = file.with_name(f".partial.{file.name}")
    try:
        write(partial)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_csv(file: Path, rows: list[dict[str, float]]) -> None:
    """Rows with the keys of the first one as the columns."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def save_state(file: Path, state: State) -> None:
    """Write `state` atomically."""
    head = {name: getattr(state, name) for name in _HEAD}
    arrays = {f"weight{i:04d}": array for i, array in enumerate(state.weights)}
    arrays |= {f"optimizer{i:04d}": array for i, array in enumerate(state.optimizer)}
    arrays |= {f"average{i:04d}": array for i, array in enumerate(state.average)}
    arrays |= {f"signs:{name}": array for name, array in state.signs.items()}
    text = np.frombuffer(json.dumps({"format": FORMAT, **head}).encode(), np.uint8)

    def write(partial: Path) -> None:
        with partial.open("wb") as out:
            np.savez(out, head=text, **arrays)

    write_atomically(file, write)


@contextmanager
def fitting(file: Path, recipe: str) -> Iterator[None]:
    """Where the weights of a .keras file are read and taken; DataError when it is damaged or of another network."""
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{file} does not fit recipe {recipe}: {first}") from None


def load_state(file: Path) -> State:
    """The state in `file`; DataError when it is missing, damaged or of another format."""
    try:
        with file.open("rb") as data, np.load(data, allow_pickle=False) as stored:
            head = json.loads(stored["head"].tobytes())
            names = sorted(stored.files)
            weights = [stored[name] for name in names if name.startswith("weight")]
            optimizer = [stored[name] for name in names if name.startswith("optimizer")]
            average = [stored[name] for name in names if name.startswith("average")]
            signs = {name.removeprefix("signs:"): stored[name] for name in names if name.startswith("signs:")}
    except FileNotFoundError:
        raise DataError(f"{file} does not exist: there is no run to go on with, leave --resume out") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{file} is damaged ({error}): start anew with another --out") from None
    if not isinstance(head, dict) or head.pop("format", None) != FORMAT:
        raise DataError(f"{file} was written by another version of edgebnn: start anew with another --out")
    return State(**head, signs=signs, weights=weights, optimizer=optimizer, average=average)
