"""On the device: the best detection in the bundled photograph is the face, where its annotation says it is."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files

samples = files("edgebnn.samples")
known = json.loads((samples / "astronaut.json").read_text())["box"]
command = [sys.executable, "-m", "edgebnn", "detect", "--json", str(samples / "astronaut.jpg")]
answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
faces = [face["box"] for face in answer["faces"]]
print(f"faces {faces}, annotated {known}")


def iou(a: list[float], b: list[float]) -> float:
    """Intersection over union of two boxes x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


found = bool(faces) and iou(faces[0], known) >= 0.5
print("1 passed, 0 failed" if found else "0 passed, 1 failed")
sys.exit(not found)
