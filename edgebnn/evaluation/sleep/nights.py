"""A night of activity in epochs of 30 s, with sleep stages where somebody scored them, and the .csv file of one."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgebnn.errors import DataError

EPOCH_S = 30
WAKE, N1, N2, N3, REM = range(5)
UNSCORED = -1
STAGE_NAMES = ("wake", "N1", "N2", "N3", "REM")
MOST_BYTES = 32 << 20
LARGEST = 1e15  # number of any column but stage
LONGEST_S = 7 * 24 * 3600  # of a file, from its first row to the last
_NEEDED = ("time_s", "activity")
_OPTIONAL = ("sound_db", "light_lux", "stage")

Floats = npt.NDArray[np.float64]
Stages = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Night:
    """One row an epoch, rising in time; times that are missing are gaps.

    `time_s` (n,) seconds from any origin; `activity` (n,) of any non-negative scale; `stage` (n,) WAKE to REM or
    UNSCORED, None for a night that nobody scored.
    """

    name: str
    time_s: Floats
    activity: Floats
    stage: Stages | None = None

    def __len__(self) -> int:
        """Rows."""
        return len(self.time_s)


def grid_index(time_s: Floats) -> npt.NDArray[np.int64]:
    """Which epoch of 30 s since the first row each row is, rising by at least 1 from row to row."""
    index = np.rint((time_s - time_s[:1]) / EPOCH_S).astype(np.int64)
    steps = np.maximum(np.diff(index, prepend=index[:1] - 1), 1)
    rising: npt.NDArray[np.int64] = np.cumsum(steps) - 1
    return rising


def read_night(file: Path) -> Night:
    """The night in a .csv file with a header: time_s and activity; sound_db, light_lux and stage are optional.

    DataError in one sentence, with the line, when a row cannot be used.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    if len(raw) > MOST_BYTES:
        raise DataError(f"{file} has {len(raw) >> 20} MiB, expected at most {MOST_BYTES >> 20}: give one night a file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{file} is no text in UTF-8: expected a .csv file with columns time_s,activity") from None
    if "\0" in text:
        raise DataError(f"{file} is no text, it has zero bytes: expected a .csv file with columns time_s,activity")
    return _parse(str(file), file.stem, text)


def _parse(shown: str, name: str, text: str) -> Night:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        columns = _columns(shown, header)
        rows: list[list[float]] = []
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            where = f"{shown}, line {reader.line_num}"
            if len(row) != len(header):
                raise DataError(f"{where}: expected {len(header)} values, got {len(row)}: mend or delete the row")
            rows.append([_number(where, column, row[at]) for column, at in columns.items()])
            if len(rows) > 1:
                _check_order(where, rows)
    except csv.Error as error:
        raise DataError(f"{shown}, line {reader.line_num} is no csv: {error}") from None
    if not rows:
        raise DataError(f"{shown} has no rows: expected one for each 30 s")
    table = dict(zip(columns, np.array(rows, np.float64).T, strict=True))
    stage = table["stage"].astype(np.int64) if "stage" in table else None
    return Night(name, table["time_s"], table["activity"], stage)


def _columns(shown: str, header: Sequence[str]) -> dict[str, int]:
    """Where each known column stands; others are not looked at."""
    for column in (*_NEEDED, *_OPTIONAL):
        if header.count(column) > 1 or (column in _NEEDED and column not in header):
            first = ",".join(header)[:80]
            raise DataError(f"{shown}: expected a header with one column {column}, got {first!r}: name the columns")
    return {column: header.index(column) for column in (*_NEEDED, *_OPTIONAL) if column in header}


def _number(where: str, column: str, cell: str) -> float:
    cell = cell.strip()
    if not cell and column in ("sound_db", "light_lux"):
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if column == "stage":
        if value not in (UNSCORED, *range(len(STAGE_NAMES))):
            raise DataError(f"{where}: stage = {cell[:40]!r}: expected 0 wake, 1 N1, 2 N2, 3 N3, 4 REM or -1 unscored")
    elif math.isnan(value):
        raise DataError(f"{where}: {column} = {cell[:40]!r}: expected a number; leave rows out that have none")
    elif abs(value) > LARGEST:
        raise DataError(f"{where}: {column} = {cell[:40]!r}: expected a number up to {LARGEST:g}")
    elif column == "activity" and value < 0:
        raise DataError(f"{where}: activity = {cell[:40]!r}: expected a number from 0 up")
    return value


def _check_order(where: str, rows: Sequence[Sequence[float]]) -> None:
    before, now = rows[-2][0], rows[-1][0]
    if now - before < EPOCH_S / 2:
        raise DataError(
            f"{where}: time_s = {now:.12g} after {before:.12g}: expected rows in order, one for each {EPOCH_S} s"
        )
    if now - rows[0][0] > LONGEST_S:
        raise DataError(
            f"{where}: time_s = {now:.12g} lies more than a week after the first row: give one night a file"
        )
