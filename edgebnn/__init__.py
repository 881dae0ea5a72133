"""Binarized neural networks on Raspberry Pi class devices.

>>> import edgebnn
>>> faces = edgebnn.Model("face").detect(rgb_frame)          # doctest: +SKIP
>>> interpreter = Interpreter("net.tflite", experimental_delegates=[edgebnn.load_delegate()])  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgebnn.card import Card
    from edgebnn.delegate.loader import delegate_path, load_delegate
    from edgebnn.runtime.detections import Detections
    from edgebnn.runtime.model import Model

__version__ = "0.1.0"
__all__ = ["Card", "Detections", "Model", "__version__", "delegate_path", "load_delegate"]

# Public names are resolved on first use, so that importing edgebnn loads nothing else.
_HOMES = {
    "Card": "edgebnn.card",
    "Detections": "edgebnn.runtime.detections",
    "Model": "edgebnn.runtime.model",
    "delegate_path": "edgebnn.delegate.loader",
    "load_delegate": "edgebnn.delegate.loader",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'edgebnn' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
