"""`edgebnn-sleep evaluate`: nights that somebody staged, the classic formulas beside each other."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from edgebnn.errors import DataError
from edgebnn.evaluation.sleep.baselines import BASELINES, best_scale
from edgebnn.evaluation.sleep.nights import UNSCORED, WAKE, Floats, Night, grid_index, read_night
from edgebnn.evaluation.sleep.scores import Bools, SleepWakeScores, score_sleep_wake


def evaluate(folder: Path, *, as_json: bool) -> None:
    """Print the figures of all *.csv files in `folder`; DataError when none of them has scored epochs."""
    nights = read_staged(folder)
    rows = score_all(nights)
    if as_json:
        print(json.dumps({"nights": len(nights), "sleep_wake": {name: row.as_json() for name, row in rows.items()}}))
        return
    Console().print(_table(rows, f"{len(nights)} nights in {folder}"))


def read_staged(folder: Path) -> list[Night]:
    """The nights of a folder that have scored epochs; what has none is reported and left out."""
    files = sorted(folder.glob("*.csv")) if folder.is_dir() else []
    if not files:
        raise DataError(f"expected a folder with *.csv files, {folder} is none: check --csv-dir")
    nights = []
    for file in files:
        night = read_night(file)
        if night.stage is None or (night.stage == UNSCORED).all():
            print(f"edgebnn-sleep: {file} has no scored epoch in a column stage, left out", file=sys.stderr)
            continue
        nights.append(night)
    if not nights:
        raise DataError(f"no file in {folder} has a column stage with scored epochs: there is nothing to compare with")
    return nights


def score_all(nights: Sequence[Night]) -> dict[str, SleepWakeScores]:
    """Pooled figures by name, scored epochs only; the formulas at the scale that serves them best on these nights."""
    truth = np.concatenate([night.stage[night.stage >= 0] == WAKE for night in nights if night.stage is not None])
    rows = {"all asleep": score_sleep_wake(truth, np.zeros_like(truth))}
    filled = [fill_gaps(night) for night in nights]
    for baseline in BASELINES:
        for causal in (False, True) if baseline.name != "motion" else (True,):
            scale = best_scale(baseline, filled, causal=causal)
            said = [baseline.wake(activity, scale=scale, causal=causal)[scored] for activity, _, scored in filled]
            name = f"{baseline.name}, causal" if causal else baseline.name
            rows[name] = score_sleep_wake(truth, np.concatenate(said))
    return rows


def fill_gaps(night: Night) -> tuple[Floats, Bools, Bools]:
    """Activity of every epoch of 30 s, 0 in gaps; where the sleeper was awake; which epochs are scored."""
    assert night.stage is not None
    index = grid_index(night.time_s)
    activity, stage = np.zeros(index[-1] + 1), np.full(index[-1] + 1, UNSCORED)
    activity[index], stage[index] = night.activity, night.stage
    return activity, stage == WAKE, stage != UNSCORED


def _table(rows: dict[str, SleepWakeScores], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("sleep and wake")
    names = ("accuracy", "sensitivity", "specificity", "kappa", "f1_wake")
    for name in names:
        table.add_column(name, justify="right")
    for label, row in rows.items():
        table.add_row(label, *(f"{getattr(row, name):.3f}" for name in names))
    return table
