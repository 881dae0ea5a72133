from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.card import Decode, Level
from edgebnn.data.targets import cell_centres
from edgebnn.runtime.detections import decode
from edgebnn.training.losses import detection_loss, flatten_outputs, iou_and_giou, teacher_loss

import tensorflow as tf  # isort: skip

STRIDES, SCALES = (8, 16, 32), (1.1, 1.3, 1.6)


def count_pixels(a: list[int], b: list[int]) -> tuple[float, float]:
    """IoU and GIoU by counting pixels of a raster."""
    y, x = np.mgrid[0:40, 0:40]
    one, other = ((x >= r[0]) & (x < r[2]) & (y >= r[1]) & (y < r[3]) for r in (a, b))
    hull = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
    around = ((x >= hull[0]) & (x < hull[2]) & (y >= hull[1]) & (y < hull[3])).sum()
    union = (one | other).sum()
    iou = (one & other).sum() / union
    return iou, iou - (around - union) / around


def test_giou_equals_counted_pixels() -> None:
    random = np.random.default_rng(0)
    low = random.integers(0, 20, (100, 2, 2))
    boxes = np.concatenate([low, low + random.integers(1, 20, (100, 2, 2))], axis=-1)
    iou, giou = iou_and_giou(tf.constant(boxes[:, 0], tf.float32), tf.constant(boxes[:, 1], tf.float32))
    expected = np.array([count_pixels(a.tolist(), b.tolist()) for a, b in boxes])
    np.testing.assert_allclose(np.stack([iou, giou], axis=1), expected, atol=1e-5)


def plain_loss(logits, boxes, targets, floor, weight):
    """The docstring's formula, cell by cell in float64."""
    score = box = positives = 0.0
    for p, b, (positive, counts, *truth) in zip(
        logits.ravel(), boxes.reshape(-1, 4), targets.reshape(-1, 6).tolist(), strict=True
    ):
        x1, y1, x2, y2 = b
        w, h = min(x2, truth[2]) - max(x1, truth[0]), min(y2, truth[3]) - max(y1, truth[1])
        shared = max(w, 0) * max(h, 0)
        union = (x2 - x1) * (y2 - y1) + (truth[2] - truth[0]) * (truth[3] - truth[1]) - shared
        hull = (max(x2, truth[2]) - min(x1, truth[0])) * (max(y2, truth[3]) - min(y1, truth[1]))
        q = max(shared / union, floor) if positive else 0.0
        s = 1 / (1 + np.exp(-p))
        score += counts * (q - s) ** 2 * -(q * np.log(s) + (1 - q) * np.log(1 - s))
        box += positive * (1 - (shared / union - (hull - union) / hull))
        positives += positive
    positives = max(positives, 1)
    return weight * score / positives + box / positives, score / positives, box / positives


@pytest.mark.parametrize("share", [0, 0.3])
def test_loss_equals_its_formula(share: float) -> None:
    random = np.random.default_rng(1)
    low = random.uniform(0, 50, (2, 2, 30, 2))
    pair = np.concatenate([low, low + random.uniform(5, 40, low.shape)], axis=-1).astype(np.float32)
    positive = random.random((2, 30, 1)) < share
    counts = positive | (random.random((2, 30, 1)) < 0.8)
    targets = np.concatenate([positive, counts, pair[1]], axis=-1).astype(np.float32)
    logits = random.normal(0, 2, (2, 30)).astype(np.float32)
    got = detection_loss(tf.constant(logits), tf.constant(pair[0]), tf.constant(targets), floor=0.3, score_weight=2.0)
    np.testing.assert_allclose(got, plain_loss(logits, pair[0], targets, 0.3, 2.0), rtol=1e-4)


def test_masked_cells_have_no_gradient() -> None:
    logits, boxes = tf.Variable([[1.0, 2.0]]), tf.Variable([[[0.0, 0.0, 9.0, 9.0], [1.0, 1.0, 5.0, 5.0]]])
    targets = tf.constant([[[1.0, 1.0, 0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]])
    with tf.GradientTape() as tape:
        loss, _, _ = detection_loss(logits, boxes, targets, floor=0.3, score_weight=2.0)
    by_logit, by_box = tape.gradient(loss, [logits, boxes])
    assert by_logit[0, 0] != 0 and by_logit[0, 1] == 0
    assert np.any(by_box[0, 0] != 0) and np.all(by_box[0, 1] == 0)


def test_training_reads_the_maps_as_the_device_decodes_them() -> None:
    random = np.random.default_rng(2)
    maps = {f"s{s}": random.normal(0, 1, (1, 64 // s, 96 // s, 5)).astype(np.float32) for s in STRIDES}
    logits, boxes = flatten_outputs(
        {name: tf.constant(x) for name, x in maps.items()}, STRIDES, SCALES, tf.constant(cell_centres(96, 64, STRIDES))
    )
    levels = tuple(Level(output=f"s{s}", stride=s, scale=c) for s, c in zip(STRIDES, SCALES, strict=True))
    found, scores = decode(maps, Decode(levels=levels, nms_iou=0.999), min_score=1e-6)
    order = np.argsort(-logits.numpy()[0])
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits.numpy()[0][order])), rtol=1e-5)
    np.testing.assert_allclose(found, boxes.numpy()[0][order], rtol=1e-4, atol=1e-3)


def random_boxes(random: np.random.Generator, *shape: int) -> np.ndarray:
    low = random.uniform(0, 50, (*shape, 2))
    return np.concatenate([low, low + random.uniform(5, 40, low.shape)], axis=-1).astype(np.float32)


def test_teacher_loss_equals_its_formula() -> None:
    random = np.random.default_rng(3)
    logits, taught = (random.normal(-1, 2, (2, 30)).astype(np.float32) for _ in range(2))
    boxes, taught_boxes = random_boxes(random, 2, 30), random_boxes(random, 2, 30)
    score = box = count = 0.0
    for z, t, a, b in zip(
        logits.ravel().tolist(), taught.ravel().tolist(), boxes.reshape(-1, 4), taught_boxes.reshape(-1, 4), strict=True
    ):
        s, q = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-t))
        score += (q - s) ** 2 * -(q * np.log(s) + (1 - q) * np.log(1 - s))
        _, giou = iou_and_giou(tf.constant(a), tf.constant(b))
        box += q * (1 - float(giou)) if q > 0.2 else 0
        count += q if q > 0.2 else 0
    got = teacher_loss(*(tf.constant(x) for x in (logits, boxes, taught, taught_boxes)))
    np.testing.assert_allclose(got, (score / count, box / count), rtol=1e-4)


def test_who_says_what_the_teacher_says_has_nothing_to_learn() -> None:
    random = np.random.default_rng(4)
    logits, boxes = tf.Variable(random.normal(0, 2, (1, 9)), dtype=tf.float32), tf.constant(random_boxes(random, 1, 9))
    with tf.GradientTape() as tape:
        score, box = teacher_loss(logits, boxes, tf.constant(logits.numpy()), boxes)
    assert score == 0 and box == 0
    np.testing.assert_array_equal(tape.gradient(score, logits), np.zeros((1, 9)))


def test_a_teacher_without_a_face_has_no_boxes_to_teach() -> None:
    none = tf.fill((1, 9), -9.0)
    score, box = teacher_loss(none + 1.0, tf.ones((1, 9, 4)), none, tf.zeros((1, 9, 4)))
    assert 0 < score < 0.01 and box == 0
