"""Imports TensorFlow with the legacy Keras 2 as `tf.keras`, which Larq needs, and without its chatter.

Import this before anything else imports TensorFlow.
"""

from __future__ import annotations

import os
import sys
import tempfile

from edgebnn.errors import MissingExtraError


def _import_quietly() -> None:
    """Import TensorFlow; what it writes to file descriptor 2 meanwhile is shown only when that fails."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            heard.seek(0)
            os.write(terminal, heard.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


if "tensorflow" not in sys.modules:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _import_quietly()
elif os.environ.get("TF_USE_LEGACY_KERAS", "").lower() not in ("1", "true"):
    raise MissingExtraError(
        "expected tf.keras to be tf-keras 2, but TensorFlow was imported with Keras 3: "
        "import edgebnn.models before TensorFlow, or set TF_USE_LEGACY_KERAS=1"
    )
