"""Other people's face detectors, for measurements beside ours; their weights are no part of edgebnn.

yunet*.onnx: OpenCV Zoo, run by OpenCV's FaceDetectorYN at 320x320. version-RFB-320.onnx: UltraFace, 320x240, run by
onnxruntime. Each takes a decoded picture to boxes, its own letterbox and non-maximum suppression included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.errors import DataError
from edgebnn.runtime.detections import nms

Image = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]
ULTRAFACE = "version-RFB-320.onnx"


@dataclass(frozen=True)
class Contender:
    """A detector to measure: `detect(picture, least score)` gives boxes (n, 4) as x, y, width, height and scores (n,).

    Pictures are uint8 (h, w, 3), BGR where `bgr`, else RGB; `min_score` is the least score that its makers use.
    """

    name: str
    size: int
    min_score: float
    detect: Callable[[Image, float], tuple[Array, Array]]
    bgr: bool = False


def load_peers(folder: Path) -> tuple[list[Contender], list[str]]:
    """The peers whose weights lie in `folder`, by name, and a sentence for each that cannot run here."""
    if not folder.is_dir():
        raise DataError(f"expected a folder with the peers' .onnx files, {folder} is none")
    found, left_out = [], []
    for file in sorted(folder.glob("yunet*.onnx")):
        found.append(Contender(_yunet_name(file), file.stat().st_size, 0.6, _yunet(file), bgr=True))
    if (folder / ULTRAFACE).is_file():
        try:
            name = "UltraFace RFB 320x240 (onnxruntime)"
            found.append(Contender(name, (folder / ULTRAFACE).stat().st_size, 0.7, _ultraface(folder / ULTRAFACE)))
        except ModuleNotFoundError:
            left_out.append("UltraFace is left out: onnxruntime is missing, pip install onnxruntime")
    if not found:
        left_out.append(f"there are no peers: expected yunet*.onnx or {ULTRAFACE} in {folder}")
    return found, left_out


def _fit(image: Image, width: int, height: int) -> tuple[Image, float]:
    """`image` scaled into the upper left corner of a black (height, width, 3), and the scale."""
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    canvas = np.zeros((height, width, 3), np.uint8)
    cv2.resize(image, size, dst=canvas[: size[1], : size[0]])
    return canvas, scale


def _yunet_name(file: Path) -> str:
    """`YuNet_n 320x320 (OpenCV)` for yunet_n_320_320.onnx."""
    return f"{file.stem.replace('yunet', 'YuNet').removesuffix('_320_320')} 320x320 (OpenCV)"


def _yunet(file: Path) -> Callable[[Image, float], tuple[Array, Array]]:
    network: Any = cv2.FaceDetectorYN.create(str(file), "", (320, 320), 0.6, 0.3, 5000)

    def detect(image: Image, min_score: float) -> tuple[Array, Array]:
        network.setScoreThreshold(min_score)
        canvas, scale = _fit(image, 320, 320)
        _, rows = network.detect(canvas)
        if rows is None:
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        return rows[:, :4] / np.float32(scale), rows[:, 14]

    return detect


def _ultraface(file: Path) -> Callable[[Image, float], tuple[Array, Array]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    (name,) = [port.name for port in session.get_inputs()]

    def detect(image: Image, min_score: float) -> tuple[Array, Array]:
        canvas, scale = _fit(image, 320, 240)
        tensor = ((canvas.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None]
        scores, boxes = session.run(["scores", "boxes"], {name: np.ascontiguousarray(tensor)})
        good = scores[0, :, 1] >= min_score
        corners = boxes[0, good] * np.array([320, 240, 320, 240], np.float32) / np.float32(scale)
        values = scores[0, good, 1]
        kept = nms(corners, values, iou=0.3, limit=750)
        corners = corners[kept]
        return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1), values[kept]

    return detect
