from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebnn.data.examples import Examples, batch_at, read_digits, read_folders
from edgebnn.errors import DataError

SIZE = {"width": 16, "height": 8, "channels": 3, "pad": 114, "memory_mb": 1}


def write(file: Path, grey: int, *, shape: tuple[int, int] = (8, 16)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.full((*shape, 3), grey, np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(30):
        write(tmp_path / "cat" / f"{index}.png", 10 + index)
        write(tmp_path / "dog" / "deeper" / f"{index}.png", 110 + index)
    (tmp_path / "dog" / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def test_a_folder_is_a_class(folder: Path) -> None:
    found = read_folders([folder], **SIZE)
    assert found.classes == ("cat", "dog")
    assert len(found.train) + len(found.val) == 60 and 2 <= len(found.val) <= 14 and len(found.test) == 0
    for part in (found.train, found.val):
        assert part.images.shape[1:] == (8, 16, 3) and part.images.dtype == np.uint8
        np.testing.assert_array_equal(part.labels, part.images[:, 0, 0, 0] >= 110)
    again = read_folders([folder], **SIZE)
    np.testing.assert_array_equal(again.train.images, found.train.images)


def test_splits_may_be_folders(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    top = tmp_path_factory.mktemp("splits")
    for split, count in (("train", 4), ("val", 2), ("test", 1)):
        for number, name in enumerate(("a", "b")):
            for index in range(count):
                write(top / split / name / f"{index}.jpg", 50 + 100 * number)
    found = read_folders([top], **SIZE)
    assert [len(part) for part in (found.train, found.val, found.test)] == [8, 4, 2]
    both = read_folders([top, folder], **SIZE)
    assert both.classes == ("a", "b", "cat", "dog")


def test_pictures_are_letterboxed_and_may_be_grey(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for index in range(12):
            write(tmp_path / name / f"{index}.png", 200, shape=(20, 20))
    found = read_folders([tmp_path], **(SIZE | {"channels": 1}))
    assert found.train.images.shape[1:] == (8, 16, 1)
    np.testing.assert_array_equal(found.train.images[0, :, :, 0], [[114] * 4 + [200] * 8 + [114] * 4] * 8)


def test_broken_pictures_are_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "cat" / "broken.png").write_bytes(b"\x89PNG nothing")
    found = read_folders([folder], **SIZE)
    assert len(found.train) + len(found.val) == 60
    assert "broken.png" in capsys.readouterr().err


def test_mistakes_are_one_sentence(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(DataError, match="folder"):
        read_folders([folder / "missing"], **SIZE)
    with pytest.raises(DataError, match="two or more classes"):
        read_folders([folder / "dog"], **SIZE)
    with pytest.raises(DataError, match="memory_mb is 1"):
        read_folders([folder], **(SIZE | {"width": 512, "height": 512}))
    top = tmp_path_factory.mktemp("splits")
    for name in ("train/a", "train/b", "val/c"):
        write(top / name / "0.png", 9)
    with pytest.raises(DataError, match="'c'"):
        read_folders([top], **SIZE)
    (top / "val" / "c").rename(top / "val" / "a")
    (top / "train" / "b" / "0.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="class 'b'"):
        read_folders([top], **SIZE)


def numbered(count: int, side: int = 4) -> Examples:
    images = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, side, side, 1))
    return Examples(np.ascontiguousarray(images), np.arange(count))


def test_an_epoch_takes_every_example_once_in_an_order_of_its_own() -> None:
    examples = numbered(23)
    epochs = [[batch_at(examples, 4 * e + i, size=5, seed=1) for i in range(4)] for e in range(3)]
    orders = [np.concatenate([labels for _, labels in epoch]) for epoch in epochs]
    for epoch, order in zip(epochs, orders, strict=True):
        assert len(set(order.tolist())) == 20
        np.testing.assert_array_equal(np.concatenate([images[:, 0, 0, 0] for images, _ in epoch]), order)
    assert (orders[0] != orders[1]).any() and (orders[1] != orders[2]).any()
    assert (batch_at(examples, 0, size=5, seed=2)[1] != orders[0][:5]).any()


def test_augmentation_moves_and_mirrors() -> None:
    ramp = np.broadcast_to(np.arange(8, dtype=np.uint8)[None, None, :, None], (64, 8, 8, 1))
    examples = Examples(np.ascontiguousarray(ramp), np.zeros(64, np.int64))
    plain, _ = batch_at(examples, 0, size=64, seed=0)
    np.testing.assert_array_equal(plain, ramp)
    flipped, _ = batch_at(examples, 0, size=64, seed=0, flip=True)
    mirrored = (flipped == ramp[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 15 < mirrored.sum() < 49 and ((flipped == ramp).all(axis=(1, 2, 3)) == ~mirrored).all()
    moved, _ = batch_at(examples, 0, size=64, seed=0, shift=2)
    offsets = moved[:, 0, 4, 0].astype(int) - 4
    assert set(offsets) == {-2, -1, 0, 1, 2}
    for one, offset in zip(moved, offsets, strict=True):
        np.testing.assert_array_equal(one[0, :, 0], np.clip(np.arange(8) + offset, 0, 7))


@pytest.mark.skipif(find_spec("sklearn") is None, reason="needs the extra [train]")
def test_the_digits_are_split_without_overlap() -> None:
    digits = read_digits()
    assert digits.classes == tuple("0123456789")
    assert [len(part) for part in (digits.train, digits.val, digits.test)] == [1079, 359, 359]
    assert digits.train.images.shape[1:] == (8, 8, 1) and digits.train.images.max() == 16
    whole = np.concatenate([digits.train.images, digits.val.images, digits.test.images]).reshape(1797, -1)
    from sklearn.datasets import load_digits

    assert sorted(map(bytes, whole)) == sorted(map(bytes, load_digits().data.astype(np.uint8)))
