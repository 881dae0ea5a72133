"""Finds the delegate library and loads it for any stock TFLite interpreter."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from edgebnn.errors import DelegateError, InputError

LIBRARY = "libedgebnn_delegate.so"


def delegate_path() -> Path:
    """The plug-in, for C++ programs and `benchmark_model --external_delegate_path`.

    Where it was installed; the environment variable EDGEBNN_DELEGATE names another build.
    """
    chosen = os.environ.get("EDGEBNN_DELEGATE")
    path = Path(chosen) if chosen else Path(str(files("edgebnn.delegate").joinpath(LIBRARY)))
    if not path.is_file():
        cure = "install edgebnn again (`pip install .`; to import it from its source tree, `pip install --editable .`)"
        raise DelegateError(f"expected the delegate at {path}, found nothing: {cure}")
    return path


def load_delegate(*, num_threads: int = 1, **options: str | int) -> Delegate:
    """A delegate for `experimental_delegates=[...]` of ai_edge_litert, tflite_runtime or tf.lite.

    num_threads: 1 to 64; kernel="auto" (default), "avx2" (no AVX-512), "portable" or "reference"; fuse=1 (default) also
    takes the float ops between binary ones, 0 the binary ones alone; profile=1 keeps times for Delegate.take_profile.
    """
    texts = {name: str(value) for name, value in options.items()}
    return Delegate(delegate_path(), {"num_threads": str(num_threads), **texts})


@dataclass(frozen=True)
class GroupTime:
    """CPU time of all `runs` together; with several threads wall-clock time."""

    ms: float
    runs: int


class Delegate:
    """A loaded delegate. One object may serve several interpreters; it lives until the last of them lets go of it."""

    def __init__(self, path: Path, options: dict[str, str]) -> None:
        """Load the plug-in at `path`; InputError for an unknown option or value."""
        self._pointer: int | None = None
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise DelegateError(f"the delegate {path} does not load on this machine: {error}") from None
        text = ctypes.c_char_p * len(options)
        report = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
        problems: list[str] = []
        create = self._library.tflite_plugin_create_delegate
        create.argtypes = [text, text, ctypes.c_size_t, report]
        create.restype = ctypes.c_void_p
        self._library.tflite_plugin_destroy_delegate.argtypes = [ctypes.c_void_p]
        self._library.tflite_plugin_destroy_delegate.restype = None
        self._pointer = create(
            text(*(name.encode() for name in options)),
            text(*(value.encode() for value in options.values())),
            len(options),
            report(lambda message: problems.append(message.decode(errors="replace"))),
        )
        if self._pointer is None:
            raise InputError(f"the delegate refused its options: {'; '.join(problems) or 'no reason given'}")

    def take_profile(self) -> dict[tuple[int, ...], GroupTime]:
        """Times of nodes that run together, since the last call, by the nodes' indices; with the option profile=1."""
        see = ctypes.CFUNCTYPE(
            None, ctypes.POINTER(ctypes.c_int), ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p
        )
        times: dict[tuple[int, ...], GroupTime] = {}

        def keep(nodes: Any, count: int, nanoseconds: int, runs: int, _: object) -> None:
            times[tuple(nodes[:count])] = GroupTime(ms=nanoseconds / 1e6, runs=runs)

        take = self._library.edgebnn_take_profile
        take.argtypes, take.restype = [ctypes.c_void_p, see, ctypes.c_void_p], None
        take(self._pointer, see(keep), None)
        return times

    def _get_native_delegate_pointer(self) -> int:
        """What interpreters ask of a delegate."""
        assert self._pointer is not None
        return self._pointer

    def __del__(self) -> None:
        """Destroy the native delegate; interpreters hold a reference to this object, so none uses it any more."""
        if getattr(self, "_pointer", None) is not None:
            self._library.tflite_plugin_destroy_delegate(self._pointer)
            self._pointer = None
