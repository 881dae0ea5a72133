import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.evaluation.average_precision import (
    Judged,
    Scored,
    average_precision,
    best_threshold,
    bootstrap_interval,
    iou_matrix,
    judge,
)


def scored(boxes: list, ignore: list, found: list, scores: list) -> Scored:
    return Scored(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(ignore, bool),
        np.array(found, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
    )


def ap(*pictures: Scored, least_px: float = 12) -> float:
    return average_precision(judge(pictures, least_px=least_px))


FACE, OTHER, NOWHERE = [10, 10, 40, 40], [100, 10, 40, 40], [300, 300, 40, 40]


def test_iou_by_hand() -> None:
    np.testing.assert_allclose(
        iou_matrix([[0, 0, 10, 10]], [[0, 0, 10, 10], [5, 0, 10, 10], [10, 0, 5, 5]]), [[1, 1 / 3, 0]]
    )
    assert iou_matrix(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (scored([FACE], [0], [FACE], [0.9]), 1.0),
        (scored([FACE], [0], [], []), 0.0),
        (scored([], [], [FACE], [0.9]), 0.0),
        (scored([FACE, OTHER], [0, 0], [FACE], [0.9]), 0.5),
        # a false alarm in front: precision 1/2 at the only recall
        (scored([FACE], [0], [NOWHERE, FACE], [0.9, 0.8]), 0.5),
        # a false alarm behind does not matter
        (scored([FACE], [0], [NOWHERE, FACE], [0.7, 0.8]), 1.0),
        # found twice: the second is a false alarm, which costs the face behind it
        (scored([FACE, OTHER], [0, 0], [FACE, FACE, OTHER], [0.9, 0.8, 0.7]), 0.5 + 0.5 * 2 / 3),
        # interpolated: precision at recall 1/2 is the best one at any recall beyond it
        (scored([FACE, OTHER], [0, 0], [NOWHERE, FACE, OTHER], [0.9, 0.8, 0.7]), 2 / 3),
        # on an ignored face: neither way
        (scored([FACE, OTHER], [0, 1], [OTHER, FACE], [0.9, 0.8]), 1.0),
        # IoU 1/3 with an ignored face excuses, with a face that counts it does not
        (scored([FACE, OTHER], [0, 1], [[120, 10, 40, 40], FACE], [0.9, 0.8]), 1.0),
        (scored([FACE, OTHER], [0, 0], [[120, 10, 40, 40], FACE, OTHER], [0.9, 0.8, 0.7]), 2 / 3),
    ],
)  # fmt: skip
def test_by_hand(picture: Scored, expected: float) -> None:
    assert ap(picture) == pytest.approx(expected)


def test_small_faces_and_small_detections_count_neither_way() -> None:
    picture = scored(
        [FACE, [200, 200, 10, 20]], [0, 0], [[200, 200, 10, 20], [250, 250, 11, 11], FACE], [0.9, 0.8, 0.7]
    )
    assert ap(picture, least_px=24) == pytest.approx(1)
    # The longer side decides: 20 px is not below 12; the 11 px detection is.
    assert ap(picture, least_px=12) == pytest.approx(1)
    assert judge([picture], least_px=12).faces == 2
    assert ap(picture, least_px=4) == pytest.approx(0.5 + 0.5 * 2 / 3)


