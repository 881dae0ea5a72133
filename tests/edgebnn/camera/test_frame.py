from __future__ import annotations

import numpy as np
import pytest

from edgebnn.camera.frame import Frame, fault


def test_a_frame_without_a_small_picture_is_its_own() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    frame = Frame(image, 7, 1)
    assert frame.image is image and frame.small is image and (frame.width, frame.height) == (6, 4)
    assert (frame.timestamp_ns, frame.sequence) == (7, 1)


def test_the_large_picture_is_fetched_when_it_is_asked_for() -> None:
    asked = []

    def fetch() -> np.ndarray:
        asked.append(1)
        return np.zeros((40, 60, 3), np.uint8)

    frame = Frame(fetch, 0, 3, small=np.ones((4, 6, 3), np.uint8), size=(60, 40)).numbered(9)
    assert frame.sequence == 9 and frame.small.shape == (4, 6, 3) and (frame.width, frame.height) == (60, 40)
    assert not asked
    assert frame.image.shape == (40, 60, 3) and asked == [1]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((1, 1, 3), np.uint8), None),
        (np.zeros((0, 0, 3), np.uint8), "empty"),
        (np.zeros((4, 0, 3), np.uint8), "empty"),
        (np.zeros((4, 4, 3), np.float32), "dtype"),
        (np.zeros((4, 4, 3), np.int8), "dtype"),
        (np.zeros((4, 4), np.uint8), "shape"),
        (np.zeros((4, 4, 4), np.uint8), "shape"),
        (None, "shape"),
    ],
)
def test_faults(image: object, reason: str | None) -> None:
    assert fault(image) == reason
