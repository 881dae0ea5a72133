import json
from pathlib import Path

import numpy as np
import pytest

from edgebnn.errors import DataError
from edgebnn.evaluation.annotations import read_annotations


def write_lines(folder: Path, *lines: object) -> Path:
    text = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "annotations.jsonl").write_text("\n".join(text) + "\n", encoding="utf-8")
    return folder


def write_wider(folder: Path, text: str, split: str = "train") -> Path:
    (folder / "wider_face_split").mkdir(exist_ok=True)
    (folder / "wider_face_split" / f"wider_face_{split}_bbx_gt.txt").write_text(text, encoding="utf-8")
    return folder


def test_json_lines_are_split_and_typed(tmp_path: Path) -> None:
    write_lines(
        tmp_path,
        {"file": "a.jpg", "split": "train", "boxes": [[1, 2, 3.5, 4], [5, 6, 7, 8]], "ignore": [0, 1], "source": "s"},
        {"file": "b.jpg", "split": "val", "boxes": []},
        {"file": "c.jpg", "boxes": [[1, 1, 2, 2]]},
        "",
    )
    train = read_annotations(tmp_path, split="train")
    assert [p.file for p in train.pictures] == [tmp_path / "a.jpg", tmp_path / "c.jpg"]
    first = train.pictures[0]
    np.testing.assert_array_equal(first.boxes, np.array([[1, 2, 3.5, 4], [5, 6, 7, 8]], np.float32))
    np.testing.assert_array_equal(first.ignore, [False, True])
    assert (first.boxes.dtype, first.ignore.dtype, first.source) == (np.float32, np.bool_, "s")
    assert not train.problems
    assert read_annotations(tmp_path, split="val").pictures[0].boxes.shape == (0, 4)
    assert read_annotations(tmp_path, split="test").pictures == []


@pytest.mark.parametrize(
    "box", [[1, 2, 3], [1, 2, 3, 4, 5], ["x", 1, 2, 3], [None, 1, 2, 3], [1, 2, "nan", 4], [1, 2, 1e300, 4], "1234", 7,
            [1, 2, 0, 4], [1, 2, 3, -4], [100, 2, 3, 4], [1, 80, 3, 4], [-9, 1, 3, 4], [[1], 2, 3, 4], [True, 1, 2, 3]]
)  # fmt: skip
def test_bad_boxes_are_skipped_and_counted(tmp_path: Path, box: object) -> None:
    write_lines(tmp_path, {"file": "a.jpg", "width": 100, "height": 80, "boxes": [box, [1, 2, 3, 4]], "ignore": [1, 0]})
    found = read_annotations(tmp_path, split="train")
    np.testing.assert_array_equal(found.pictures[0].boxes, [[1, 2, 3, 4]])
    np.testing.assert_array_equal(found.pictures[0].ignore, [False])
    assert len(found.problems) == 1 and "annotations.jsonl:1" in found.problems[0]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "3", "null", '"x"', "{}", '{"file": 3}', '{"file": ""}', '{"file": "x", "boxes": 3}', "\x00\x01",
     '{"file": "x", "boxes": {}}', '{"file": "x", "boxes": [[1,1,1,1]], "ignore": [1, 0]}',
     '{"file": "x", "boxes": [[1,1,1,1]], "ignore": 1}', "[" * 100_000]
)  # fmt: skip
def test_bad_lines_are_skipped_and_counted(tmp_path: Path, line: str) -> None:
    write_lines(tmp_path, line, {"file": "good.jpg"})
    found = read_annotations(tmp_path, split="train")
    assert [p.file.name for p in found.pictures] == ["good.jpg"]
    assert len(found.problems) == 1 and "annotations.jsonl:1" in found.problems[0]


def test_lines_that_are_not_utf8_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "annotations.jsonl").write_bytes(b'{"file": "\xff"}\n{"file": "good.jpg"}\n')
    found = read_annotations(tmp_path, split="train")
    assert [p.file.name for p in found.pictures] == ["good.jpg"]
    assert len(found.problems) == 1


def test_wider_face(tmp_path: Path) -> None:
    write_wider(
        tmp_path,
        "0--Parade/0_Parade_1.jpg\n2\n449 330 122 149 0 0 0 0 0 0\n10 20 7 7 2 0 0 0 0 0\n"
        "0--Parade/none.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n"
        "0--Parade/bad.jpg\n3\n1 2 30 40 0 0 0 1 0 0\n1 2 0 40 0 0 0 0 0 0\n5 6 70 80 0 0 0 0 0 0\n",
    )
    found = read_annotations(tmp_path, split="train")
    assert [p.file for p in found.pictures] == [
        tmp_path / "WIDER_train" / "images" / "0--Parade" / name for name in ("0_Parade_1.jpg", "none.jpg", "bad.jpg")
    ]
    np.testing.assert_array_equal(found.pictures[0].boxes, [[449, 330, 122, 149], [10, 20, 7, 7]])
    np.testing.assert_array_equal(found.pictures[0].ignore, [False, True])  # a side below 8 px
    assert len(found.pictures[1].boxes) == 0
    np.testing.assert_array_equal(found.pictures[2].boxes, [[1, 2, 30, 40], [5, 6, 70, 80]])
    np.testing.assert_array_equal(found.pictures[2].ignore, [True, False])  # "invalid"
    assert len(found.problems) == 1 and "no extent" in found.problems[0]
    assert found.pictures[0].source == "wider_train"


def test_damaged_wider_face_loses_only_the_damaged_pictures(tmp_path: Path) -> None:
    write_wider(
        tmp_path,
        "a/1.jpg\nnonsense\n"
        "a/2.jpg\n1\n1 2 30 x 0 0 0 0 0 0\n"
        "a/3.jpg\n1\n1 2 30 40\n"
        "a/4.jpg\n5\n1 2 30 40 0 0 0 0 0 0\n",
    )
    found = read_annotations(tmp_path, split="train")
    assert [(p.file.name, len(p.boxes)) for p in found.pictures] == [("2.jpg", 0), ("3.jpg", 1)]
    assert len(found.problems) == 4


def test_wider_face_has_no_test_boxes(tmp_path: Path) -> None:
    write_wider(tmp_path, "")
    with pytest.raises(DataError, match="val"):
        read_annotations(tmp_path, split="test")
    with pytest.raises(DataError, match="wider_face_val_bbx_gt"):
        read_annotations(tmp_path, split="val")


def test_unknown_folders_and_splits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"annotations\.jsonl"):
        read_annotations(tmp_path, split="train")
    with pytest.raises(DataError, match="'dev'"):
        read_annotations(tmp_path, split="dev")