def brute_force(pictures: list[Scored], least_px: float) -> float:
    """The definition with plain loops: AP is the mean over faces k = 1..n of the best precision at recall >= k/n."""

    def iou(a, b):
        w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        shared = max(w, 0) * max(h, 0)
        return shared / (a[2] * a[3] + b[2] * b[3] - shared)

    ranked, faces = [], 0
    for one in pictures:
        truth = [
            (list(map(float, box)), bool(ignored) or max(box[2], box[3]) < least_px)
            for box, ignored in zip(one.boxes, one.ignore, strict=True)
        ]
        faces += sum(not ignored for _, ignored in truth)
        taken = set()
        for score, box in sorted(zip(one.scores.tolist(), one.found.tolist(), strict=True), reverse=True):
            free = [(iou(box, t), -i) for i, (t, ignored) in enumerate(truth) if not ignored and i not in taken]
            best = max(free, default=(0, 0))
            if best[0] >= 0.5:
                taken.add(-best[1])
                ranked.append((score, True))
            elif max(box[2], box[3]) >= least_px and not any(ignored and iou(box, t) >= 0.3 for t, ignored in truth):
                ranked.append((score, False))
    ranked.sort(reverse=True)
    precisions = []
    for count in range(1, len(ranked) + 1):
        hits = sum(hit for _, hit in ranked[:count])
        precisions.append((hits, hits / count))
    return (
        sum(max((p for hits, p in precisions if hits >= k), default=0) for k in range(1, faces + 1)) / faces
        if faces
        else 0
    )


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), least_px=st.sampled_from([0, 12, 24, 48]))
def test_equals_brute_force(seed: int, least_px: int) -> None:
    random = np.random.default_rng(seed)
    pictures = []
    for _ in range(random.integers(1, 5)):
        n, m = random.integers(0, 6), random.integers(0, 10)
        boxes = np.concatenate([random.uniform(0, 60, (n, 2)), random.uniform(6, 60, (n, 2))], axis=1)
        near = boxes[random.integers(0, n, m)] if n else np.tile([0, 0, 20, 20], (m, 1))
        found = near + random.normal(0, random.choice([1, 4, 15]), (m, 4))
        found[:, 2:] = np.maximum(found[:, 2:], 2)
        scores = random.permutation(1000)[:m] / 1000 + len(pictures) / 1e5
        pictures.append(scored(boxes.tolist(), (random.random(n) < 0.3).tolist(), found.tolist(), scores.tolist()))
    assert ap(*pictures, least_px=least_px) == pytest.approx(brute_force(pictures, least_px), abs=1e-9)


def test_best_threshold() -> None:
    judged = Judged(np.array([0.9, 0.8, 0.6, 0.3]), np.array([True, False, True, False]), 2)
    assert best_threshold(judged) == pytest.approx((0.6, 1.0, 2 / 3))
    assert best_threshold(Judged(np.array([0.9]), np.array([False]), 2)) == (0.5, 0, 0)


def test_faces_beyond_the_band_count_neither_way() -> None:
    picture = scored([FACE, [200, 200, 90, 90]], [0, 0], [[200, 200, 90, 90], [300, 10, 80, 80], FACE], [0.9, 0.8, 0.7])
    band = judge([picture], least_px=12, below_px=80)
    assert band.faces == 1 and band.correct.tolist() == [True]
    assert judge([picture], least_px=40, below_px=91).correct.tolist() == [True, False, True]


def test_bootstrap_of_found_and_missed_faces_is_binomial() -> None:
    count = 60
    pictures = [scored([FACE], [0], [FACE] * (i % 3 > 0), [0.9] * (i % 3 > 0)) for i in range(count)]
    drawn = np.random.default_rng(1).binomial(count, 2 / 3, 100_000) / count
    low, high = bootstrap_interval(pictures, least_px=12, rounds=4000)
    np.testing.assert_allclose([low, high], np.quantile(drawn, [0.025, 0.975]), atol=1.5 / count)
    narrow = bootstrap_interval(pictures, least_px=12, share=0.5, rounds=4000)
    np.testing.assert_allclose(narrow, np.quantile(drawn, [0.25, 0.75]), atol=1.5 / count)


def test_bootstrap_of_equal_pictures_has_no_width() -> None:
    picture = scored([FACE, OTHER], [0, 0], [NOWHERE, FACE, OTHER], [0.9, 0.8, 0.7])
    one = ap(*[picture] * 7)
    np.testing.assert_allclose(bootstrap_interval([picture] * 7, least_px=12, rounds=50), [one, one])
    empty = scored([], [], [], [])
    assert bootstrap_interval([empty] * 3, least_px=12, rounds=5) == (0, 0)
