"""A checkpoint against the .tflite made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebnn.errors import ModelError, ParityError
from edgebnn.inspection.graph import Network
from edgebnn_convert.checkpoint import Checkpoint, Outputs, Shape, fix_shapes
from edgebnn_convert.difference import Array, Difference, compare
from edgebnn_convert.forcing import INT8, Forcing, Tolerance, forced, real_value
from edgebnn_convert.interpreters import Engine
from edgebnn_convert.parity import Parity, Sample, Traced, Values

if TYPE_CHECKING:  # they need TensorFlow
    from edgebnn_convert.rewrites import Rewritten

DECIDED = 0.5  # least share of the samples that must agree where signs cannot be traced


def check_checkpoint(
    checkpoint: Checkpoint, model: bytes, network: Network, reference: Engine, samples: Sequence[Sample]
) -> list[tuple[str, str, Parity]]:
    """Raise ParityError, naming the first place that differs, unless the checkpoint and `reference` agree.

    Returns (what was compared, what was judged one by one, what was found). With Keras layers each is judged on its
    own: the checkpoint's against those that LCE was given, these against `reference`. A SavedModel without them is
    compared by its outputs only, where a sign tie cannot be told from a fault: DECIDED of the samples must agree.
    """
    traced = Traced(reference, model, network)
    tolerance = INT8 if any(tensor.dtype == "int8" for tensor in network.main.tensors) else Tolerance()
    if checkpoint.keras is None:
        found = Parity(samples=len(samples))
        _note_int8(found, tolerance)
        _check_serving(checkpoint, network, traced, samples, reference.name, tolerance, found)
        return [(f"SavedModel = {reference.name}", "outputs", found)]
    shapes = {name: network.main.tensors[index].shape for name, index in network.entries()[0].items()}
    keras = fix_shapes(checkpoint.keras, rename_inputs(checkpoint.keras, shapes))
    if checkpoint.is_saved_model:
        return [_check_model("Keras", keras, network, traced, samples, reference.name, tolerance)]
    from edgebnn_convert.rewrites import rewrite

    rewritten = rewrite(keras)
    changed = rewritten is not None and rewritten.is_changed
    rows = [_check_rewritten(rewritten, network, samples)] if rewritten is not None and changed else []
    given, source = checkpoint.given, "rewritten" if changed else "Keras"
    if given is None:
        given = rewritten.model if rewritten is not None else keras
    elif tolerance is INT8:
        source += ", int8"
    try:
        return [*rows, _check_model(source, given, network, traced, samples, reference.name, tolerance)]
    except ParityError as error:
        if checkpoint.given is not None:
            raise
        if tolerance is INT8:
            raise ParityError(f"{error}; if it was converted with --int8, give its samples: --calibrate DIR") from None
        if not changed:
            raise
        try:  # a file that was converted without rewrites
            return [_check_model("Keras", keras, network, traced, samples, reference.name, tolerance)]
        except ParityError:
            raise error from None


def _check_model(
    source: str,
    keras: Any,
    network: Network,
    traced: Traced,
    samples: Sequence[Sample],
    name: str,
    tolerance: Tolerance,
) -> tuple[str, str, Parity]:
    found = Parity(samples=len(samples))
    _note_int8(found, tolerance)
    for sample in samples:
        _check_keras(keras, network, traced.values(sample), sample, name, tolerance, found)
    return f"{source} = {name}", "places", found


def _check_rewritten(rewritten: Rewritten, network: Network, samples: Sequence[Sample]) -> tuple[str, str, Parity]:
    from edgebnn_convert.rewrites.check import check_rewrites

    found = Parity(samples=len(samples))
    for sample in samples:
        arrays = _real_inputs(network, sample)
        if len(arrays) == 1:
            arrays = dict(zip(rewritten.before.inputs, arrays.values(), strict=True))
        where = f"Keras and what it was rewritten to, {sample.name}"
        found.operators, worst = check_rewrites(rewritten.before, rewritten.after, arrays, where)
        found.worst_share = max(found.worst_share, worst)
    return "Keras = rewritten", "layers", found


def _note_int8(found: Parity, tolerance: Tolerance) -> None:
    if tolerance is INT8:
        found.notes.append(f"int8 operators: Keras and LCE are compared to {100 * INT8.value:g} % of the range")


def rename_inputs(keras: Any, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """`shapes` under the names of the Keras model's inputs; by position where a single name differs."""
    names = [source.name for source in getattr(keras, "inputs", None) or []]
    if len(names) == len(shapes) == 1:
        return {names[0]: next(iter(shapes.values()))}
    missing = [name for name in names if name not in shapes]
    if missing:
        raise ModelError(f"the checkpoint has an input {missing[0]!r}, the .tflite has {', '.join(shapes) or 'none'}")
    return {name: shapes[name] for name in names}


