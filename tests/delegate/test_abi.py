"""What the delegate says to a runtime whose structs it does not know (tests/sanitizers/shift_host.cc: the layouts)."""

from __future__ import annotations

import ctypes
from importlib.metadata import version
from pathlib import Path

import pytest
from ai_edge_litert.interpreter import Interpreter

import edgebnn

ERROR = 1


def _code_of_litert() -> tuple[int, str]:
    """An address of LiteRT's code, and the library that it lies in."""
    assert Interpreter is not None  # so that it is loaded
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, access, *_, path = line.split(maxsplit=5)
        if "x" in access and "/ai_edge_litert/" in path:
            return int(addresses.split("-")[0], 16), path
    raise AssertionError("expected a library of ai_edge_litert among the process' mappings, found none")


def test_the_refusal_names_the_runtime(capfd: pytest.CaptureFixture[str]) -> None:
    """A context without tensors, whose functions are some code of LiteRT's; none of it is called."""
    code, library = _code_of_litert()
    context = (ctypes.c_void_p * 64)(*[code] * 64)
    context[0] = None  # tensors_size
    delegate = edgebnn.load_delegate()
    pointer = delegate._get_native_delegate_pointer()
    host = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_void_p))
    prepare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(host[1] or 0)
    assert prepare(ctypes.addressof(context), pointer) == ERROR
    said = capfd.readouterr().err
    assert said.startswith(f"edgebnn: this runtime, ai_edge_litert {version('ai-edge-litert')} ({library})")
    assert "TfLiteContext (tensors_size) makes no sense" in said
