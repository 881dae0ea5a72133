"""Rewriting needs TensorFlow and Larq, converting what comes of it LCE."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgebnn.inspection.graph import Network, parse
from tests.converters.conftest import PACKAGES

missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
if missing:
    collect_ignore_glob = ["test_*.py"]
else:
    import edgebnn.legacy_keras  # noqa: F401  (before the tests import TensorFlow)


@pytest.fixture
def verified(delegate: None, tmp_path: Path) -> Callable[[Any], Network]:
    """Keras = rewritten = LCE = delegate, as `edgebnn convert` verifies it; the graph that came of it."""

    def convert_model(model: Any) -> Network:
        from edgebnn_convert.convert import convert

        model.save(tmp_path / "model.keras")
        convert(tmp_path / "model.keras", tmp_path / "model.tflite", card=None)
        return parse((tmp_path / "model.tflite").read_bytes())

    return convert_model
