"""Reader of PhysioNet's sleep-accel (Walch 2019, "Motion and heart rate from a wrist-worn wearable and labeled sleep
from polysomnography"): raw wrist acceleration and the stages of 30 s epochs.

    motion/ID_acceleration.txt    time x y z          seconds since the polysomnography began, g
    labels/ID_labeled_sleep.txt   time stage          every 30 s; 0 wake, 1 N1, 2 N2, 3 N3, 4 N4, 5 REM, -1 unscored

heart_rate/ is not read: beside motion it added nothing to telling sleep from wake.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgebnn.data.nights import GridNight
from edgebnn.errors import DataError
from edgebnn.evaluation.sleep.nights import EPOCH_S, N3, REM, UNSCORED, Floats

LEAST_SECONDS = 10
"""An epoch with less acceleration than this is a gap."""
LONGEST_NIGHT = 24 * 3600 // EPOCH_S
_STAGES = {0: 0, 1: 1, 2: 2, 3: N3, 4: N3, 5: REM, -1: UNSCORED}

Table = npt.NDArray[np.float64]


def read_sleep_accel(folder: Path) -> tuple[list[GridNight], list[str]]:
    """The nights of a folder in the order of the people's names, and a sentence for each person who was left out.

    DataError when the folder has not the layout.
    """
    labels = sorted((folder / "labels").glob("*_labeled_sleep.txt"))
    if not labels:
        raise DataError(
            f"expected labels/ID_labeled_sleep.txt and motion/ID_acceleration.txt in {folder}: check --data"
        )
    nights, problems = [], []
    for file in labels:
        person = file.name.removesuffix("_labeled_sleep.txt")
        try:
            stages = _read_table(file, columns=2)
            nights.append(
                _night(file, stages, _read_table(folder / "motion" / f"{person}_acceleration.txt", columns=4))
            )
        except DataError as error:
            problems.append(f"{error}; {person} is skipped")
    return nights, problems


def activity_index(time_s: Floats, acceleration: Table, *, epochs: int) -> Floats:
    """Activity (epochs,) of 30 s each from time 0 on, nan where less than LEAST_SECONDS were recorded.

    The sum over seconds of sqrt(mean over the axes of the variance within the second, less the device's noise)
    (Bai et al. 2016, "An activity index for raw accelerometry data and its comparison with other activity metrics",
    PLoS One 11:e0160644); the noise is the 0.1 quantile of those variances.
    """
    second = np.floor(time_s).astype(np.int64)
    inside = (second >= 0) & (second < epochs * EPOCH_S)
    second, values = second[inside], acceleration[inside]
    seconds = epochs * EPOCH_S
    count = np.bincount(second, minlength=seconds)
    if not count.any():
        return np.full(epochs, np.nan)
    safe = np.maximum(count, 1)
    variance = np.zeros(seconds)
    for axis in values.T:
        mean = np.bincount(second, axis, seconds) / safe
        variance += np.bincount(second, (axis - mean[second]) ** 2, seconds) / safe / 3
    known = count >= 2
    noise = np.quantile(variance[known], 0.1) if known.any() else 0.0
    index = np.where(known, np.sqrt(np.maximum(variance - noise, 0)), 0).reshape(epochs, EPOCH_S)
    recorded = known.reshape(epochs, EPOCH_S).sum(axis=1)
    enough = recorded >= LEAST_SECONDS
    return np.where(enough, index.sum(axis=1) * EPOCH_S / np.maximum(recorded, 1), np.nan)


def _night(file: Path, labels: Table, motion: Table) -> GridNight:
    at = np.rint(labels[:, 0] / EPOCH_S).astype(np.int64)
    if (at < 0).any() or (at >= LONGEST_NIGHT).any():
        raise DataError(
            f"{file}: expected times from 0 to a day, got {labels[:, 0].min():g} to {labels[:, 0].max():g} s"
        )
    codes = labels[:, 1].astype(np.int64)
    if unknown := set(codes.tolist()) - _STAGES.keys():
        raise DataError(f"{file}: stage {min(unknown)}: expected 0 wake, 1 N1, 2 N2, 3 and 4 N3, 5 REM or -1")
    stage = np.full(int(at.max()) + 1, UNSCORED, np.int64)
    stage[at] = [_STAGES[code] for code in codes.tolist()]
    activity = activity_index(motion[:, 0], motion[:, 1:], epochs=len(stage))
    if np.isnan(activity).all():
        raise DataError(f"{file}: no acceleration was recorded while stages were scored")
    return GridNight(activity, stage)


def _read_table(file: Path, *, columns: int) -> Table:
    """Numbers separated by blanks or commas."""
    try:
        text = file.read_text(encoding="ascii").replace(",", " ")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an empty file is a warning
            table = np.loadtxt(text.splitlines(), np.float64, ndmin=2)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from None
    except (ValueError, UserWarning) as error:
        first = str(error).splitlines()[0][:120]
        raise DataError(f"{file}: expected rows of {columns} numbers: {first}") from None
    if table.shape[1] != columns or not np.isfinite(table).all():
        raise DataError(f"{file}: expected rows of {columns} finite numbers, got {table.shape[1]} columns")
    return table
