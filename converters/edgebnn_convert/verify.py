"""`edgebnn verify`: Keras = LCE's interpreter = delegate."""

from __future__ import annotations

from pathlib import Path

from edgebnn.card import Card, read_card
from edgebnn.errors import MissingExtraError, ParityError
from edgebnn.inspection.graph import Network, parse
from edgebnn.runtime.model import read_model
from edgebnn.runtime.turned import turned
from edgebnn_convert.checkpoint import Checkpoint, load_checkpoint
from edgebnn_convert.interpreters import Engine, Lce, Stock, lce_limit
from edgebnn_convert.keras_parity import check_checkpoint
from edgebnn_convert.parity import Parity, check_parity
from edgebnn_convert.prepare import prepare
from edgebnn_convert.samples import draw_samples


def verify(model: Path, *, checkpoint: Path | None, calibrate: Path | None = None) -> None:
    """Compare every implementation of `model`, a file or a packaged name, and print a table.

    Without a checkpoint, LCE against the delegate; where LCE is not installed, the delegate's reference kernels against
    its best ones. A model that was converted to int8 is compared with its checkpoint on the same samples, in
    `calibrate`. ParityError names the first operator that differs and by how much.
    """
    name, content = read_model(model)
    card = read_card(content)
    loaded = None if checkpoint is None else load_checkpoint(checkpoint)
    if loaded is not None and calibrate is not None:
        loaded = prepare(loaded, card or Card(task="tensors", name="model"), calibrate)
    compare_all(name, content, card, loaded)


def compare_all(name: str, content: bytes, card: Card | None, checkpoint: Checkpoint | None) -> None:
    """`verify` on a model in memory; what turns with the picture is compared in both orientations."""
    network = parse(content)
    samples = draw_samples(network, card.preprocess if card is not None else None)
    print(f"{name}: {len(samples)} inputs ({', '.join(sample.name for sample in samples)})")
    other = Stock()
    other.load(content, network)  # first: it refuses malformed operators, on which LCE's interpreter crashes
    reference = _reference(network, needs_lce=checkpoint is not None)
    print(_ROW.format("compared", "judged", "worst float", "outputs", "sign"))
    print(_ROW.format("", "one by one", "difference", "differing", "ties"))
    print("-" * len(_ROW.format(*[""] * 5)))
    try:
        if checkpoint is not None:
            for names, what, found in check_checkpoint(checkpoint, content, network, reference, samples):
                _print_row(names, what, found)
        names = f"{reference.name} = {other.name}"
        _print_row(names, "operators", check_parity(content, network, reference, other, samples))
    except ParityError:
        print("NOT EQUAL")
        raise
    print("equal")
    if card is not None and card.preprocess is not None and card.preprocess.turns:
        frame = card.preprocess
        other_way = frame.model_copy(update={"width": frame.height, "height": frame.width, "turns": False})
        compare_all(f"{name} turned", turned(content), card.model_copy(update={"preprocess": other_way}), None)


def _reference(network: Network, *, needs_lce: bool) -> Engine:
    """LCE's interpreter, or what stands for it."""
    try:
        reference = Lce()
    except MissingExtraError as error:
        if needs_lce:
            raise
        print(f"no LCE here, so the delegate's reference kernels stand for it: {error}")
        return Stock("reference")
    limit = lce_limit(network)
    if limit is None:
        return reference
    print(f"no kernel of LCE computes this right, so the delegate's reference kernels stand for it: {limit}")
    return Stock("reference")


_ROW = "{:<38} {:>14} {:>12} {:>10} {:>6}"


def _print_row(names: str, what: str, found: Parity) -> None:
    worst, differing = f"{100 * found.worst_share:.2g} %", f"{100 * found.differing_share:.2g} %"
    print(_ROW.format(names, f"{found.operators} {what}", worst, differing, found.ties))
    for note in found.notes:
        print(f"  {note}")
