import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest

from edgebnn.errors import DataError
from edgebnn.evaluation.peers import ULTRAFACE, load_peers


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="folder"):
        load_peers(tmp_path / "missing")
    assert load_peers(tmp_path) == ([], [f"there are no peers: expected yunet*.onnx or {ULTRAFACE} in {tmp_path}"])
    (tmp_path / ULTRAFACE).write_bytes(b"weights")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found, left_out = load_peers(tmp_path)
    assert found == [] and "pip install onnxruntime" in left_out[0]


def test_yunet_letterboxes_and_returns_boxes_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    thresholds: list[float] = []

    def detect(image: np.ndarray) -> tuple[int, np.ndarray | None]:
        seen.append(image.copy())
        row = np.zeros((1, 15), np.float32)
        row[0, :4], row[0, 14] = (16, 32, 48, 64), 0.75
        return (1, row) if image.any() else (0, None)

    network = SimpleNamespace(detect=detect, setScoreThreshold=thresholds.append)
    monkeypatch.setattr(cv2, "FaceDetectorYN", SimpleNamespace(create=lambda *_: network))
    (tmp_path / "yunet_x_320_320.onnx").write_bytes(b"weights")
    (peer,), left_out = load_peers(tmp_path)
    assert (peer.name, peer.size, peer.bgr, left_out) == ("YuNet_x 320x320 (OpenCV)", 7, True, [])
    boxes, scores = peer.detect(np.full((200, 400, 3), 9, np.uint8), 0.3)
    np.testing.assert_allclose(boxes, [[20, 40, 60, 80]])
    assert scores.tolist() == [0.75] and thresholds == [0.3]
    assert seen[0].shape == (320, 320, 3) and seen[0][:160].all() and not seen[0][160:].any()
    boxes, scores = peer.detect(np.zeros((200, 400, 3), np.uint8), 0.3)
    assert boxes.shape == (0, 4) and scores.shape == (0,)


def test_ultraface_decodes_and_suppresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corners = np.array([[0.1, 0.2, 0.3, 0.6], [0.11, 0.2, 0.3, 0.6], [0.5, 0.5, 0.6, 0.7], [0, 0, 1, 1]], np.float32)
    scores = np.array([0.8, 0.9, 0.7, 0.1], np.float32)

    class Session:
        def __init__(self, *_: object, **__: object) -> None: ...

        def get_inputs(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(name="input")]

        def run(self, names: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            assert names == ["scores", "boxes"] and feeds["input"].shape == (1, 3, 240, 320)
            assert feeds["input"].dtype == np.float32 and feeds["input"][0, 0, 0, 0] == 1
            return [np.stack([1 - scores, scores], axis=1)[None], corners[None]]

    module = ModuleType("onnxruntime")
    module.__dict__.update(SessionOptions=SimpleNamespace, InferenceSession=Session)
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    (tmp_path / ULTRAFACE).write_bytes(b"weights")
    (peer,), _ = load_peers(tmp_path)
    boxes, found = peer.detect(np.full((480, 640, 3), 255, np.uint8), 0.5)
    np.testing.assert_allclose(boxes, [[70.4, 96, 121.6, 192], [320, 240, 64, 96]], rtol=1e-5)
    np.testing.assert_allclose(found, [0.9, 0.7])
