"""`edgebnn-sleep replay`: a night from a .csv file, scored as if it were going on now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from edgebnn.errors import InputError
from edgebnn.evaluation.sleep.nights import STAGE_NAMES, Night, read_night
from edgebnn.evaluation.sleep.rules import RULES, ring_row
from edgebnn.runtime.sleep_scorer import SleepScore, SleepScorer


def replay(
    file: Path, *, rule: str, deadline_s: float | None, window_min: float, model: str | Path, as_json: bool
) -> None:
    """Print a line for each row of the file, JSON or text.

    With a deadline exactly one row rings, at the latest the last one up to it; InputError when there is none.
    """
    night = read_night(file)
    if deadline_s is not None and not deadline_s >= night.time_s[0]:
        raise InputError(
            f"expected --alarm-deadline in the time_s of {file}, from {night.time_s[0]:.12g} to "
            f"{night.time_s[-1]:.12g}, got {deadline_s:.12g}"
        )
    scores = list(score_night(SleepScorer(model), night))
    rings = -1
    if deadline_s is not None:
        rings = ring_row(scores, RULES[rule](), deadline_s=deadline_s, window_min=window_min)
    for row, score in enumerate(scores):
        print(_as_json(score, rings == row) if as_json else _as_text(score, rings == row))


def score_night(scorer: SleepScorer, night: Night) -> Iterator[SleepScore]:
    """The score of each row, from this one and those before."""
    scorer.begin()
    for time_s, activity in zip(night.time_s.tolist(), night.activity.tolist(), strict=True):
        yield scorer.add(time_s, activity)


def _as_json(score: SleepScore, ring: bool) -> str:
    return json.dumps(
        {
            "time_s": int(score.time_s) if score.time_s.is_integer() else score.time_s,
            "p_wake": round(score.p_wake, 4),
            "asleep": score.asleep,
            "stage": score.stage,
            "ring": ring,
        }
    )


def _as_text(score: SleepScore, ring: bool) -> str:
    state = "restless" if score.restless else "asleep" if score.asleep else "awake"
    return f"{score.time_s:8.12g} s  {state:8}  P(wake) {score.p_wake:.2f}  ({STAGE_NAMES[score.stage]})" + (
        "  RING" if ring else ""
    )
