from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
import pytest

from edgebnn.camera.files import Video, read_picture
from edgebnn.camera.record import Names, VideoRecord, write_picture
from edgebnn.errors import EdgebnnError


def test_names_never_collide(tmp_path: Path) -> None:
    source = tmp_path / "out" / "sub" / "b-detected.jpg"
    names = Names(tmp_path / "out", [source])
    taken = [names.take(PurePath(name), ".jpg") for name in ("a.jpg", "a.bmp", "sub/b.jpg", "sub/b.jpg", "x" * 240)]
    assert len(set(taken)) == len(taken) and source not in taken
    assert [path.name for path in taken[:4]] == [
        "a-detected.jpg",
        "a-detected-2.jpg",
        "b-detected-2.jpg",
        "b-detected-3.jpg",
    ]
    for path in taken:
        write_picture(path, np.zeros((4, 4, 3), np.uint8))
    assert sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file()) == sorted(taken)


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(EdgebnnError, match="--save"):
        Names(tmp_path / "out", [])
    names = Names(tmp_path, [])
    with pytest.raises(EdgebnnError, match="cannot write"):
        names.take(PurePath("out/a.jpg"), ".jpg")


def test_pictures_come_back(tmp_path: Path, square: np.ndarray) -> None:
    write_picture(tmp_path / "a.png", square)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), square)
    with pytest.raises(EdgebnnError, match="cannot write"):
        write_picture(tmp_path / "nowhere" / "a.png", square)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("size", [(48, 64), (47, 63)])
def test_videos_come_back(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a.mp4"
    record = VideoRecord(path, fps=12.5)
    for i in range(10):
        record.write(np.full((*size, 3), (20 * i, 0, 0), np.uint8))
    assert not path.exists()
    record.close()
    record.close()
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]
    with Video(path) as source:
        frames = list(source)
    assert len(frames) == 10 and source.fps == pytest.approx(12.5)
    assert frames[9].image.shape == (48, 64, 3) and abs(int(frames[9].image[20, 20, 0]) - 180) < 20


def test_a_record_without_frames_leaves_nothing(tmp_path: Path) -> None:
    VideoRecord(tmp_path / "a.mp4", fps=25).close()
    assert not list(tmp_path.iterdir())


def test_frames_of_another_size(tmp_path: Path) -> None:
    record = VideoRecord(tmp_path / "a.mp4", fps=25)
    record.write(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(EdgebnnError, match="64x48, got 32x32"):
        record.write(np.zeros((32, 32, 3), np.uint8))
    record.close()


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    record = VideoRecord(tmp_path / "nowhere" / "a.mp4", fps=25)
    with pytest.raises(EdgebnnError, match="cannot write the video"):
        record.write(np.zeros((48, 64, 3), np.uint8))
