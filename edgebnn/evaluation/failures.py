"""The pictures on which a detector fails worst, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.errors import DataError
from edgebnn.evaluation.annotations import AnnotatedPicture
from edgebnn.evaluation.average_precision import MATCH_IOU, Scored, iou_matrix, judge

FOUND, MISSED, FALSE = (60, 200, 60), (40, 40, 230), (0, 200, 255)
TILE, COLUMNS = 240, 6


def draw_failures(
    file: Path,
    scored: Sequence[Scored],
    pictures: Sequence[AnnotatedPicture],
    *,
    min_score: float,
    least_px: float = 24,
    count: int = 24,
) -> None:
    """Write the `count` pictures with the most errors: faces found (green), missed (red), false alarms (yellow).

    An error is a face of at least `least_px` without a detection of `min_score`, or a detection that judge() counts as
    wrong.
    """
    errors = []
    for one in scored:
        strong = one.scores >= min_score
        judged = judge([Scored(one.boxes, one.ignore, one.found[strong], one.scores[strong])], least_px=least_px)
        errors.append(judged.faces - int(judged.correct.sum()) + int((~judged.correct).sum()))
    worst = [int(i) for i in np.argsort(-np.array(errors), kind="stable")[:count] if errors[i]]
    tiles = [_tile(scored[i], pictures[i].file, min_score, least_px) for i in worst]
    tiles += [np.zeros((TILE, TILE, 3), np.uint8)] * (-len(tiles) % COLUMNS or (0 if tiles else COLUMNS))
    sheet = np.vstack([np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)])
    if not cv2.imwrite(str(file), sheet):
        raise DataError(f"cannot write {file}: expected a .jpg or .png in an existing folder")


def _tile(one: Scored, file: Path, min_score: float, least_px: float) -> npt.NDArray[np.uint8]:
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    scale = TILE / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    tile = np.zeros((TILE, TILE, 3), np.uint8)
    tile[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    found = one.found[one.scores >= min_score]
    match = iou_matrix(found, one.boxes) >= MATCH_IOU
    wanted = ~one.ignore & (one.boxes[:, 2:].max(axis=1, initial=0) >= least_px)
    marks = [(box, MISSED) for box in one.boxes[wanted & ~match.any(axis=0)]]
    marks += [(box, FOUND if hit else FALSE) for box, hit in zip(found, match.any(axis=1), strict=True)]
    for (x, y, w, h), colour in marks:
        corners = [(round(float(a) * scale), round(float(b) * scale)) for a, b in ((x, y), (x + w, y + h))]
        cv2.rectangle(tile, corners[0], corners[1], colour, 1)
    return tile
