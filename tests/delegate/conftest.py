"""Fixtures of the tests of the delegate."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONVERTER_PACKAGES = ("tensorflow", "larq", "larq_compute_engine")


@pytest.fixture(scope="session")
def converted_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The models of `converted.py` by name, made once, in a process that may import TensorFlow."""
    missing = [name for name in CONVERTER_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the converter needs {', '.join(missing)}")
    directory = tmp_path_factory.mktemp("converted")
    subprocess.run(
        [sys.executable, "-m", f"{__package__}.converted", str(directory)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=True,
        capture_output=True,
        timeout=600,
    )
    return {path.stem: path.read_bytes() for path in sorted(Path(directory).iterdir())}
