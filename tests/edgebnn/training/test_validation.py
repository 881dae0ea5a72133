from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebnn.card import Preprocess
from edgebnn.data.pictures import Pictures
from edgebnn.training.validation import prepare_all, validate
from tests.edgebnn.data.test_crops import make
from tests.edgebnn.evaluation.test_detector import HOW, empty_maps, write_face

FRAME = Preprocess(width=64, height=96, mean=100, std=50)
TURNS = FRAME.model_copy(update={"turns": True})
FACES = [[[20, 30, 60, 50]], [], [[100, 100, 40, 30]]]


@pytest.mark.parametrize("turns", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 8])
def test_a_network_that_knows_has_ap_1(tmp_path: Path, batch: int, turns: bool) -> None:
    labelled = [make(tmp_path, faces, name=f"{i}") for i, faces in enumerate(FACES)]
    upright = make(tmp_path, [], name="upright")
    cv2.imwrite(str(upright.file), np.full((200, 160, 3), 70, np.uint8))
    prepared = prepare_all(Pictures([upright, *labelled], cache_mb=10), TURNS if turns else FRAME)
    seen = []

    def network(images: np.ndarray) -> dict[str, np.ndarray]:
        maps = [empty_maps(images.shape[2], images.shape[1]) for _ in images]
        for one, image in zip(maps, images, strict=True):
            match = [p for p in prepared if np.array_equal(np.rint(image * 50 + 100).astype(np.uint8), p.picture.image)]
            if not match:  # what fills up the last batch
                continue
            seen.append(len(match))
            for x, y, w, h in match[0].truth.boxes.tolist():
                corners = np.array([x, y, x + w, y + h]) * match[0].picture.scale + np.tile(match[0].picture.shift, 2)
                write_face(one, 8, tuple(corners.tolist()), 2.0)
        assert images.shape[0] == batch and images.dtype == np.float32
        return {name: np.stack([one[name] for one in maps]) for name in maps[0]}

    metrics = validate(network, prepared, FRAME, HOW, batch=batch)
    assert len(seen) == 4
    shapes = [one.picture.image.shape for one in prepared]
    assert shapes == [(96, 64, 3)] + 3 * [(64, 96, 3) if turns else (96, 64, 3)]
    assert (metrics["ap50_12"], metrics["ap50_24"], metrics["ap50_48"]) == pytest.approx((1, 1, 1))
    assert metrics["best_score"] == pytest.approx(1 / (1 + np.exp(-2)))
    assert (metrics["recall"], metrics["precision"]) == (1, 1)


def test_a_network_that_finds_nothing_has_ap_0(tmp_path: Path) -> None:
    prepared = prepare_all(Pictures([make(tmp_path, FACES[0])], cache_mb=10), FRAME)
    nothing = {name: value[None] for name, value in empty_maps().items()}
    metrics = validate(lambda _: nothing, prepared, FRAME, HOW, batch=1)
    assert (metrics["ap50_12"], metrics["best_score"]) == (0, 0.5)
