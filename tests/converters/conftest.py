"""Converted networks, made once a session where TensorFlow, Larq and LCE are installed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from edgebnn_convert.convert import convert
from edgebnn_convert.interpreters import LCE_EXTENSION

from edgebnn.delegate.loader import load_delegate
from edgebnn.errors import DelegateError
from tests.delegate import lce

PACKAGES = ("tensorflow", "tf_keras", "larq", "larq_compute_engine")

# A process can load LCE's extension once: the tests of the delegate and the converter share it.
if lce.extension() is not None:
    sys.modules.setdefault(LCE_EXTENSION, lce.extension())


@pytest.fixture(scope="session")
def delegate() -> None:
    """Skip where the delegate is not built."""
    try:
        load_delegate()
    except DelegateError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def checkpoint(delegate: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint of a network of `networks.py`, by name."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"converting needs {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("checkpoints")

    def make(name: str) -> Path:
        from tests.converters.networks import NETWORKS

        path = folder / f"{name}.keras"
        if not path.exists():
            NETWORKS[name]().save(path)
        return path

    return make


@pytest.fixture(scope="session")
def converted(checkpoint: Callable[[str], Path]) -> Callable[[str], Path]:
    """The .tflite of a network, by name."""

    def make(name: str) -> Path:
        source = checkpoint(name)
        if not source.with_suffix(".tflite").exists():
            convert(source, source.with_suffix(".tflite"), card=None)
        return source.with_suffix(".tflite")

    return make
