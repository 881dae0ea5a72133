"""Makes `tf.keras` the legacy Keras 2 that Larq needs: import this before anything imports TensorFlow."""

from __future__ import annotations

import os
import sys

from edgebnn.errors import MissingExtraError

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

if "tensorflow" in sys.modules:
    _keras = sys.modules["tensorflow"].keras
    if _keras.__version__.startswith("3."):
        raise MissingExtraError(
            f"expected tf.keras to be tf-keras 2, but TensorFlow was imported with Keras {_keras.__version__}: "
            "import edgebnn.models before TensorFlow, or set TF_USE_LEGACY_KERAS=1"
        )
