"""Times import and first detection, then imports every module that a device may need: without test tools.

python tests/pi/import_everything.py
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pkgutil import walk_packages

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
    "edgebnn.command",
    "edgebnn.config",
    "edgebnn.delegate.loader",
    "edgebnn.detect",
    "edgebnn.evaluation.evaluate",
    "edgebnn.inspection.report",
    "edgebnn.runtime.model",
    "edgebnn.samples",
)

# The services: all of them with the extra [service], else what a configuration is checked with.
SERVICES = ("edgebnn.service", "edgebnn.camera", "edgebnn_alarm", "edgebnn_face", "edgebnn_sleep")
WITHOUT_EXTRA = (
    "edgebnn.service.board",
    "edgebnn.service.command",
    "edgebnn.service.default_file",
    "edgebnn.service.live",
    "edgebnn.service.log",
    "edgebnn.service.mqtt",
    "edgebnn.service.notify",
    "edgebnn.service.web_settings",
)

for module in MODULES:
    import_module(module)
if find_spec("starlette"):
    for name in SERVICES:
        package = import_module(name)
        for found in walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                import_module(found.name)
else:
    for module in WITHOUT_EXTRA:
        import_module(module)
    from edgebnn.errors import MissingExtraError

    try:
        import_module("edgebnn.service.web")
    except MissingExtraError as error:
        print(f"without the extra [service]: {error}")
    else:
        raise AssertionError("edgebnn.service.web was imported without starlette")
assert "tensorflow" not in sys.modules
print(f"edgebnn {edgebnn.__version__} on Python {sys.version.split()[0]}: {len(faces)} faces in a black frame")
print(f"import, load and first detection: {start_ms:.0f} ms, {1e3 * time.process_time():.0f} ms CPU with all imports")
print("1 passed, 0 failed")
