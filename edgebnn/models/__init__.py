"""Keras + Larq networks; MODELS maps a recipe's model name to its parameters' type and its builder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydantic

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)
from edgebnn.models.binarynet import BinaryNet, build_binarynet
from edgebnn.models.face import FaceNetwork, build_face_network
from edgebnn.models.quicknet import QuickNet, build_quicknet
from edgebnn.models.shift_norm import ShiftBatchNormalization
from edgebnn.models.sleep import SleepNetwork, build_sleep_network

MODELS: dict[str, tuple[type[pydantic.BaseModel], Callable[..., Any]]] = {
    "face": (FaceNetwork, build_face_network),
    "binarynet": (BinaryNet, build_binarynet),
    "quicknet": (QuickNet, build_quicknet),
    "sleep": (SleepNetwork, build_sleep_network),
}

__all__ = [
    "MODELS",
    "BinaryNet",
    "FaceNetwork",
    "QuickNet",
    "ShiftBatchNormalization",
    "SleepNetwork",
    "build_binarynet",
    "build_face_network",
    "build_quicknet",
    "build_sleep_network",
]
