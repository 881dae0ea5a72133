from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebnn.errors import DataError
from edgebnn.evaluation.annotations import AnnotatedPicture
from edgebnn.evaluation.average_precision import Scored
from edgebnn.evaluation.failures import COLUMNS, FALSE, FOUND, MISSED, TILE, draw_failures

FACE, OTHER, NOWHERE = [10, 10, 60, 60], [140, 10, 60, 60], [100, 150, 60, 60]


def case(folder: Path, name: str, boxes: list, found: list, scores: list) -> tuple[Scored, AnnotatedPicture]:
    cv2.imwrite(str(folder / name), np.zeros((TILE, TILE, 3), np.uint8))
    truth = np.array(boxes, np.float32).reshape(-1, 4)
    ignore = np.zeros(len(boxes), np.bool_)
    one = Scored(truth, ignore, np.array(found, np.float32).reshape(-1, 4), np.array(scores, np.float32))
    return one, AnnotatedPicture(folder / name, truth, ignore, "any")


def colours(tile: np.ndarray) -> set[tuple[int, ...]]:
    return set(map(tuple, tile.reshape(-1, 3).tolist())) - {(0, 0, 0)}


def test_worst_pictures_first_and_faultless_ones_left_out(tmp_path: Path) -> None:
    cases = [
        case(tmp_path, "good.png", [FACE], [FACE, NOWHERE], [0.9, 0.1]),
        case(tmp_path, "missed.png", [FACE, OTHER], [FACE], [0.9]),
        case(tmp_path, "worst.png", [FACE], [OTHER, NOWHERE], [0.9, 0.8]),
    ]
    scored, pictures = [one for one, _ in cases], [picture for _, picture in cases]
    draw_failures(tmp_path / "sheet.png", scored, pictures, min_score=0.5)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (TILE, TILE * COLUMNS, 3)
    assert colours(sheet[:, :TILE]) == {MISSED, FALSE}
    assert colours(sheet[:, TILE : 2 * TILE]) == {FOUND, MISSED}
    assert not colours(sheet[:, 2 * TILE :])


def test_no_failures_make_an_empty_sheet(tmp_path: Path) -> None:
    one, picture = case(tmp_path, "good.png", [FACE], [FACE], [0.9])
    draw_failures(tmp_path / "sheet.png", [one], [picture], min_score=0.5)
    assert not colours(cv2.imread(str(tmp_path / "sheet.png")))


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    one, picture = case(tmp_path, "good.png", [FACE], [], [])
    with pytest.raises(DataError, match="sheet"):
        draw_failures(tmp_path / "missing" / "sheet.png", [one], [picture], min_score=0.5)
