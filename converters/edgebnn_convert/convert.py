"""`edgebnn convert`: a Keras or Larq checkpoint to a verified .tflite with its card."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import edgebnn
from edgebnn.card import Card, parse_card
from edgebnn.errors import ModelError
from edgebnn.inspection.graph import Network, parse
from edgebnn.inspection.lint import Finding, lint
from edgebnn_convert.checkpoint import Checkpoint, checkpoint_sha256, first_line, load_checkpoint
from edgebnn_convert.embed import embed_card
from edgebnn_convert.keras_lint import lint_keras
from edgebnn_convert.order import restore_order
from edgebnn_convert.prepare import prepare
from edgebnn_convert.quiet import captured_stderr
from edgebnn_convert.verify import compare_all

_PACKAGES = ("tensorflow", "tf-keras", "larq", "larq-compute-engine")


def convert(
    checkpoint: Path,
    output: Path,
    *,
    card: Path | None,
    calibrate: Path | None = None,
    allow: Collection[str] = (),
) -> None:
    """Write `output`, a .tflite with its card, once it is verified; on any error nothing is written.

    With `calibrate`, a folder of pictures or of .npz files, what is not binary becomes int8. The lint's findings are
    printed; its errors are ModelErrors unless `allow` names their rules.

    The card comes from `card`, else from card.json beside the checkpoint, else the model is foreign (task "tensors").
    A card's preprocess says the size that a Keras model is built at; a SavedModel is converted as it is. ModelError
    when the checkpoint or what LCE makes of it cannot be used, ParityError when the result computes something else.
    """
    if output.is_dir() or not output.parent.is_dir():
        reason = "it is a folder" if output.is_dir() else f"the folder {output.parent} does not exist"
        raise ModelError(f"cannot write {output}: {reason}")
    stated = _find_card(checkpoint, card)
    digest = checkpoint_sha256(checkpoint) if checkpoint.exists() else ""
    loaded = load_checkpoint(checkpoint)
    if checkpoint_sha256(checkpoint) != digest:
        raise ModelError(f"{checkpoint} changed while it was read: convert it again")
    if stated.training.checkpoint_sha256 not in ("", digest):
        print("note: the card was written for another checkpoint, its metrics may not be those of this one")
    loaded = prepare(loaded, stated, calibrate)
    content = compile_model(loaded)
    _check_lint(lint_all(loaded, content, int8=calibrate is not None), allow)
    _check_result(parse(content), stated)
    stated = stated.model_copy(
        update={
            "training": stated.training.model_copy(
                update={"checkpoint_sha256": digest, "versions": stated.training.versions | _versions()}
            )
        }
    )
    content = embed_card(content, stated)
    compare_all(output.name, content, stated, loaded)
    _write(output, content)
    print(f"{output}: {len(content):,} bytes, card {stated.name!r} (task {stated.task})")


def compile_model(loaded: Checkpoint) -> bytes:
    """What LCE makes of a prepared checkpoint, inputs and outputs in Keras' order; prints what LCE said."""
    content, diagnostics = _run_lce(loaded)
    for line in diagnostics:
        print(f"LCE: {line}")
    if loaded.given is not None and getattr(loaded.given, "inputs", None):
        content = restore_order(content, loaded.given.input_names, loaded.given.output_names)
    return content


def lint_all(loaded: Checkpoint, content: bytes, *, int8: bool = False) -> list[Finding]:
    """The findings on the Keras model that LCE was given, and on what it made of it."""
    return [*(lint_keras(loaded.given) if loaded.given is not None else ()), *lint(parse(content), int8=int8)]


def _check_lint(findings: Sequence[Finding], allow: Collection[str]) -> None:
    for finding in findings:
        print(f"lint: {finding.as_text()}")
    errors = [finding for finding in findings if finding.severity == "error" and finding.rule not in allow]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        rules = ",".join(sorted({error.rule for error in errors}))
        raise ModelError(f"lint: {errors[0].as_text()}{more}; --allow {rules} converts it as it is")


def _find_card(checkpoint: Path, card: Path | None) -> Card:
    beside = checkpoint.parent / "card.json"
    path = card or (beside if beside.is_file() else None)
    if path is None:
        name = checkpoint.resolve().name if checkpoint.is_dir() else checkpoint.stem
        return Card(task="tensors", name=(name or "model")[:80])
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the card {path}: {error.strerror}") from error
    try:
        return parse_card(text)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _run_lce(loaded: Checkpoint) -> tuple[bytes, list[str]]:
    """The .tflite and what LCE's compiler said.

    Not `convert_keras_model`: when that fails it goes on without the signature and without int8, in silence.
    """
    with tempfile.TemporaryDirectory() as folder, captured_stderr() as captured:
        import larq_compute_engine as lce

        source = loaded.path
        try:
            if loaded.given is not None:
                source = Path(folder) / "saved_model"
                loaded.given.save(source, save_format="tf", include_optimizer=False)
            content = bytes(lce.convert_saved_model(str(source)))
        except Exception as error:  # TensorFlow and MLIR raise what they like
            problem: Exception | None = error
        else:
            problem = None
    diagnostics = captured.diagnostics()
    if problem is not None:
        reason = diagnostics[0] if diagnostics else first_line(problem)
        raise ModelError(f"LCE cannot convert {loaded.path}: {reason}") from problem
    return content, diagnostics


def _check_result(network: Network, card: Card) -> None:
    """Refuse what would fail on the device, or is not what the card says."""
    tensors = network.main.tensors
    inputs, outputs = network.entries()
    for name, index in (inputs | outputs).items():
        if tensors[index].dynamic or 0 in tensors[index].shape:
            raise ModelError(f"LCE left the shape of {name!r} open, {tensors[index].shape}: build it at a fixed size")
    if card.task != "detect" or card.preprocess is None or card.decode is None:
        return
    shape = (1, card.preprocess.height, card.preprocess.width, 3)
    if [tensors[index].shape for index in inputs.values()] != [shape]:
        got = ", ".join(f"{name} {tensors[index].shape}" for name, index in inputs.items())
        raise ModelError(f"the card says one input {shape}, the model has {got}: correct the card's preprocess")
    for level in card.decode.levels:
        shape = (1, -(-card.preprocess.height // level.stride), -(-card.preprocess.width // level.stride), 5)
        if level.output not in outputs or tensors[outputs[level.output]].shape != shape:
            got = ", ".join(f"{name} {tensors[index].shape}" for name, index in outputs.items())
            raise ModelError(f"the card says an output {level.output!r} {shape}, the model has {got}: correct the card")


def _versions() -> dict[str, str]:
    found = {"edgebnn": edgebnn.__version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _write(output: Path, content: bytes) -> None:
    """All of it or nothing, even when the power fails."""
    written: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            written = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        written.chmod(0o644)
        written.replace(output)
    except BaseException as error:
        if written is not None:
            written.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ModelError(f"cannot write {output}: {error.strerror}") from error
        raise
