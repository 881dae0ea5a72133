"""What the delegate says to a runtime whose structs it does not know; tests/sanitizers/shift_host.cc has the layouts."""

from __future__ import annotations

import ctypes
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

import edgebnn

ERROR = 1
MODULE = "_pywrap_tensorflow_interpreter_wrapper"


def test_the_refusal_names_the_runtime(capfd: pytest.CaptureFixture[str]) -> None:
    """A context without tensors, whose functions are some code of LiteRT's; none of it is called."""
    spec = find_spec("ai_edge_litert")
    assert spec is not None and spec.origin is not None
    library = Path(spec.origin).parent / f"{MODULE}.so"
    code = ctypes.cast(ctypes.PyDLL(str(library))[f"PyInit_{MODULE}"], ctypes.c_void_p).value
    context = (ctypes.c_void_p * 64)(*[code] * 64)
    context[0] = None  # tensors_size
    delegate = edgebnn.load_delegate()
    host = ctypes.cast(delegate._get_native_delegate_pointer(), ctypes.POINTER(ctypes.c_void_p))
    prepare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(host[1] or 0)
    assert prepare(ctypes.addressof(context), delegate._get_native_delegate_pointer()) == ERROR
    said = capfd.readouterr().err
    assert said.startswith(f"edgebnn: this runtime, ai_edge_litert {version('ai-edge-litert')} ({library})")
    assert "TfLiteContext (tensors_size) makes no sense" in said
