from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebnn.data.composites import write_composites
from edgebnn.data.crops import Crops, Cutter, Sides
from edgebnn.data.pictures import Labelled, Pictures, read_rgb

PLAIN = {"colour": 0, "grey": 0, "blur": 0, "least_visible": 0, "least_side": 0}


def make(
    folder: Path, faces: list[list[float]], *, name: str = "a", ignore: list[bool] | None = None, oval: bool = False
) -> Labelled:
    """A grey picture of 200x160 in which each face is a red rectangle or ellipse."""
    picture = np.full((160, 200, 3), 90, np.uint8)
    across, down = np.meshgrid(np.arange(200) + 0.5, np.arange(160) + 0.5)
    for x, y, w, h in faces:
        from_middle = abs(across - x - w / 2) / w * 2, abs(down - y - h / 2) / h * 2
        picture[np.hypot(*from_middle) < 1 if oval else np.maximum(*from_middle) < 1] = (0, 0, 255)  # BGR
    cv2.imwrite(str(folder / f"{name}.png"), picture)
    boxes = np.array(faces, np.float32).reshape(-1, 4)
    return Labelled(folder / f"{name}.png", boxes, np.array(ignore or [False] * len(faces), bool))


def cutter(labelled: list[Labelled], **how: object) -> Cutter:
    return Cutter(Pictures(labelled, cache_mb=10), Crops.model_validate(PLAIN | how))


@pytest.mark.parametrize(
    "how",
    [
        {"mosaic": 0},
        {"mosaic": 1},
        {"mosaic": 0, "anywhere": 1, "negatives": 0},
        {"mosaic": 0, "tilted": 1, "most_tilt": 60},
        {"mosaic": 1, "tilted": 1, "most_tilt": 30},
    ],
)
def test_boxes_lie_where_the_faces_are(tmp_path: Path, how: dict[str, float]) -> None:
    source = cutter([make(tmp_path, [[60, 40, 40, 64]], oval="tilted" in how)], **how)
    seen = 0
    for seed in range(60):
        image, boxes, mask = source.cut(np.random.default_rng(seed), 128, Sides(smallest=16, largest=120))
        assert image.shape == (128, 128, 3) and image.dtype == np.uint8 and len(boxes) == len(mask)
        assert (boxes >= 0).all() and (boxes <= 128).all()
        red = (image[..., 0].astype(int) - image[..., 1] > 80).astype(np.uint8)
        cells = [(0, 0, 128)] if how["mosaic"] == 0 else [(x, y, 64) for y in (0, 64) for x in (0, 64)]
        for x, y, side in cells:
            part = red[y : y + side, x : x + side]
            own = [b for b in boxes if x <= b[0] < x + side and y <= b[1] < y + side]
            # An ellipse that is cut off does not reach as far as its box.
            cut_off = part[[0, -1]].any() or part[:, [0, -1]].any()
            if part.sum() > 30 and not ("tilted" in how and cut_off):
                left, top, width, height = cv2.boundingRect(part)
                assert len(own) == 1
                np.testing.assert_allclose(own[0] - [x, y, x, y], [left, top, left + width, top + height], atol=2.0)
                seen += 1
    assert seen > 20


def test_faces_are_brought_to_the_sides_asked_for(tmp_path: Path) -> None:
    source = cutter([make(tmp_path, [[60, 40, 48, 60]])], mosaic=0, anywhere=0, aspect=0)
    sides = []
    for seed in range(100):
        _, boxes, _ = source.cut(np.random.default_rng(seed), 128, Sides(smallest=30, largest=60))
        sides.append((boxes[:, 2:] - boxes[:, :2]).max())
    assert min(sides) > 28 and max(sides) < 62 and np.std(sides) > 5


