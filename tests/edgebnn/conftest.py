from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.edgebnn import small_networks


@pytest.fixture(scope="session")
def detector_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of bright squares with its card."""
    path = tmp_path_factory.mktemp("model") / "squares.tflite"
    path.write_bytes(small_networks.detector())
    return path


@pytest.fixture(scope="session")
def square() -> np.ndarray:
    """A black RGB picture of 192x128 with a red-white square at x 48..95, y 24..71."""
    picture = np.zeros((128, 192, 3), np.uint8)
    picture[24:72, 48:96] = (255, 240, 240)
    return picture


@pytest.fixture
def pictures(tmp_path: Path, square: np.ndarray) -> Path:
    """A folder: a.jpg, sub/b.png, hidden and foreign files, and broken.jpg."""
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    bgr = cv2.cvtColor(square, cv2.COLOR_RGB2BGR)
    for name in ("a.jpg", "sub/b.png", ".hidden/c.png", ".d.png"):
        cv2.imwrite(str(folder / name), bgr)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (folder / "notes.txt").write_text("not a picture")
    return folder
