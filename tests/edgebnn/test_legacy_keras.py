import subprocess
import sys
from importlib.util import find_spec

import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path))}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("first", ["", "import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'; import tensorflow; "])
def test_keras_is_the_legacy_one(first: str) -> None:
    done = run(first + "import edgebnn.models, tensorflow as tf; print(tf.keras.layers.Dense.__module__)")
    assert done.stdout.startswith("tf_keras."), done.stderr
    assert first or not done.stderr


def test_tensorflow_with_keras_3_is_one_clear_error() -> None:
    done = run("import tensorflow; import edgebnn.models")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "MissingExtraError" in last and "TF_USE_LEGACY_KERAS=1" in last and "Keras 3" in last
