from __future__ import annotations

import cv2
import numpy as np
import pytest
from edgebnn_face.picture import annotated, encoded, plain
from edgebnn_face.pipeline import Result

from edgebnn.camera.frame import Frame
from edgebnn.runtime.detections import Detections
from edgebnn.runtime.model import Model
from edgebnn.runtime.tracker import Tracks
from edgebnn.samples import annotation, photograph

BOX = np.array(annotation()["box"], np.float32)


def result(image: np.ndarray, found: list[np.ndarray], tracked: list[np.ndarray], *, seen: bool = True) -> Result:
    n, m = len(found), len(tracked)
    detections = Detections(
        np.array(found, np.float32).reshape(-1, 4), np.full(n, 0.9, np.float32), np.zeros(n, np.int64)
    )
    tracks = Tracks(
        np.arange(1, m + 1),
        np.array(tracked, np.float32).reshape(-1, 4),
        np.full(m, 0.9, np.float32),
        np.full(m, seen),
        np.ones(m),
    )
    return Result(1, Frame(image, 0, 0), detections, tracks, (), m, True, 1.0, 1.0)


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    """Head and shoulders."""
    return cv2.cvtColor(cv2.imread(str(photograph())), cv2.COLOR_BGR2RGB)[:330, :400]


def found_there(model: Model, picture: np.ndarray) -> bool:
    """Whether the model finds the face, with an IoU above 0.4."""
    boxes = model.detect(picture).boxes * 400 / picture.shape[1]
    shared = np.minimum(boxes[:, :2] + boxes[:, 2:], BOX[:2] + BOX[2:]) - np.maximum(boxes[:, :2], BOX[:2])
    overlap = np.clip(shared, 0, None).prod(axis=1)
    return bool((overlap / (boxes[:, 2:].prod(axis=1) + BOX[2:].prod() - overlap) > 0.4).any())


@pytest.mark.parametrize("tracked", [True, False])
def test_a_blurred_face_is_found_no_more(astronaut: np.ndarray, tracked: bool) -> None:
    model = Model("face")
    assert found_there(model, astronaut)
    # A face that does not count (too small, outside of the region) is no track; one hidden for a moment no detection.
    shown = result(astronaut, [] if tracked else [BOX], [BOX] if tracked else [], seen=False)
    for width in (400, 250):
        blurred = plain(shown, width=width, blur=True)
        assert not found_there(model, blurred)
    x, y, w, h = BOX.astype(int)
    blurred = plain(shown, width=400, blur=True)
    detail = cv2.Laplacian(blurred[y : y + h, x : x + w], cv2.CV_32F).std()
    assert detail < 0.15 * cv2.Laplacian(astronaut[y : y + h, x : x + w], cv2.CV_32F).std()
    assert (blurred[-90:] == astronaut[-90:]).all()


def test_the_frame_itself_is_never_changed(astronaut: np.ndarray) -> None:
    before = astronaut.copy()
    shown = result(astronaut, [BOX], [BOX])
    for width in (4096, 400, 100):
        annotated(shown, width=width, blur=True)
        assert plain(shown, width=width, blur=True) is not astronaut
    assert (astronaut == before).all()


@pytest.mark.parametrize("width", [160, 320, 640, 1920])
def test_boxes_and_ids_lie_where_the_tracks_are(width: int) -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    picture = annotated(result(image, [], [np.array([160, 120, 80, 96])]), width=width, blur=False)
    scale = min(width, 640) / 640
    assert picture.shape == (round(480 * scale), min(width, 640), 3)
    bright = picture.max(axis=2) > 80
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    assert abs(columns[0] - 160 * scale) <= 3 and abs(columns[-1] - 240 * scale) <= 3
    assert abs(rows[-1] - 216 * scale) <= 3 and rows[0] < 118 * scale  # the label is above
    assert not bright[int(160 * scale) : int(180 * scale), int(180 * scale) : int(220 * scale)].any()


def test_every_id_has_a_colour_and_labels_stay_inside() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    for x, y in ((-20, -20), (90, 90), (0, 0), (50, -5), (-500, 900)):
        annotated(result(image, [np.array([x, y, 40, 40])], [np.array([x, y, 40, 40])] * 9), width=100, blur=True)
    assert not annotated(result(image, [], []), width=100, blur=True).any()


def test_hidden_tracks_have_no_id() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    box = np.array([160, 120, 80, 96])
    seen = annotated(result(image, [], [box]), width=640, blur=False)
    hidden = annotated(result(image, [], [box], seen=False), width=640, blur=False)
    assert 0 < np.count_nonzero(hidden) < np.count_nonzero(seen)
    assert not hidden[:115].any()


def test_encoded_is_a_jpeg_with_the_colours_of_the_picture() -> None:
    data = encoded(np.full((32, 48, 3), (200, 50, 20), np.uint8), quality=90)
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert data[:3] == b"\xff\xd8\xff" and decoded.shape == (32, 48, 3)
    np.testing.assert_allclose(decoded.reshape(-1, 3).mean(axis=0), [20, 50, 200], atol=4)
