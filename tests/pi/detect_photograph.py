"""On the device: `edgebnn detect` finds in the bundled photograph what it found on x86_64.

FACES='{"faces": ...}' python tests/pi/detect_photograph.py    FACES is what `edgebnn detect --json` printed there
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files

photograph = str(files("edgebnn.samples") / "astronaut.jpg")
command = [sys.executable, "-m", "edgebnn", "detect", "--json", photograph]
answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
here = [face["box"] for face in answer["faces"]]
there = [face["box"] for face in json.loads(os.environ["FACES"])["faces"]]


def iou(a: list[float], b: list[float]) -> float:
    """Intersection over union of two boxes x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


overlaps = [max((iou(mine, theirs) for mine in here), default=0.0) for theirs in there]
print(f"{len(here)} faces, {len(there)} on x86_64; IoU {', '.join(f'{overlap:.4f}' for overlap in overlaps)}")
same = bool(there) and len(here) == len(there) and min(overlaps) >= 0.95
print("1 passed, 0 failed" if same else "0 passed, 1 failed")
sys.exit(not same)
