"""Average precision of face detections at IoU 0.5, by least face size.

AP50 at >= P px: detections are matched greedily by score within a picture, each face at most once, at IoU >= 0.5.
Faces marked ignore, or whose longer side is below P pixels of the stored picture, are ignored: a detection with
IoU >= 0.3 to one of them, or itself smaller than P, counts neither way. AP is the area under the interpolated
precision-recall curve over all pictures of a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
MATCH_IOU = 0.5
IGNORE_IOU = 0.3


@dataclass(frozen=True)
class Scored:
    """One picture: faces, boxes (n, 4) as x, y, width, height, ignore (n,); detections, found (m, 4), scores (m,)."""

    boxes: npt.NDArray[np.float32]
    ignore: npt.NDArray[np.bool_]
    found: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Judged:
    """Detections that count, best score first: scores (n,), whether each is a face (n,), and the number of faces."""

    scores: Array
    correct: npt.NDArray[np.bool_]
    faces: int


def iou_matrix(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """IoU (n, m) of boxes (n, 4) with boxes (m, 4), both as x, y, width, height."""
    one = np.asarray(a, np.float64).reshape(-1, 1, 4)
    other = np.asarray(b, np.float64).reshape(1, -1, 4)
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=-1)
    union = np.prod(one[..., 2:], axis=-1) + np.prod(other[..., 2:], axis=-1) - shared
    iou: Array = shared / np.maximum(union, 1e-9)
    return iou


def judge(pictures: Sequence[Scored], *, least_px: float, below_px: float = np.inf) -> Judged:
    """Match the detections of every picture with its faces of at least `least_px` and below `below_px` pixels."""
    scores: list[float] = []
    correct: list[bool] = []
    faces = 0
    for picture in pictures:
        ignored = picture.ignore | _outside(picture.boxes, least_px, below_px)
        faces += int((~ignored).sum())
        iou = iou_matrix(picture.found, picture.boxes)
        excused = (iou[:, ignored] >= IGNORE_IOU).any(axis=1) | _outside(picture.found, least_px, below_px)
        free = iou * ~ignored
        for row in np.argsort(-picture.scores, kind="stable"):
            best = int(free[row].argmax()) if free.shape[1] else -1
            hit = best >= 0 and bool(free[row, best] >= MATCH_IOU)
            if hit:
                free[:, best] = 0
            elif excused[row]:
                continue
            scores.append(float(picture.scores[row]))
            correct.append(hit)
    order = np.argsort(-np.array(scores, np.float64), kind="stable")
    return Judged(np.array(scores, np.float64)[order], np.array(correct, np.bool_)[order], faces)


def _outside(boxes: npt.NDArray[np.float32], least_px: float, below_px: float) -> npt.NDArray[np.bool_]:
    side = boxes[:, 2:].max(axis=1, initial=0)
    outcome: npt.NDArray[np.bool_] = (side < least_px) | (side >= below_px)
    return outcome


def average_precision(judged: Judged) -> float:
    """Area under the interpolated precision-recall curve; 0 without faces or detections."""
    if not judged.faces or not len(judged.scores):
        return 0.0
    hits = np.cumsum(judged.correct)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(judged.correct * envelope) / judged.faces)


def best_threshold(judged: Judged) -> tuple[float, float, float]:
    """Score threshold with the highest F1, and the recall and precision there; (0.5, 0, 0) when nothing is found."""
    if not judged.faces or not judged.correct.any():
        return 0.5, 0.0, 0.0
    hits = np.cumsum(judged.correct)
    recall, precision = hits / judged.faces, hits / np.arange(1, len(hits) + 1)
    best = int(np.argmax(2 * recall * precision / np.maximum(recall + precision, 1e-9)))
    return float(judged.scores[best]), float(recall[best]), float(precision[best])


def bootstrap_interval(
    pictures: Sequence[Scored], *, least_px: float, share: float = 0.95, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The interval that holds `share` of the APs of sets drawn from `pictures` with replacement, each as many again."""
    judged = [judge([picture], least_px=least_px) for picture in pictures]
    owner = np.repeat(np.arange(len(judged)), [len(one.scores) for one in judged])
    order = np.argsort(-np.concatenate([one.scores for one in judged]), kind="stable")
    owner, correct = owner[order], np.concatenate([one.correct for one in judged])[order]
    faces = np.array([one.faces for one in judged])
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(rounds):
        times = np.bincount(random.integers(len(judged), size=len(judged)), minlength=len(judged))
        weight = times[owner]
        hits = np.cumsum(weight * correct)
        precision = hits / np.maximum(np.cumsum(weight), 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        drawn.append(np.sum(weight * correct * envelope) / max(int(times @ faces), 1))
    low, high = np.quantile(drawn, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)
