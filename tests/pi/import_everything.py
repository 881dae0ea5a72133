"""Imports every module that a device may need and runs one network: for interpreters without test tools."""

from __future__ import annotations

import sys
from importlib import import_module

import numpy as np

MODULES = (
    "edgebnn",
    "edgebnn.bits",
    "edgebnn.camera",
    "edgebnn.card",
    "edgebnn.cli",
    "edgebnn.config",
    "edgebnn.delegate.loader",
    "edgebnn.detect",
    "edgebnn.evaluation.evaluate",
    "edgebnn.inspection.report",
    "edgebnn.runtime.model",
    "edgebnn.samples",
)

for module in MODULES:
    import_module(module)
assert "tensorflow" not in sys.modules
edgebnn = import_module("edgebnn")

model = edgebnn.Model("face")
assert model.card is not None
faces = model.detect(np.zeros((120, 160, 3), np.uint8))
print(f"edgebnn {edgebnn.__version__} on Python {sys.version.split()[0]}: {len(faces)} faces in a black frame")
print("1 passed, 0 failed")
