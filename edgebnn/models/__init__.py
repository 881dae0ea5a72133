"""Keras + Larq networks; MODELS maps a recipe's model name to its parameters' type and its builder."""

from __future__ import annotations

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)
from edgebnn.models.face import FaceNetwork, build_face_network

MODELS = {"face": (FaceNetwork, build_face_network)}

__all__ = ["MODELS", "FaceNetwork", "build_face_network"]