def test_tilted_faces_stand_where_they_would_upright_and_no_corner_is_empty(tmp_path: Path) -> None:
    labelled = [make(tmp_path, [[80, 60, 30, 30]], oval=True)]
    upright, tilted = (cutter(labelled, mosaic=0, anywhere=0, negatives=0, aspect=0, flip=0, tilted=t) for t in (0, 1))
    for source in (upright, tilted):
        for seed in range(40):
            image, (box,), _ = source.cut(np.random.default_rng(seed), 64, Sides(smallest=40, largest=40))
            assert box[2] - box[0] == pytest.approx(40, abs=5) and box[3] - box[1] == pytest.approx(40, abs=5)
            assert (image[[0, 0, -1, -1], [0, -1, 0, -1]] != source.how.pad).any(axis=1).all()


def test_small_cut_and_ignored_faces_are_masked(tmp_path: Path) -> None:
    labelled = [make(tmp_path, [[60, 40, 60, 60], [150, 60, 30, 30]], ignore=[False, True])]
    source = cutter(labelled, mosaic=0, anywhere=1, negatives=0, least_visible=0.9, least_side=20)
    kinds = set()
    for seed in range(200):
        _, boxes, mask = source.cut(np.random.default_rng(seed), 128, Sides())
        for box, masked in zip(boxes, mask, strict=True):
            width, height = box[2:] - box[:2]
            if max(width, height) < 19.9:
                assert masked
                kinds.add("small")
            elif not masked:
                assert (box[:2] > -1).all()
                kinds.add("whole")
            elif (box[:2] <= 0).any() or (box[2:] >= 128).any():
                kinds.add("cut")
    assert kinds == {"small", "whole", "cut"}


def test_a_crop_is_a_function_of_its_seed(tmp_path: Path) -> None:
    labelled = [make(tmp_path, [[60, 40, 48, 60]]), make(tmp_path, [], name="b")]
    source = Cutter(Pictures(labelled, cache_mb=10), Crops())
    for seed in range(20):
        one = source.cut(np.random.default_rng(seed), 96, Sides())
        two = source.cut(np.random.default_rng(seed), 96, Sides())
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)


def test_pictures_are_not_written_to(tmp_path: Path) -> None:
    pictures = Pictures([make(tmp_path, [[60, 40, 48, 60]])], cache_mb=10)
    before = pictures.image(0).copy()
    source = Cutter(pictures, Crops(colour=1, grey=1, blur=1))
    for seed in range(20):
        source.cut(np.random.default_rng(seed), 64, Sides())
    np.testing.assert_array_equal(pictures.image(0), before)


@pytest.mark.parametrize("faces", [[], [[60, 40, 48, 60]]])
def test_one_kind_of_picture_is_enough(tmp_path: Path, faces: list[list[float]]) -> None:
    source = Cutter(Pictures([make(tmp_path, faces)], cache_mb=10), Crops())
    for seed in range(20):
        assert source.cut(np.random.default_rng(seed), 64, Sides())[0].shape == (64, 64, 3)


def test_weights_say_how_often_a_source_is_taken(tmp_path: Path) -> None:
    often = make(tmp_path, [[60, 40, 48, 60]])
    never = Labelled(make(tmp_path, [[10, 10, 20, 20]], name="b").file, often.boxes, often.ignore, "rare")
    source = cutter([often, never], weights={"rare": 0}, anywhere=0, negatives=0)
    assert {
        int(source.with_faces[np.searchsorted(source._chance, x, side="right")]) for x in np.linspace(0, 0.999, 50)
    } == {0}


def test_composites_say_where_the_face_is(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    photograph = cv2.resize(random.integers(0, 255, (32, 32, 3), np.uint8), (256, 256))
    box = [90, 60, 60, 80]
    made = write_composites(tmp_path, photograph, box, count=16, seed=3)
    assert sum(not len(one.boxes) for one in made) == 2
    face = photograph[60:140, 90:150].astype(float)
    for one in made:
        picture = read_rgb(one.file)
        assert picture is not None and picture.shape == (320, 320, 3)
        for x, y, w, h in one.boxes.tolist():
            assert x >= 0 and y >= 0 and x + w <= 320 and y + h <= 320
            piece = picture[round(y) : round(y + h), round(x) : round(x + w)]
            assert np.abs(cv2.resize(piece, (60, 80)) - face).mean() < 30  # unrelated pixels differ by 60 and more
