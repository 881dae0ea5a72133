"""Losses of an anchor-free detector: quality focal loss on scores, generalized IoU on boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

LEAST_TAUGHT_SCORE = 0.2
"""of a teacher's cell whose box is learnt"""


def flatten_outputs(
    outputs: Mapping[str, Any], strides: Sequence[int], scales: Sequence[float], centres: Any
) -> tuple[Any, Any]:
    """Output maps "s<stride>" (n, h, w, 5) to logits (n, cells) and boxes (n, cells, 4) as x1, y1, x2, y2.

    `centres` is (cells, 2), the levels' cells one after another, row by row.
    """
    logits, distances = [], []
    for stride, scale in zip(strides, scales, strict=True):
        grid = outputs[f"s{stride}"]
        flat = tf.reshape(grid, (tf.shape(grid)[0], -1, 5))
        logits.append(flat[..., 0])
        distances.append(tf.exp(tf.clip_by_value(flat[..., 1:], -10.0, 10.0)) * (stride * scale))
    distance = tf.concat(distances, axis=1)
    boxes = tf.concat([centres - distance[..., :2], centres + distance[..., 2:]], axis=-1)
    return tf.concat(logits, axis=1), boxes


def iou_and_giou(a: Any, b: Any) -> tuple[Any, Any]:
    """IoU and generalized IoU (Rezatofighi et al. 2019) of boxes (..., 4) as x1, y1, x2, y2, pair by pair."""
    area_a = tf.reduce_prod(tf.maximum(a[..., 2:] - a[..., :2], 0.0), axis=-1)
    area_b = tf.reduce_prod(tf.maximum(b[..., 2:] - b[..., :2], 0.0), axis=-1)
    low, high = tf.maximum(a[..., :2], b[..., :2]), tf.minimum(a[..., 2:], b[..., 2:])
    shared = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    union = area_a + area_b - shared
    iou = shared / tf.maximum(union, 1e-6)
    low, high = tf.minimum(a[..., :2], b[..., :2]), tf.maximum(a[..., 2:], b[..., 2:])
    hull = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    return iou, iou - (hull - union) / tf.maximum(hull, 1e-6)


def detection_loss(logits: Any, boxes: Any, targets: Any, *, floor: float, score_weight: float) -> tuple[Any, Any, Any]:
    """Total, score and box loss of logits (n, cells), boxes (n, cells, 4) against targets (n, cells, 6).

    Score: |q - p|^2 * cross entropy(q, p) with p = sigmoid(logit) and q = max(IoU, floor) on positive cells, else 0
    (Li et al. 2020, quality focal loss); box: 1 - GIoU on positive cells. Both are sums over the batch divided by the
    number of positive cells (at least 1); total = score_weight * score + box.
    """
    positive, weight = targets[..., 0], targets[..., 1]
    iou, giou = iou_and_giou(boxes, targets[..., 2:])
    quality = positive * tf.maximum(tf.stop_gradient(iou), floor)
    count = tf.maximum(tf.reduce_sum(positive), 1.0)
    score = tf.reduce_sum(weight * _quality_focal_loss(quality, logits)) / count
    box = tf.reduce_sum(positive * (1.0 - giou)) / count
    return score_weight * score + box, score, box


def teacher_loss(logits: Any, boxes: Any, taught_logits: Any, taught_boxes: Any) -> tuple[Any, Any]:
    """Score and box loss of logits (n, cells) and boxes (n, cells, 4) against a teacher's.

    The same losses with the teacher's scores p and boxes for labels: scores on every cell, those that labels leave out
    too; boxes on the cells with p > LEAST_TAUGHT_SCORE, which weigh p. Both are divided by the sum of these p (at least
    1).
    """
    taught = tf.sigmoid(taught_logits)
    weight = tf.where(taught > LEAST_TAUGHT_SCORE, taught, 0.0)
    count = tf.maximum(tf.reduce_sum(weight), 1.0)
    _, giou = iou_and_giou(boxes, taught_boxes)
    score = tf.reduce_sum(_quality_focal_loss(taught, logits)) / count
    return score, tf.reduce_sum(weight * (1.0 - giou)) / count


def _quality_focal_loss(quality: Any, logits: Any) -> Any:
    """Cell by cell, of qualities 0..1 and logits of one shape."""
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=quality, logits=logits)
    return tf.square(quality - tf.sigmoid(logits)) * entropy
