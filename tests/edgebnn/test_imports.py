from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import edgebnn

WORKSTATION = ("edgebnn.models", "edgebnn.data", "edgebnn.training", "edgebnn.quantizers", "edgebnn.legacy_keras")

IMPORT_ALL = f"""
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tf_keras", "keras", "larq", "larq_compute_engine"):
            raise ImportError(f"{{name}} does not exist on a device")

sys.meta_path.insert(0, Blocker())
import edgebnn
count = 0
for module in pkgutil.walk_packages(edgebnn.__path__, "edgebnn."):
    # An editable install shows the delegate's library as if it were a Python extension.
    if not module.name.startswith({WORKSTATION}) and not module.name.endswith(("__main__", "libedgebnn_delegate")):
        importlib.import_module(module.name)
        count += 1
print(count)
"""


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules_after(program: str) -> set[str]:
    names = json.loads(python(f"{program}; import json, sys; print(json.dumps(sorted(sys.modules)))"))
    return {name.split(".")[0] for name in names} | {name for name in names if name.startswith("edgebnn")}


def test_device_modules_do_without_tensorflow() -> None:
    assert int(python(IMPORT_ALL)) > 15


def test_importing_edgebnn_loads_nothing() -> None:
    new = modules_after("import edgebnn") - modules_after("pass")
    assert {name for name in new if name.startswith("edgebnn")} == {"edgebnn"}
    assert not new & {"numpy", "cv2", "pydantic", "ai_edge_litert", "ctypes", "typer", "rich", "json", "pathlib"}


def test_the_command_line_imports_what_a_command_needs() -> None:
    new = modules_after("import edgebnn.cli")
    assert not new & {"numpy", "cv2", "pydantic", "ai_edge_litert", "tensorflow"}
    assert {name for name in new if name.startswith("edgebnn")} == {
        "edgebnn",
        "edgebnn.cli",
        "edgebnn.command",
        "edgebnn.errors",
    }


def test_run_needs_no_opencv() -> None:
    assert "cv2" not in modules_after("import edgebnn; edgebnn.Model; edgebnn.load_delegate; edgebnn.Card")


@pytest.mark.parametrize("name", edgebnn.__all__)
def test_public_names_resolve(name: str) -> None:
    assert getattr(edgebnn, name) is not None


def test_public_names_are_these() -> None:
    assert edgebnn.__all__ == ["Card", "Detections", "Model", "__version__", "delegate_path", "load_delegate"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edgebnn.nothing
