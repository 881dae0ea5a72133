from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebnn.data.pictures import Labelled, Pictures, read_rgb
from edgebnn.errors import DataError


def label(file: Path) -> Labelled:
    return Labelled(file, np.zeros((0, 4), np.float32), np.zeros(0, bool))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three pictures, and five files that are none."""
    out = []
    for index in range(3):
        picture = np.random.default_rng(index).integers(0, 255, (20 + index, 30, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
        out.append(tmp_path / f"{index}.png")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(out[0].read_bytes()[:40])
    (tmp_path / "folder.jpg").mkdir()
    return [*out, *(tmp_path / name for name in ("empty.jpg", "text.jpg", "cut.png", "folder.jpg", "missing.jpg"))]


def test_pictures_are_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((4, 5, 3), (0, 0, 255), np.uint8))  # BGR
    image = read_rgb(tmp_path / "red.png")
    assert image is not None
    np.testing.assert_array_equal(image, np.full((4, 5, 3), (255, 0, 0)))


@pytest.mark.parametrize("cache_mb", [0, 100])
def test_unreadable_files_are_skipped_counted_and_reported(
    files: list[Path], cache_mb: int, capfd: pytest.CaptureFixture[str]
) -> None:
    pictures = Pictures([label(file) for file in files[::-1]], cache_mb=cache_mb)
    assert [item.file.name for item in pictures.items] == ["2.png", "1.png", "0.png"]
    assert len(pictures) == 3 and len(pictures.problems) == 5
    for index in range(3):
        np.testing.assert_array_equal(pictures.image(index), read_rgb(pictures.items[index].file))
    err = capfd.readouterr().err
    assert all(file.name in err for file in files[3:])


def test_nothing_readable_is_an_error(files: list[Path]) -> None:
    with pytest.raises(DataError, match="none of 5"):
        Pictures([label(file) for file in files[3:]], cache_mb=1)


def test_a_picture_that_vanishes_later_is_an_error(files: list[Path]) -> None:
    pictures = Pictures([label(files[0])], cache_mb=0)
    files[0].unlink()
    with pytest.raises(DataError, match=r"0\.png"):
        pictures.image(0)


def test_large_pictures_are_shrunk_with_their_boxes(tmp_path: Path) -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[60:180, 80:160] = 255
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    item = Labelled(tmp_path / "a.png", np.array([[80, 60, 80, 120]], np.float32), np.array([True]), "s")
    for cache_mb in (0, 10):
        pictures = Pictures([item], cache_mb=cache_mb, longest_side=200)
        assert pictures.image(0).shape == (150, 200, 3)
        np.testing.assert_array_equal(pictures.items[0].boxes, [[40, 30, 40, 60]])
        assert pictures.items[0].ignore.tolist() == [True] and pictures.items[0].source == "s"
        assert cv2.boundingRect(pictures.image(0)[..., 0]) == (40, 30, 40, 60)
    assert Pictures([item], cache_mb=10, longest_side=400).image(0).shape == (300, 400, 3)


def test_boxes_outside_of_the_picture_are_skipped_and_counted(files: list[Path]) -> None:
    boxes = np.array([[40, 5, 9, 9], [5, 5, 9, 9], [-20, 5, 9, 9], [5, 25, 9, 9]], np.float32)
    pictures = Pictures([Labelled(files[0], boxes, np.array([True, False, True, True]))], cache_mb=1)
    np.testing.assert_array_equal(pictures.items[0].boxes, [[5, 5, 9, 9]])
    np.testing.assert_array_equal(pictures.items[0].ignore, [False])
    assert len(pictures.problems) == 3 and all("0.png" in problem for problem in pictures.problems)
