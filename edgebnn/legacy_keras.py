"""Makes `tf.keras` the legacy Keras 2 that Larq needs: import this before anything imports TensorFlow."""

from __future__ import annotations

import os
import sys

from edgebnn.errors import MissingExtraError

if "tensorflow" in sys.modules and os.environ.get("TF_USE_LEGACY_KERAS", "").lower() not in ("1", "true"):
    raise MissingExtraError(
        "expected tf.keras to be tf-keras 2, but TensorFlow was imported with Keras 3: "
        "import edgebnn.models before TensorFlow, or set TF_USE_LEGACY_KERAS=1"
    )
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
