"""Make packaged face detectors of a checkpoint: the same weights at each input size given, each with its threshold.

    python scripts/face_models.py runs/face/best.keras face=384x256 face-large=416x416 --data faces --out DIR

A larger input shows smaller faces and costs more time; one that is no square turns with the picture. The threshold is
that of the best F1 on the validation pictures of --data, faces of 24 px and more. The card states AP50 there; what is
found on the test pictures, beside others, face_cards.py writes into it.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgebnn_convert.convert import convert
from edgebnn_convert.embed import embed_card

from edgebnn.card import Card, parse_card
from edgebnn.errors import DataError, EdgebnnError
from edgebnn.evaluation.annotations import read_annotations
from edgebnn.evaluation.evaluate import Report, measure
from edgebnn.runtime.model import Model


class Size(NamedTuple):
    """Of an input, in pixels."""

    width: int
    height: int


def resized(card: Card, name: str, size: Size) -> Card:
    """The card of the same weights at another input size; what was measured at its own is left out."""
    if card.preprocess is None or card.decode is None:
        raise DataError(f"expected the card of a detector beside the checkpoint, got one of task {card.task!r}")
    turns = size.width != size.height
    preprocess = card.preprocess.model_copy(update={"width": size.width, "height": size.height, "turns": turns})
    return card.model_copy(update={"name": name, "preprocess": preprocess, "metrics": {}})


def measured(card: Card, val: Report) -> Card:
    """The card with the figures of the validation pictures, and the threshold that they choose."""
    assert card.decode is not None
    metrics = {f"val_ap50_{least}": value for least, value in val.ap50["all"].items()}
    metrics |= {"val_recall_24": val.recall, "val_precision_24": val.precision}
    return card.model_copy(
        update={
            "decode": card.decode.model_copy(update={"min_score": round(val.best_score, 3)}),
            "metrics": {name: round(value, 4) for name, value in metrics.items()},
        }
    )


def make(checkpoint: Path, sizes: dict[str, Size], data: Path, out: Path) -> None:
    """Convert, measure, write; EdgebnnError when the checkpoint, its card or the data cannot be used."""
    try:
        trained = parse_card((checkpoint.parent / "card.json").read_bytes())
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"expected card.json beside {checkpoint} and a folder {out} to write: {error}") from None
    pictures = read_annotations(data, split="val").pictures
    for name, size in sizes.items():
        with tempfile.TemporaryDirectory() as folder:
            card, converted = Path(folder) / "card.json", Path(folder) / f"{name}.tflite"
            card.write_text(resized(trained, name, size).model_dump_json())
            convert(checkpoint, converted, card=card)
            model = Model(converted)
            assert model.card is not None
            shipped = measured(model.card, measure(model, pictures))
            (out / converted.name).write_bytes(embed_card(converted.read_bytes(), shipped))
        print(f"{name}: {size.width}x{size.height}, {shipped.metrics}")


def name_and_size(text: str) -> tuple[str, Size]:
    """`face=384x256` taken apart."""
    found = re.fullmatch(r"([a-z0-9-]+)=([1-9]\d{1,3})x([1-9]\d{1,3})", text)
    if found is None or int(found[2]) % 32 or int(found[3]) % 32:
        raise argparse.ArgumentTypeError(f"expected NAME=WIDTHxHEIGHT, both multiples of 32, got {text!r}")
    return found[1], Size(int(found[2]), int(found[3]))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0, or 1 with a sentence on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="best.keras with its card.json beside it")
    parser.add_argument("models", nargs="+", type=name_and_size, metavar="NAME=SIZE", help="e.g. face=384x256")
    parser.add_argument("--data", type=Path, required=True, help="a folder with annotations.jsonl, split val")
    parser.add_argument("--out", type=Path, required=True, help="folder for the .tflite files")
    how = parser.parse_args(arguments)
    try:
        make(how.checkpoint, dict(how.models), how.data, how.out)
    except EdgebnnError as error:
        print(f"face_models: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
