"""Face detectors beside others in one run: AP50 with intervals, CPU time, what it misses and what it invents.

`python -m edgebnn.evaluation.comparison face face-small --data DIR --peers DIR`. Time is the process' CPU time from the
decoded picture to boxes at each detector's own least score, one thread, after one untimed call on the same picture; on
each picture the detectors take turns in another random order.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgebnn.errors import DataError, EdgebnnError
from edgebnn.evaluation.annotations import AnnotatedPicture, read_annotations
from edgebnn.evaluation.average_precision import Scored, average_precision, bootstrap_interval, judge
from edgebnn.evaluation.evaluate import GROUPS, LEAST_SIZES_PX, MIN_SCORE
from edgebnn.evaluation.failures import draw_failures
from edgebnn.evaluation.peers import Contender, Image, load_peers
from edgebnn.runtime.model import Model, read_model

HEADLINE_PX = 24
SCORES = (0.3, 0.35, 0.4, 0.45, 0.5, 0.6)
BANDS_PX = ((12, 24), (24, 48), (48, 96), (96, np.inf))


@dataclass
class Run:
    """What one detector found: by picture, and the milliseconds of its timed calls."""

    contender: Contender
    scored: list[Scored] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


def ours(model: Path) -> Contender:
    """A model of ours as a contender at its card's least score."""
    loaded = Model(model)
    if loaded.card is None or loaded.card.decode is None:
        raise DataError(f"expected a detector with a card, {model} has none")

    def detect(image: Image, min_score: float) -> tuple[Any, Any]:
        found = loaded.detect(image, min_score=min_score)
        return found.boxes, found.scores

    return Contender(model.stem, len(read_model(model)[1]), loaded.card.decode.min_score, detect)


def run_all(contenders: Sequence[Contender], pictures: Sequence[AnnotatedPicture], *, rounds: int) -> list[Run]:
    """Every contender on every picture, once at MIN_SCORE for its AP and `rounds` times for the clock."""
    runs = [Run(contender) for contender in contenders]
    order = random.Random(0)
    for number, picture in enumerate(pictures):
        bgr = cv2.imread(str(picture.file), cv2.IMREAD_COLOR) if picture.file.is_file() else None
        if bgr is None:
            raise DataError(f"{picture.file} is not a readable picture")
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        for turn in range(1 + rounds):
            for run in order.sample(runs, len(runs)):
                image = bgr if run.contender.bgr else rgb
                if turn == 0:
                    boxes, scores = run.contender.detect(image, MIN_SCORE)
                    run.scored.append(Scored(picture.boxes, picture.ignore, boxes, scores))
                    continue
                run.contender.detect(image, run.contender.min_score)
                began = time.process_time_ns()
                run.contender.detect(image, run.contender.min_score)
                run.cpu_ms.append((time.process_time_ns() - began) / 1e6)
        if sys.stderr.isatty():
            print(f"\r{number + 1} of {len(pictures)} pictures", end="", file=sys.stderr)
    return runs


def summarise(run: Run, pictures: Sequence[AnnotatedPicture]) -> dict[str, Any]:
    """One detector's figures, as they are printed and written as JSON."""
    groups = {}
    for group, belongs in GROUPS.items():
        part = [one for one, picture in zip(run.scored, pictures, strict=True) if belongs(picture.source)]
        if not any(len(one.boxes) for one in part):
            continue
        groups[group] = {
            "ap50": {str(px): round(average_precision(judge(part, least_px=px)), 4) for px in LEAST_SIZES_PX},
            "interval": [round(x, 4) for x in bootstrap_interval(part, least_px=HEADLINE_PX)],
            "bands": {
                f"{low}-{high:.0f}": {
                    "ap50": round(average_precision(judged := judge(part, least_px=low, below_px=high)), 4),
                    "faces": judged.faces,
                }
                for low, high in BANDS_PX
            },
        } | _at_threshold(part, run.contender.min_score)
    without = [one for one in run.scored if not len(one.boxes)]
    alarms = sum(int((one.scores >= run.contender.min_score).sum()) for one in without)
    return {
        "name": run.contender.name,
        "bytes": run.contender.size,
        "min_score": run.contender.min_score,
        "cpu_ms": round(statistics.median(run.cpu_ms), 3),
        "groups": groups,
        "at_scores": {f"{score:g}": _at_threshold(run.scored, score) for score in SCORES},
        "without_faces": {"pictures": len(without), "false_alarms": alarms},
    }


def _at_threshold(part: Sequence[Scored], min_score: float) -> dict[str, float]:
    judged = judge(part, least_px=HEADLINE_PX)
    hits = judged.correct[judged.scores >= min_score]
    return {
        "recall": round(float(hits.sum()) / max(judged.faces, 1), 4),
        "precision": round(float(hits.mean()) if len(hits) else 1.0, 4),
    }


