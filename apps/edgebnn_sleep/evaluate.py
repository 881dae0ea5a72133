"""`edgebnn-sleep evaluate`: nights that somebody staged, the network beside the classic formulas."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edgebnn.errors import DataError
from edgebnn.evaluation.sleep.baselines import BASELINES, best_scale
from edgebnn.evaluation.sleep.nights import EPOCH_S, N1, UNSCORED, WAKE, Floats, Night, Stages, grid_index, read_night
from edgebnn.evaluation.sleep.rules import RULES, RingRule, ring_row
from edgebnn.evaluation.sleep.scores import (
    AlarmScores,
    Bools,
    SleepWakeScores,
    cohens_kappa,
    rounded,
    score_alarms,
    score_sleep_wake,
)
from edgebnn.runtime.sleep_scorer import SleepScore, SleepScorer
from edgebnn_sleep.replay import score_night

FIRST_DEADLINE_S = 4 * 3600
"""After the first row; a deadline every half hour from there to the last row."""
DEADLINES_S = 1800

Nights = Sequence[tuple[Night, Sequence[SleepScore]]]


def evaluate(folder: Path, *, window_min: float, model: str | Path, as_json: bool) -> None:
    """Print the figures of all *.csv files in `folder`; DataError when none of them has scored epochs."""
    staged, scorer = read_staged(folder), SleepScorer(model)
    console = Console(stderr=True)
    shown = track(staged, "scoring", console=console, transient=True, disable=not console.is_terminal)
    nights = [(night, list(score_night(scorer, night))) for night in shown]
    rows, alarms = compare(nights), compare_alarms(nights, window_min=window_min)
    stages = stage_kappa(nights)
    if as_json:
        report = {
            "nights": len(nights),
            "sleep_wake": {name: rounded(row) for name, row in rows.items()},
            "alarms": {name: rounded(row) for name, row in alarms.items()},
            "stage_kappa": None if np.isnan(stages) else round(stages, 4),
        }
        print(json.dumps(report))
        return
    console = Console(highlight=False)
    console.print(_table(rows, f"{len(nights)} {'night' if len(nights) == 1 else 'nights'} in {folder}"))
    console.print(_alarm_table(alarms, f"alarms with a window of {window_min:g} minutes"))
    console.print(f"stages (experimental, wake N1 N2 N3 REM): kappa {stages:.3f}")


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


def compare(nights: Nights) -> dict[str, SleepWakeScores]:
    """Pooled figures by name, scored epochs only; the formulas at the scale that serves them best on these nights."""
    truth = np.concatenate([_stages(night)[_stages(night) >= 0] == WAKE for night, _ in nights])
    said = [np.array([not score.asleep for score in scores])[_stages(night) >= 0] for night, scores in nights]
    rows = {
        "network, causal": score_sleep_wake(truth, np.concatenate(said)),
        "all asleep": score_sleep_wake(truth, np.zeros_like(truth)),
    }
    filled = [fill_gaps(night) for night, _ in nights]
    for baseline in BASELINES:
        for causal in (True, False) if baseline.looks_ahead else (True,):
            scale = best_scale(baseline, filled, causal=causal)
            found = [baseline.wake(activity, scale=scale, causal=causal)[scored] for activity, _, scored in filled]
            name = f"{baseline.name}, {'causal' if causal else 'with the future'}"
            rows[name] = score_sleep_wake(truth, np.concatenate(found))
    return rows


def fill_gaps(night: Night) -> tuple[Floats, Bools, Bools]:
    """Activity of every epoch of 30 s, 0 in gaps; where the sleeper was awake; which epochs are scored."""
    index = grid_index(night.time_s)
    activity, stage = np.zeros(index[-1] + 1), np.full(index[-1] + 1, UNSCORED)
    activity[index], stage[index] = night.activity, _stages(night)
    return activity, stage == WAKE, stage != UNSCORED


def stage_kappa(nights: Nights) -> float:
    """Agreement on five stages."""
    truth = np.concatenate([_stages(night) for night, _ in nights])
    said = np.concatenate([np.array([score.stage for score in scores]) for _, scores in nights])
    return cohens_kappa(truth[truth >= 0], said[truth >= 0])


def compare_alarms(nights: Nights, *, window_min: float) -> dict[str, AlarmScores]:
    """What alarms found, by rule, at deadlines every half hour; also a fixed alarm and one that knows the stages."""

    def play(choose: Callable[[Night, Sequence[SleepScore], float], int]) -> AlarmScores:
        found, early = [], []
        for night, scores in nights:
            for deadline in _deadlines(night):
                row = choose(night, scores, deadline)
                found.append(_stages(night)[row])
                early.append(deadline - night.time_s[row])
        return score_alarms(np.array(found, np.int64), np.array(early, np.float64))

    def last(night: Night, deadline: float) -> int:
        return int(np.searchsorted(night.time_s, deadline, side="right")) - 1

    def knowing(night: Night, scores: Sequence[SleepScore], deadline: float) -> int:
        first = int(np.searchsorted(night.time_s, deadline - 60 * window_min))
        light = np.flatnonzero(np.isin(_stages(night)[first : last(night, deadline) + 1], (WAKE, N1)))
        return first + int(light[0]) if len(light) else last(night, deadline)

    def by_rule(make: Callable[[], RingRule]) -> AlarmScores:
        def choose(night: Night, scores: Sequence[SleepScore], deadline: float) -> int:
            return ring_row(scores, make(), deadline_s=deadline, window_min=window_min)

        return play(choose)

    rows = {name: by_rule(make) for name, make in RULES.items()}
    rows["fixed"] = play(lambda night, scores, deadline: last(night, deadline))
    rows["knows the stages"] = play(knowing)
    return rows


def _deadlines(night: Night) -> Floats:
    """None in a gap: an alarm there would be judged by an epoch long before it."""
    start, end = float(night.time_s[0]), float(night.time_s[-1])
    deadlines = np.arange(start + FIRST_DEADLINE_S, end + 1, DEADLINES_S)
    last = night.time_s[np.searchsorted(night.time_s, deadlines, side="right") - 1]
    kept: Floats = deadlines[deadlines - last < 2 * EPOCH_S]
    return kept


def _stages(night: Night) -> Stages:
    assert night.stage is not None
    return night.stage


def _table(rows: Mapping[str, SleepWakeScores], title: str) -> Table:
    names = ("accuracy", "sensitivity", "specificity", "kappa", "f1_wake")
    table = Table("sleep and wake", title=title, title_justify="left")
    for name in names:
        table.add_column(name, justify="right")
    for label, row in rows.items():
        table.add_row(label, *(f"{getattr(row, name):.3f}" for name in names))
    return table


def _alarm_table(rows: Mapping[str, AlarmScores], title: str) -> Table:
    table = Table("rule", title=title, title_justify="left")
    for name in ("alarms", "in wake or N1", "minutes early"):
        table.add_column(name, justify="right")
    for label, row in rows.items():
        table.add_row(label, str(row.alarms), f"{100 * row.light_share:.1f} %", f"{row.minutes_early:.1f}")
    return table
