import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.data.targets import Range, assign, cell_centres

RANGES = [Range(8, 0, 30), Range(16, 24, 72), Range(32, 56, 10_000)]


def test_centres_by_hand() -> None:
    np.testing.assert_array_equal(
        cell_centres(32, 16, [8]), [[4, 4], [12, 4], [20, 4], [28, 4], [4, 12], [12, 12], [20, 12], [28, 12]]
    )
    assert len(cell_centres(64, 64, [8, 16, 32])) == 64 + 16 + 4


def test_a_crop_without_faces_is_all_negative() -> None:
    target = assign(np.zeros((0, 4), np.float32), np.zeros(0, bool), 64, 64, RANGES)
    assert target.shape == (84, 6)
    assert (target[:, 0] == 0).all() and (target[:, 1] == 1).all()


def test_one_face_by_hand() -> None:
    # 16x16 around (16, 16): the four stride-8 cells around its centre, no other level.
    target = assign(np.array([[8, 8, 24, 24]], np.float32), np.zeros(1, bool), 64, 64, RANGES)
    positive = np.flatnonzero(target[:, 0])
    np.testing.assert_array_equal(cell_centres(64, 64, [8])[positive], [[12, 12], [20, 12], [12, 20], [20, 20]])
    np.testing.assert_array_equal(target[positive, 2:], [[8, 8, 24, 24]] * 4)
    assert (target[:, 1] == 1).all()


def plain(boxes, ignore, width, height, ranges):
    """The same by loops over cells and boxes."""
    rows = []
    for level in ranges:
        for row in range(height // level.stride):
            for column in range(width // level.stride):
                x, y = (column + 0.5) * level.stride, (row + 0.5) * level.stride
                weight, best = 1, None
                for (x1, y1, x2, y2), ignored in zip(boxes.tolist(), ignore, strict=True):
                    inside = x1 < x < x2 and y1 < y < y2
                    near = abs(x - (x1 + x2) / 2) < level.stride and abs(y - (y1 + y2) / 2) < level.stride
                    learnt = level.at_least <= max(x2 - x1, y2 - y1) < level.below and not ignored
                    if (ignored and inside) or (learnt and near and not inside):
                        weight = 0
                    if learnt and near and inside and (best is None or (x2 - x1) * (y2 - y1) < best[0]):
                        best = ((x2 - x1) * (y2 - y1), (x1, y1, x2, y2))
                rows.append((1, 1, *best[1]) if best else (0, weight, 0, 0, 0, 0))
    return np.array(rows, np.float32)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 6))
def test_equals_plain_loops(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    # Quarters of pixels: sums are exact in float32 and float64 alike.
    corner = np.round(random.uniform(-10, 80, (count, 2)) * 4) / 4
    size = np.round(np.exp(random.uniform(1, 4.5, (count, 2))) * 4) / 4
    boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    ignore = random.random(count) < 0.3
    np.testing.assert_array_equal(assign(boxes, ignore, 96, 64, RANGES), plain(boxes, ignore, 96, 64, RANGES))
