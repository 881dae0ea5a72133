"""Loading Keras and Larq checkpoints: `.keras`, `.h5`, and SavedModel folders."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebnn.errors import ModelError
from edgebnn_convert.difference import Array
from edgebnn_convert.quiet import captured_stderr

Shape = tuple[int, ...]
Outputs = dict[str, Array]


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint; `keras` is None for a SavedModel that holds no Keras layers."""

    path: Path
    keras: Any | None
    serving: Callable[[Sequence[Array]], Outputs] | None
    """a SavedModel's serving signature: arrays in the order of its input names"""
    given: Any | None = None
    """the Keras model that LCE was given, where it is known"""

    @property
    def is_saved_model(self) -> bool:
        """Whether it is a SavedModel folder, which is converted as it is."""
        return self.serving is not None


def load_checkpoint(path: Path) -> Checkpoint:
    """ModelError, in one sentence, when there is no whole model to load."""
    if not path.exists():
        raise ModelError(f"cannot read the checkpoint {path}: no such file or folder")
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            raise ModelError(f"expected {path} to be a SavedModel folder, it holds no saved_model.pb")
        return _load_saved_model(path)
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        raise ModelError(f"expected a .keras or .h5 file or a SavedModel folder, got {path.name}")
    _check_keras_version(path)
    return Checkpoint(path, _load_keras(path), None)


def fix_shapes(model: Any, shapes: Mapping[str, Shape]) -> Any:
    """The model for exactly these input shapes (batch included), with the same weights; itself if it is so already.

    `shapes` may leave inputs out: those get batch 1 and keep their other dimensions. LCE miscompiles dynamic spatial
    dimensions, so ModelError when one stays open.
    """
    import tensorflow as tf

    if getattr(model, "inputs", None) is None or not hasattr(model, "get_config"):
        return model
    wanted = {}
    for source in model.inputs:
        shape = shapes.get(source.name, (1, *source.shape[1:]))
        if None in shape:
            raise ModelError(
                f"the input {source.name!r} has the open shape {tuple(source.shape)}: give --card with a card whose "
                "preprocess says width and height, or build the model at a fixed size"
            )
        wanted[source.name] = tuple(int(size) for size in shape)
    if all(tuple(source.shape) == wanted[source.name] for source in model.inputs):
        return model
    inputs = [
        tf.keras.Input(batch_size=wanted[x.name][0], shape=wanted[x.name][1:], dtype=x.dtype, name=x.name)
        for x in model.inputs
    ]
    try:
        with captured_stderr():
            clone = tf.keras.models.clone_model(model, input_tensors=inputs)
            clone.set_weights(model.get_weights())
    except Exception as error:  # whatever a layer raises when the size does not suit it
        raise ModelError(f"the model cannot be built for inputs of {wanted}: {first_line(error)}") from error
    return clone


def checkpoint_sha256(path: Path) -> str:
    """SHA-256 of the file; of a folder: of each file's relative path and SHA-256, in the order of the paths."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    total = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        total.update(f"{file.relative_to(path).as_posix()}\0{checkpoint_sha256(file)}\n".encode())
    return total.hexdigest()


def first_line(error: BaseException) -> str:
    """The first line of an error's text that says something, cut at 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")


def _tensorflow() -> Any:
    """TensorFlow with legacy Keras; Larq's and our own layers are registered."""
    import edgebnn.models  # noqa: F401, I001  (first: it chooses legacy Keras)
    import larq  # noqa: F401
    import tensorflow as tf

    return tf


def _load_keras(path: Path) -> Any:
    with captured_stderr():
        tf = _tensorflow()
        try:
            model = tf.keras.models.load_model(path, compile=False)
        except Exception as error:  # zipfile, h5py, json, Keras: each has its own
            raise ModelError(f"cannot load the checkpoint {path}: {_reason(error)}") from error
    for layer in model.submodules:
        policy = getattr(layer, "dtype_policy", None)
        if policy is not None and getattr(policy, "compute_dtype", None) in ("float16", "bfloat16"):
            raise ModelError(f"the layer {layer.name!r} computes in {policy.compute_dtype}: LCE converts float32 only")
    return model


def _load_saved_model(path: Path) -> Checkpoint:
    with captured_stderr():
        tf = _tensorflow()
        try:
            loaded = tf.saved_model.load(str(path))
            signature = loaded.signatures["serving_default"]
        except KeyError:
            raise ModelError(f"the SavedModel {path} has no signature 'serving_default': save it with one") from None
        except Exception as error:
            raise ModelError(f"cannot load the SavedModel {path}: {_reason(error)}") from error
        keras = None
        if (path / "keras_metadata.pb").is_file():
            try:  # for tracing only: the layers show where a difference begins
                keras = _load_keras(path)
            except ModelError:
                keras = None
    specs = signature.structured_input_signature[1]

    def serve(arrays: Sequence[Array]) -> Outputs:
        assert loaded is not None  # the signature does not keep its variables alive
        inputs = {name: tf.constant(array) for name, array in zip(sorted(specs), arrays, strict=True)}
        return {name: value.numpy() for name, value in signature(**inputs).items()}

    return Checkpoint(path, keras, serve)


def _check_keras_version(path: Path) -> None:
    if path.suffix != ".keras":
        return
    if not zipfile.is_zipfile(path):
        raise ModelError(f"cannot load the checkpoint {path}: it is damaged, cut off, or no .keras file")
    try:
        with zipfile.ZipFile(path) as archive:
            version = str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
    except (KeyError, ValueError, AttributeError, zipfile.BadZipFile, OSError):
        return  # the loader says what is wrong
    if version.startswith("3."):
        raise ModelError(f"{path} was saved by Keras {version}: Larq needs Keras 2, save it with TF_USE_LEGACY_KERAS=1")


def _reason(error: Exception) -> str:
    line = first_line(error)
    if "No model config found" in line or "model_config" in line:
        return "it holds weights only, expected a whole model (save it with model.save)"
    if "open file" in line:  # h5py's "Unable to synchronously open file (truncated file: ...)"
        return "it is damaged, cut off, or no .h5 file"
    return line
