"""Readers of face annotations: our JSON lines, and the official WIDER FACE folder. Numpy only.

JSON lines, `annotations.jsonl`: one object a line with `file` (relative to the folder), `boxes` [[x, y, w, h], ...] in
pixels, and optionally `ignore` [0/1 per box], `split` (train, val or test; train when absent), `source`, `width`,
`height`. WIDER FACE: `wider_face_split/wider_face_{train,val}_bbx_gt.txt` beside `WIDER_{train,val}/images`.

What cannot be used is skipped and described in `Annotations.problems`, never fatal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebnn.errors import DataError

SPLITS = ("train", "val", "test")
LEAST_SIDE = 8
"""WIDER FACE boxes whose longer side is shorter are marked to be ignored, pixels of the file."""


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture, its boxes float32 (n, 4) as x, y, width, height in pixels, and which count neither way, bool (n,)."""

    file: Path
    boxes: npt.NDArray[np.float32]
    ignore: npt.NDArray[np.bool_]
    source: str = ""


@dataclass
class Annotations:
    """The usable pictures of one split, and a sentence for each thing that was skipped."""

    pictures: list[AnnotatedPicture] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_annotations(folder: Path, *, split: str) -> Annotations:
    """Annotations of a data set's folder; DataError when there is no format we know, or nothing usable in the split."""
    if split not in SPLITS:
        raise DataError(f"expected the split to be train, val or test, got {split!r}")
    if (folder / "annotations.jsonl").is_file():
        return _read_json_lines(folder, split)
    if (folder / "wider_face_split").is_dir():
        return _read_wider_face(folder, split)
    raise DataError(
        f"{folder} is no data set: expected an annotations.jsonl or a WIDER FACE wider_face_split folder in it"
    )


def _read_json_lines(folder: Path, split: str) -> Annotations:
    found = Annotations()
    file = folder / "annotations.jsonl"
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            found.problems.append(f"{where}: not JSON, line skipped")
            continue
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str) or not entry["file"]:
            found.problems.append(f"{where}: no object with a `file`, line skipped")
            continue
        if entry.get("split", "train") != split:
            continue
        rows = entry.get("boxes", [])
        if not isinstance(rows, list):
            found.problems.append(f"{where}: `boxes` is no list, picture skipped")
            continue
        ignore = entry.get("ignore") or [0] * len(rows)
        if not isinstance(ignore, list) or len(ignore) != len(rows):
            found.problems.append(f"{where}: `ignore` does not have one entry per box, picture skipped")
            continue
        size = (_number(entry.get("width")), _number(entry.get("height")))
        boxes, flags = _usable(zip(rows, map(bool, ignore), strict=True), size, where, found.problems)
        source = entry.get("source", "")
        found.pictures.append(AnnotatedPicture(folder / entry["file"], boxes, flags, str(source)))
    return found


def _read_wider_face(folder: Path, split: str) -> Annotations:
    if split == "test":
        raise DataError("WIDER FACE publishes no boxes for its test split: use the split val")
    file = folder / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt"
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    images = folder / f"WIDER_{split}" / "images"
    found = Annotations()
    at = 0
    while at < len(lines):
        name, where = lines[at].strip(), f"{file}:{at + 1}"
        at += 1
        if not name.lower().endswith((".jpg", ".jpeg", ".png")):
            if name:
                found.problems.append(f"{where}: expected a picture's name, got {name[:60]!r}, line skipped")
            continue
        count = lines[at].strip() if at < len(lines) else ""
        if not count.isdigit():
            found.problems.append(f"{where}: expected the number of boxes after the name, picture skipped")
            continue
        # A picture without faces has the count 0 and one line of zeros.
        end = min(at + 1 + max(int(count), 1), len(lines))
        rows, at = lines[at + 1 : end], end
        if int(count) == 0:
            rows = []
        elif len(rows) < int(count):
            found.problems.append(f"{where}: {count} boxes announced, {len(rows)} found, picture skipped")
            continue
        parsed: list[tuple[Any, bool]] = []
        for row in rows:
            fields = row.split()
            numbers = [_number(text) for text in fields[:4]]
            invalid = len(fields) > 7 and fields[7] == "1"
            small = len(numbers) == 4 and max(numbers[2:]) < LEAST_SIDE
            parsed.append((numbers, invalid or small))
        boxes, flags = _usable(iter(parsed), (float("nan"), float("nan")), where, found.problems)
        found.pictures.append(AnnotatedPicture(images / name, boxes, flags, f"wider_{split}"))
    return found


def _usable(
    rows: Iterator[tuple[Any, bool]], size: tuple[float, float], where: str, problems: list[str]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The boxes that are four finite numbers, have an extent and touch the picture (where its size is known)."""
    boxes: list[list[float]] = []
    flags: list[bool] = []
    for row, ignore in rows:
        box = [_number(value) for value in row] if isinstance(row, list) else []
        if len(box) != 4 or not np.isfinite(box).all() or max(map(abs, box)) > 1e6:
            problems.append(f"{where}: expected a box of four numbers, got {str(row)[:80]}, box skipped")
        elif box[2] <= 0 or box[3] <= 0:
            problems.append(f"{where}: box {str(row)[:80]} has no extent, box skipped")
        elif box[0] >= size[0] or box[1] >= size[1] or box[0] + box[2] <= 0 or box[1] + box[3] <= 0:
            problems.append(f"{where}: box {str(row)[:80]} lies outside of the picture, box skipped")
        else:
            boxes.append(box)
            flags.append(ignore)
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(flags, np.bool_)


def _number(value: Any) -> float:
    """`value` as a float, NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return float("nan")
    try:
        return float(value)
    except (ValueError, OverflowError):
        return float("nan")