def _check_keras(
    keras: Any, network: Network, values: Values, sample: Sample, name: str, tolerance: Tolerance, result: Parity
) -> None:
    where = f"Keras and {name}, {sample.name}"
    arrays = _real_inputs(network, sample)
    if len(arrays) > 1:
        arrays = {source.name: arrays[source.name] for source in keras.inputs}
    forcing = Forcing(network, values, where, tolerance)
    with forced(keras, forcing):
        outputs = _run_keras(keras, arrays)
    differences = _compare_outputs(outputs, network, values, where, tolerance)
    forcing.check(differences)
    result.operators = max(result.operators, len(forcing.matched))
    shares = [result.worst_share, forcing.worst_share, *(difference.share for difference in differences.values())]
    result.worst_share, result.ties = max(shares), result.ties + forcing.ties
    free = _compare_outputs(_run_keras(keras, arrays), network, values, where, tolerance).values()
    share = sum(d.differing for d in free) / max(1, sum(d.elements for d in free))
    result.differing_share = max(result.differing_share, share)


def _check_serving(
    checkpoint: Checkpoint,
    network: Network,
    traced: Traced,
    samples: Sequence[Sample],
    name: str,
    tolerance: Tolerance,
    result: Parity,
) -> None:
    assert checkpoint.serving is not None
    agreeing, problem = 0, ""
    result.operators = len(network.main.outputs)
    for sample in samples:
        where = f"SavedModel and {name}, {sample.name}"
        arrays = _real_inputs(network, sample)
        outputs = checkpoint.serving([arrays[key] for key in sorted(arrays)])
        differences = _compare_outputs(outputs, network, traced.values(sample), where, tolerance)
        differing = [key for key, difference in differences.items() if difference.differing]
        if differing:
            problem = problem or f"{where}: the output {differing[0]!r} differs: {differences[differing[0]]}"
            share = sum(d.differing for d in differences.values()) / sum(d.elements for d in differences.values())
            result.differing_share = max(result.differing_share, share)
        else:
            agreeing += 1
            result.worst_share = max([result.worst_share, *(d.share for d in differences.values())])
    if agreeing < DECIDED * len(samples):
        raise ParityError(f"{problem}; {agreeing} of {len(samples)} inputs agree")
    result.notes.append("the SavedModel holds no Keras layers: only its outputs were compared")
    if problem:
        result.notes.append(f"undecided, {agreeing} of {len(samples)} inputs agree: {problem}")


def _run_keras(keras: Any, arrays: Mapping[str, Array]) -> Outputs:
    import tensorflow as tf

    inputs = list(arrays.values())
    outputs = tf.nest.flatten(keras(inputs[0] if len(inputs) == 1 else dict(arrays), training=False))
    names = keras.output_names or [f"output_{i + 1}" for i in range(len(outputs))]
    return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}


def _compare_outputs(
    outputs: Outputs, network: Network, values: Values, where: str, tolerance: Tolerance
) -> dict[str, Difference]:
    names = network.entries()[1]
    if len(outputs) == len(names) == 1:
        outputs = dict(zip(names, outputs.values(), strict=True))
    missing = outputs.keys() ^ names.keys()
    if missing:
        raise ParityError(f"{where}: the outputs have different names, {', '.join(outputs)} and {', '.join(names)}")
    differences = {}
    for name, index in names.items():
        value = real_value(values[index], network.main.tensors[index])
        got = outputs[name]
        if value.dtype != got.dtype or value.shape != got.shape:
            raise ParityError(
                f"{where}: expected the output {name!r} to be {got.dtype} {got.shape}, got {value.dtype} {value.shape}"
            )
        differences[name] = compare(got, value, tolerance=tolerance.value)
    return differences


def _real_inputs(network: Network, sample: Sample) -> dict[str, Array]:
    """The sample by input name, integers with a scale as the floats they stand for."""
    by_index = dict(zip(network.main.inputs, sample.arrays, strict=True))
    tensors = network.main.tensors
    return {name: real_value(by_index[index], tensors[index]) for name, index in network.entries()[0].items()}
