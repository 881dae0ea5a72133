"""Times import and first detection, then imports every module that a device may need: without test tools.

python tests/pi/import_everything.py
"""

from __future__ import annotations

import sys
import time
from importlib import import_module

started = time.perf_counter()
edgebnn = import_module("edgebnn")
numpy = import_module("numpy")
faces = edgebnn.Model("face").detect(numpy.zeros((120, 160, 3), numpy.uint8))
start_ms = 1e3 * (time.perf_counter() - started)

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
print(f"edgebnn {edgebnn.__version__} on Python {sys.version.split()[0]}: {len(faces)} faces in a black frame")
print(f"import, load and first detection: {start_ms:.0f} ms, {1e3 * time.process_time():.0f} ms CPU with all imports")
print("1 passed, 0 failed")
