"""A photograph with a known face for the demo, smoke runs and the synthetic camera; README.md names its source."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any


def photograph() -> Path:
    """The bundled photograph."""
    return Path(str(files("edgebnn.samples") / "astronaut.jpg"))


def annotation() -> dict[str, Any]:
    """What is on it: {"file": ..., "width": W, "height": H, "box": [x, y, width, height]}."""
    annotation: dict[str, Any] = json.loads((files("edgebnn.samples") / "astronaut.json").read_text())
    return annotation