def as_text(rows: Sequence[dict[str, Any]], *, ours: int = 1) -> str:
    """The rows as Markdown, the first `ours` of them ours; times are shares of the first peer's, or the first row's."""
    base = rows[ours if ours < len(rows) else 0]
    groups = [group for group in rows[0]["groups"] if group != "all"] or ["all"]
    headings = [
        "detector",
        "bytes",
        *(cell for group in groups for cell in (f"{group} >= {HEADLINE_PX} px", "95 %")),
        "CPU time",
    ]
    lines = _table(
        headings, [[row["name"], f"{row['bytes']:,}", *_headline(row, groups), _time(row, base)] for row in rows]
    )
    for group in groups:
        bands = rows[0]["groups"][group]["bands"]
        lines += ["", f"AP50 by size of the face, in {group}:", ""]
        headings = ["detector", ">= 12 px", ">= 48 px", *(band.replace("-inf", " and more") for band in bands)]
        lines += _table(
            [*headings, "recall", "precision"], [[row["name"], *_by_size(row["groups"][group])] for row in rows]
        )
    lines += ["", f"Recall and precision of {rows[0]['name']} at other scores, faces >= {HEADLINE_PX} px:", ""]
    scores = rows[0]["at_scores"]
    lines += _table(
        ["score", *(_share(float(score), 2) for score in scores)],
        [[what, *(_share(one[what], 2) for one in scores.values())] for what in ("recall", "precision")],
    )
    lines.append("")
    for row in rows:
        alarms = row["without_faces"]
        at = f"at score {row['min_score']:g}"
        lines.append(
            f"{row['name']}: {alarms['false_alarms']} false alarms on {alarms['pictures']} pictures without faces, {at}"
        )
    lines.append(f"AP50; 95 %: bootstrap over pictures; recall and precision: faces >= {HEADLINE_PX} px at that score;")
    lines.append(f"CPU time: median of a picture, as a share of that of {base['name']}")
    return "\n".join(lines)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def _headline(row: dict[str, Any], groups: Sequence[str]) -> list[str]:
    cells = []
    for group in groups:
        one = row["groups"][group]
        cells += [_share(one["ap50"][str(HEADLINE_PX)]), "-".join(map(_share, one["interval"]))]
    return cells


def _by_size(group: dict[str, Any]) -> list[str]:
    ap50s = [group["ap50"]["12"], group["ap50"]["48"], *(band["ap50"] for band in group["bands"].values())]
    return [*map(_share, ap50s), _share(group["recall"], 2), _share(group["precision"], 2)]


def _time(row: dict[str, Any], base: dict[str, Any]) -> str:
    share = row["cpu_ms"] / base["cpu_ms"]
    return f"{share:.{3 if share < 0.3 else 2}f} ({row['cpu_ms']:.2f} ms)"


def _share(value: float, digits: int = 3) -> str:
    """`.829`, as is the custom of tables of AP."""
    return f"{value:.{digits}f}".removeprefix("0")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0, or 1 with a sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m edgebnn.evaluation.comparison", description=__doc__)
    parser.add_argument("models", type=Path, nargs="+", help="detectors with cards: .tflite files or packaged names")
    parser.add_argument("--data", type=Path, required=True, help="a folder with annotations.jsonl")
    parser.add_argument("--peers", type=Path, help="a folder with yunet*.onnx, version-RFB-320.onnx")
    parser.add_argument("--split", default="test")
    parser.add_argument("--rounds", type=int, default=3, help="timed calls a picture")
    parser.add_argument("--failures", type=Path, help="write a sheet of the first one's worst pictures here")
    parser.add_argument("--json", type=Path, help="write all figures here too")
    how = parser.parse_args(arguments)
    try:
        peers, left_out = load_peers(how.peers) if how.peers else ([], ["there are no peers: no --peers"])
        pictures = read_annotations(how.data, split=how.split).pictures
        if not pictures:
            raise DataError(f"{how.data} has no pictures of split {how.split}")
        for line in left_out:
            print(f"edgebnn: {line}", file=sys.stderr)
        cv2.setNumThreads(1)
        runs = run_all([*map(ours, how.models), *peers], pictures, rounds=how.rounds)
        if how.failures:
            draw_failures(how.failures, runs[0].scored, pictures, min_score=runs[0].contender.min_score)
        rows = [summarise(run, pictures) for run in runs]
        print(as_text(rows, ours=len(how.models)))
        if how.json:
            _write(how.json, {"ours": len(how.models), "rows": rows})
    except EdgebnnError as error:
        print(f"edgebnn: {error}", file=sys.stderr)
        return 1
    return 0


def _write(file: Path, figures: dict[str, Any]) -> None:
    try:
        file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {file}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
