import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebnn.card import Decode, Level
from edgebnn.evaluation import comparison
from edgebnn.evaluation.annotations import read_annotations
from edgebnn.evaluation.peers import Contender
from edgebnn.runtime.detections import Detections

FACE = [10, 20, 30, 50]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two pictures with a red face, one of them with a small one beside it, and one without a face."""
    lines = []
    for index, (source, boxes) in enumerate([("wider_val", [FACE]), ("maskset", [FACE, [70, 70, 14, 14]]), ("no", [])]):
        picture = np.zeros((100, 120, 3), np.uint8)
        for x, y, w, h in boxes[:1]:
            cv2.rectangle(picture, (x, y), (x + w - 1, y + h - 1), (0, 0, 255), -1)  # BGR
        cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
        lines.append(json.dumps({"file": f"{index}.png", "split": "test", "source": source, "boxes": boxes}))
    (tmp_path / "annotations.jsonl").write_text("\n".join(lines))
    return tmp_path


def finder(name: str, *, bgr: bool = False, calls: list[tuple[str, float]] | None = None) -> Contender:
    """Finds the red face, and always a thing at the right with score 0.3."""

    def detect(image: np.ndarray, min_score: float) -> tuple[np.ndarray, np.ndarray]:
        if calls is not None:
            calls.append((name, min_score))
        found = [(FACE, 0.9)] * bool((image[..., 2 if bgr else 0] > 128).any()) + [([80, 10, 30, 30], 0.3)]
        kept = [one for one in found if one[1] >= min_score]
        return np.array([box for box, _ in kept], np.float32).reshape(-1, 4), np.array([s for _, s in kept], np.float32)

    return Contender(name, 1000, 0.5, detect, bgr=bgr)


def test_every_detector_sees_every_picture_in_its_own_channel_order(data: Path) -> None:
    calls: list[tuple[str, float]] = []
    pictures = read_annotations(data, split="test").pictures
    runs = comparison.run_all([finder("a", calls=calls), finder("b", bgr=True, calls=calls)], pictures, rounds=2)
    for run in runs:
        assert [one.scores.tolist() for one in run.scored] == [
            pytest.approx([0.9, 0.3]),
            pytest.approx([0.9, 0.3]),
            pytest.approx([0.3]),
        ]
        assert len(run.cpu_ms) == 3 * 2 and min(run.cpu_ms) >= 0
    for name in "ab":
        assert calls.count((name, 0.02)) == 3
        assert calls.count((name, 0.5)) == 3 * 2 * 2  # an untimed call before each timed one


def test_figures(data: Path) -> None:
    pictures = read_annotations(data, split="test").pictures
    (run,) = comparison.run_all([finder("a")], pictures, rounds=1)
    row = comparison.summarise(run, pictures)
    assert (row["name"], row["bytes"], row["min_score"]) == ("a", 1000, 0.5)
    assert set(row["groups"]) == {"wider", "mask", "all"}
    assert row["groups"]["mask"]["ap50"] == {"12": 0.5, "24": 1.0, "48": 1.0}
    assert row["groups"]["mask"]["bands"]["12-24"] == {"ap50": 0.0, "faces": 1}
    assert row["groups"]["all"]["bands"]["48-96"] == {"ap50": 1.0, "faces": 2}
    assert row["groups"]["all"]["bands"]["96-inf"] == {"ap50": 0.0, "faces": 0}
    assert row["groups"]["wider"]["interval"] == [1.0, 1.0]
    assert (row["groups"]["all"]["recall"], row["groups"]["all"]["precision"]) == (1.0, 1.0)
    assert row["without_faces"] == {"pictures": 1, "false_alarms": 0}
    assert row["at_scores"]["0.5"] == {"recall": 1.0, "precision": 1.0}
    low = comparison.summarise(comparison.Run(finder("a"), run.scored, [1.0]), pictures)
    assert low == row | {"cpu_ms": 1.0}


def test_ratios_are_to_the_first_peer(data: Path) -> None:
    pictures = read_annotations(data, split="test").pictures
    rows = [
        comparison.summarise(run, pictures)
        for run in comparison.run_all([finder(name) for name in "abc"], pictures, rounds=1)
    ]
    for row, milliseconds in zip(rows, (2.0, 8.0, 4.0), strict=True):
        row["cpu_ms"] = milliseconds
    text = comparison.as_text(rows)
    full = "1.000 | 1.000-1.000"
    for line in (
        "| detector | bytes | wider >= 24 px | 95 % | mask >= 24 px | 95 % | CPU time |",
        f"| a | 1,000 | {full} | {full} | 0.250 (2.00 ms) |",
        f"| b | 1,000 | {full} | {full} | 1.00 (8.00 ms) |",
        f"| c | 1,000 | {full} | {full} | 0.50 (4.00 ms) |",
        "| detector | >= 12 px | >= 48 px | 12-24 | 24-48 | 48-96 | 96 and more | recall | precision |",
        "| a | .500 | 1.000 | .000 | .000 | 1.000 | .000 | 1.00 | 1.00 |",  # in mask
        "| score | .30 | .35 | .40 | .45 | .50 | .60 |",
        "| precision | .40 | 1.00 | 1.00 | 1.00 | 1.00 | 1.00 |",  # the thing at the right has score 0.3
    ):
        assert line in text.splitlines()
    assert "as a share of that of b" in text
    two = comparison.as_text(rows, ours=2)
    for time in ("0.50 (2.00 ms)", "2.00 (8.00 ms)", "1.00 (4.00 ms)"):
        assert time in two
    assert "a: 0 false alarms on 1 pictures without faces, at score 0.5" in text
    for table in text.split("\n\n"):
        assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) <= 1


def test_pictures_of_other_sources(data: Path) -> None:
    pictures = [replace(picture, source="own") for picture in read_annotations(data, split="test").pictures]
    (run,) = comparison.run_all([finder("a")], pictures, rounds=1)
    text = comparison.as_text([comparison.summarise(run, pictures)])
    assert "| detector | bytes | all >= 24 px | 95 % | CPU time |" in text


class Oracle:
    """A packaged model in memory."""

    def __init__(self, path: object) -> None:
        decode = Decode(levels=(Level(output="a", stride=8, scale=1),), min_score=0.4)
        self.card = type("Card", (), {"decode": decode})()

    def detect(self, rgb: np.ndarray, *, min_score: float) -> Detections:
        boxes, scores = finder("").detect(rgb, min_score)
        return Detections(boxes, scores, np.zeros(len(boxes), np.int64))


def test_command(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(comparison, "Model", Oracle)
    monkeypatch.setattr(comparison, "read_model", lambda path: (str(path), b"12345"))
    sheet = data / "sheet.png"
    file = data / "comparison.json"
    arguments = ["face", "--data", str(data), "--rounds", "1", "--json", str(file), "--failures", str(sheet)]
    assert comparison.main([*arguments, "--peers", str(data)]) == 0
    out, err = capsys.readouterr()
    found = json.loads(file.read_text())
    (row,) = found["rows"]
    assert (found["ours"], row["name"], row["bytes"], row["min_score"]) == (1, "face", 5, 0.4)
    assert out.startswith("| detector | bytes | wider") and "| face | 5 |" in out
    assert "there are no peers: expected yunet*.onnx" in err
    assert sheet.is_file()
    assert comparison.main(["face-small", *arguments]) == 0
    assert [row["name"] for row in json.loads(file.read_text())["rows"]] == ["face-small", "face"]
    capsys.readouterr()
    assert comparison.main([*arguments, "--peers", str(data / "missing")]) == 1
    assert comparison.main([*arguments, "--split", "val"]) == 1
    assert "no pictures of split val" in capsys.readouterr().err
    arguments[arguments.index(str(file))] = str(data / "none" / "c.json")
    assert comparison.main(arguments) == 1
    assert "c.json: No such file or directory" in capsys.readouterr().err
