import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebnn.cli import main
from edgebnn.errors import DataError
from edgebnn.evaluation import evaluate as module
from edgebnn.runtime.detections import Detections


class Oracle:
    """A model in memory that finds every red rectangle on black."""

    def __init__(self, path: object, *, num_threads: int = 1) -> None:
        self.stage_ms = {"preprocess": 1.0, "inference": 2.0, "decode": 0.5}

    def detect(self, rgb: np.ndarray, *, min_score: float) -> Detections:
        assert min_score == 0.02
        boxes = [cv2.boundingRect(c) for c in cv2.findContours((rgb[..., 0] > 128).astype(np.uint8), 0, 2)[0]]
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.full(len(boxes), 0.9, np.float32),
            np.zeros(len(boxes), np.int64),
        )


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "Model", Oracle)
    lines = []
    for index, source in enumerate(["wider_val", "maskset", "other"]):
        picture = np.zeros((100, 120, 3), np.uint8)
        cv2.rectangle(picture, (10, 20), (39, 69), (0, 0, 255), -1)  # BGR
        cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
        boxes = [[10, 20, 30, 50]] + [[70, 70, 14, 14]] * (source == "maskset")
        lines.append(json.dumps({"file": f"{index}.png", "split": "test", "source": source, "boxes": boxes}))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    lines += ['{"file": "broken.jpg", "split": "test"}', '{"file": "missing.jpg", "split": "test"}', "no json"]
    (tmp_path / "annotations.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_report_by_group_and_size(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_ok(["evaluate", "any.tflite", "--data", str(data), "--json"])
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["ap50"]["wider"] == {"12": 1, "24": 1, "48": 1}
    assert report["ap50"]["mask"] == {"12": 0.5, "24": 1, "48": 1}
    assert report["ap50"]["all"]["12"] == pytest.approx(0.75)
    assert report["faces"]["all"] == {"12": 4, "24": 3, "48": 3}
    assert (report["pictures"], report["unreadable"], report["problems"]) == (3, 2, 1)
    assert report["detect_ms"] == 3.5
    assert "broken.jpg" in err and "missing.jpg" in err


def test_table(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main_ok(["evaluate", "any.tflite", "--data", str(data)])
    out = capsys.readouterr().out
    assert "0.750 (4)" in out and "2 unreadable" in out and "3.50 ms" in out


def test_nothing_to_measure_is_an_error(data: Path) -> None:
    with pytest.raises(DataError, match="split val"):
        module.evaluate(Path("x"), data=data, split="val", threads=1, as_json=True)
    (data / "annotations.jsonl").write_text('{"file": "broken.jpg", "split": "test"}')
    with pytest.raises(DataError, match="none of 1"):
        module.evaluate(Path("x"), data=data, split="test", threads=1, as_json=True)


def main_ok(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
