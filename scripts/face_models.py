"""Make the packaged face detectors of one checkpoint: the same weights at three input sizes, each with its threshold.

    python scripts/face_models.py runs/face/best.keras --data faces --out DIR

A larger input shows smaller faces and costs more time. The threshold is that of the best F1 on the validation pictures
of --data, faces of 24 px and more; the card states AP50 there.
"""

import argparse
import tempfile
from pathlib import Path

from edgebnn_convert.convert import convert
from edgebnn_convert.embed import embed_card

from edgebnn.card import Card, parse_card
from edgebnn.evaluation.annotations import read_annotations
from edgebnn.evaluation.evaluate import Report, measure
from edgebnn.runtime.model import Model

SIDES = {"face": 320, "face-large": 416, "face-small": 192}


def resized(card: Card, name: str, side: int) -> Card:
    """The card of the same weights at another input size; what was measured at its own is left out."""
    assert card.preprocess is not None
    size = card.preprocess.model_copy(update={"width": side, "height": side})
    return card.model_copy(update={"name": name, "preprocess": size, "metrics": {}})


def measured(card: Card, report: Report) -> Card:
    """The card with the figures of the validation pictures, and the threshold that they choose."""
    assert card.decode is not None
    metrics = {f"val_ap50_{least}": round(value, 4) for least, value in report.ap50["all"].items()}
    metrics |= {"val_recall_24": round(report.recall, 4), "val_precision_24": round(report.precision, 4)}
    decode = card.decode.model_copy(update={"min_score": round(report.best_score, 3)})
    return card.model_copy(update={"decode": decode, "metrics": metrics})


def main() -> None:
    """Convert, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="best.keras with its card.json beside it")
    parser.add_argument("--data", type=Path, required=True, help="a folder with annotations.jsonl and a split val")
    parser.add_argument("--out", type=Path, required=True, help="folder for the .tflite files")
    how = parser.parse_args()
    how.out.mkdir(parents=True, exist_ok=True)
    trained = parse_card((how.checkpoint.parent / "card.json").read_bytes())
    pictures = read_annotations(how.data, split="val").pictures
    for name, side in SIDES.items():
        with tempfile.TemporaryDirectory() as folder:
            card, converted = Path(folder) / "card.json", Path(folder) / f"{name}.tflite"
            card.write_text(resized(trained, name, side).model_dump_json())
            convert(how.checkpoint, converted, card=card)
            model = Model(converted)
            assert model.card is not None
            report = measure(model, pictures)
            (how.out / converted.name).write_bytes(embed_card(converted.read_bytes(), measured(model.card, report)))
        ap50 = ", ".join(f"{value:.3f} from {least} px" for least, value in report.ap50["all"].items())
        print(f"{name}: {side}x{side}, AP50 {ap50}, threshold {report.best_score:.3f}")


if __name__ == "__main__":
    main()
