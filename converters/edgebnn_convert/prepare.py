"""From a loaded checkpoint to the Keras model that LCE is given: its size, the rewrites, int8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgebnn.card import Card
from edgebnn.errors import ModelError
from edgebnn_convert.calibration import read_samples
from edgebnn_convert.checkpoint import Checkpoint, Shape, fix_shapes
from edgebnn_convert.keras_parity import rename_inputs
from edgebnn_convert.quiet import captured_stderr


def prepare(loaded: Checkpoint, card: Card, calibrate: Path | None) -> Checkpoint:
    """The checkpoint at the card's size, and the Keras model that LCE is given; prints what was rewritten.

    With the samples in `calibrate`, what is not binary becomes int8: the same samples give the same model. A SavedModel
    stays as it is. ModelError when that cannot be done.
    """
    if loaded.keras is None or loaded.is_saved_model:
        if calibrate is not None:
            raise ModelError(f"int8 needs Keras layers, {loaded.path} is a SavedModel: save it as .keras or .h5")
        return loaded
    loaded = Checkpoint(loaded.path, _build(loaded, card), None)
    from edgebnn_convert.rewrites import rewrite  # needs TensorFlow
    from edgebnn_convert.rewrites.int8 import measure_ranges, quantize, split_activations

    rewritten = rewrite(loaded.keras)
    if rewritten is None:
        if calibrate is not None:
            raise ModelError("int8 needs a functional or sequential model, this one's layer calls are not known")
        print("not rewritten: the model is no functional or sequential one, its layers' calls are not known")
        return replace(loaded, given=loaded.keras)
    for change in rewritten.changes:
        print(f"rewrite: {change}" if change.done else f"no rewrite: {change}")
    if calibrate is None:
        return replace(loaded, given=rewritten.model)
    with captured_stderr():
        graph = split_activations(rewritten.after)
    inputs = {name: tuple(size or 1 for size in value.shape) for name, value in graph.inputs.items()}
    ranges = measure_ranges(graph, read_samples(calibrate, inputs, card.preprocess))
    print(f"int8: {len(ranges)} values, their ranges from {calibrate}")
    with captured_stderr():
        return replace(loaded, given=quantize(graph, ranges).build())


def _build(loaded: Checkpoint, card: Card) -> object:
    """The Keras model at batch 1 and the card's picture size."""
    keras = loaded.keras
    shapes: dict[str, Shape] = {}
    if card.preprocess is not None and len(getattr(keras, "inputs", None) or []) == 1:
        channels = keras.inputs[0].shape[-1]  # type: ignore[union-attr]
        shapes = rename_inputs(keras, {"": (1, card.preprocess.height, card.preprocess.width, channels)})
    return fix_shapes(keras, shapes)
