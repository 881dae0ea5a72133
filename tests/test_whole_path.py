"""The main job as a user does it, by commands: train, convert, verify, inspect, detect, evaluate."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    find_spec("larq_compute_engine") is None, reason="Larq Compute Engine does not install on this Python or machine"
)


def edgebnn(*arguments: str | Path, folder: Path) -> str:
    command = [sys.executable, "-m", "edgebnn", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_train_convert_verify_inspect_detect_evaluate(tmp_path: Path) -> None:
    photograph = Path(str(files("edgebnn.samples") / "astronaut.jpg"))
    edgebnn("train", "face", "--smoke", folder=tmp_path)
    checkpoint, model = tmp_path / "runs/face-smoke/best.keras", tmp_path / "face.tflite"
    edgebnn("convert", checkpoint, "-o", model, folder=tmp_path)
    edgebnn("verify", model, "--checkpoint", checkpoint, folder=tmp_path)

    table = json.loads(edgebnn("inspect", model, "--json", folder=tmp_path))
    assert table["totals"]["binary_share"] > 0.8

    line = json.loads(edgebnn("detect", "--json", "--model", model, photograph, folder=tmp_path))
    assert set(line) == {"file", "frame", "width", "height", "faces", "latency_ms"}
    assert set(line["latency_ms"]) == {"preprocess", "inference", "decode"}

    data = tmp_path / "data"
    data.mkdir()
    (data / "astronaut.jpg").write_bytes(photograph.read_bytes())
    known = json.loads((files("edgebnn.samples") / "astronaut.json").read_text())
    record = {**known, "boxes": [known["box"]], "ignore": [0], "source": "sample", "split": "test"}
    del record["box"]
    (data / "annotations.jsonl").write_text(json.dumps(record) + "\n")
    scores = json.loads(edgebnn("evaluate", model, "--data", data, "--json", folder=tmp_path))
    assert scores["pictures"] == 1 and scores["faces"]["all"]["24"] == 1
    assert 0 <= scores["ap50"]["all"]["24"] <= 1
