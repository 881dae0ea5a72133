"""`edgebnn evaluate`: AP50 of a face detector by face size, on the device's own runtime."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from edgebnn.errors import DataError
from edgebnn.evaluation.annotations import AnnotatedPicture, read_annotations
from edgebnn.evaluation.average_precision import Scored, average_precision, best_threshold, judge
from edgebnn.runtime.model import Model

LEAST_SIZES_PX = (12, 24, 48)
MIN_SCORE = 0.02
GROUPS: dict[str, Callable[[str], bool]] = {
    "wider": lambda source: source.startswith("wider_"),
    "mask": lambda source: source == "maskset",
    "all": lambda source: True,
}


@dataclass
class Report:
    """AP50 and number of faces by group and least size, and what was left out."""

    pictures: int = 0
    ap50: dict[str, dict[int, float]] = field(default_factory=dict)
    faces: dict[str, dict[int, int]] = field(default_factory=dict)
    best_score: float = 0.5
    recall: float = 0.0
    precision: float = 0.0
    detect_ms: float = 0.0
    unreadable: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def evaluate(model: Path, *, data: Path, split: str, threads: int, as_json: bool) -> None:
    """Print AP50 by group and least face size of `model` on a split of `data`; see average_precision for the metric."""
    annotations = read_annotations(data, split=split)
    if not annotations.pictures:
        raise DataError(f"{data} has no pictures of split {split}: choose another --split")
    for problem in annotations.problems:
        print(f"edgebnn: {problem}", file=sys.stderr)
    report = measure(Model(model, num_threads=threads), annotations.pictures)
    report.problems = annotations.problems
    for file in report.unreadable:
        print(f"edgebnn: {file} is not a readable picture, skipped", file=sys.stderr)
    if as_json:
        print(json.dumps(as_dict(report)))
    else:
        Console().print(
            _table(report, f"{model} on {data}, split {split}"), _summary(report), sep="\n", highlight=False
        )


def measure(model: Model, pictures: Sequence[AnnotatedPicture]) -> Report:
    """Run `model` on every picture and score its detections; DataError when no picture can be read."""
    report = Report()
    scored: list[Scored] = []
    sources: list[str] = []
    times: list[float] = []
    console = Console(stderr=True)
    for picture in track(pictures, "detecting", console=console, transient=True, disable=not console.is_terminal):
        bgr = cv2.imread(str(picture.file), cv2.IMREAD_COLOR) if picture.file.is_file() else None
        if bgr is None:
            report.unreadable.append(str(picture.file))
            continue
        found = model.detect(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), min_score=MIN_SCORE)
        times.append(sum(model.stage_ms.values()))
        scored.append(Scored(picture.boxes, picture.ignore, found.boxes, found.scores))
        sources.append(picture.source)
    if not scored:
        raise DataError(f"none of {len(pictures)} pictures could be read: check the data set's folder")
    report.pictures = len(scored)
    report.detect_ms = float(np.median(times))
    for group, belongs in GROUPS.items():
        part = [one for one, source in zip(scored, sources, strict=True) if belongs(source)]
        if not part:
            continue
        judged = {least: judge(part, least_px=least) for least in LEAST_SIZES_PX}
        report.ap50[group] = {least: average_precision(one) for least, one in judged.items()}
        report.faces[group] = {least: one.faces for least, one in judged.items()}
    report.best_score, report.recall, report.precision = best_threshold(judge(scored, least_px=24))
    return report


def as_dict(report: Report) -> dict[str, object]:
    """The report for --json: `ap50` and `faces` by group and least size ("24"), and the rest by name."""
    return {
        "pictures": report.pictures,
        "ap50": {group: {str(least): round(ap, 4) for least, ap in row.items()} for group, row in report.ap50.items()},
        "faces": {group: {str(least): n for least, n in row.items()} for group, row in report.faces.items()},
        "best_score": round(report.best_score, 4),
        "recall": round(report.recall, 4),
        "precision": round(report.precision, 4),
        "detect_ms": round(report.detect_ms, 3),
        "unreadable": len(report.unreadable),
        "problems": len(report.problems),
    }


def _table(report: Report, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("AP50 (faces)")
    for least in LEAST_SIZES_PX:
        table.add_column(f">= {least} px", justify="right")
    for group, row in report.ap50.items():
        table.add_row(group, *(f"{row[least]:.3f} ({report.faces[group][least]})" for least in LEAST_SIZES_PX))
    return table


def _summary(report: Report) -> str:
    skipped = f", {len(report.unreadable)} unreadable" if report.unreadable else ""
    skipped += f", {len(report.problems)} annotations skipped" if report.problems else ""
    return (
        f"{report.pictures} pictures{skipped}; median {report.detect_ms:.2f} ms CPU a picture\n"
        f"faces >= 24 px: best F1 at score {report.best_score:.2f}, "
        f"recall {report.recall:.3f}, precision {report.precision:.3f}"
    )
