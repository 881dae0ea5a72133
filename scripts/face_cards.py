"""Write what a comparison found on the test pictures into the cards of the detectors that it compared.

    python -m edgebnn.evaluation.comparison face face-small --data faces --peers PEERS --json comparison.json
    python scripts/face_cards.py comparison.json edgebnn/weights/face.tflite edgebnn/weights/face-small.tflite

AP50 of each group by least size, its 95 % interval, recall and precision at the card's threshold, false alarms on
pictures without faces, and the CPU time as a share of the first peer's. Earlier figures of test pictures go.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgebnn_convert.embed import embed_card

from edgebnn.card import read_card
from edgebnn.errors import DataError, EdgebnnError


def read_rows(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows of our detectors by name, and that of the first peer; DataError when it is no comparison with peers."""
    try:
        found = json.loads(file.read_bytes())
        rows, ours = found["rows"], found["ours"]
        return {row["name"]: row for row in rows[:ours]}, rows[ours]
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, TypeError, LookupError):
        raise DataError(f"expected {file} to be what edgebnn.evaluation.comparison --peers wrote with --json") from None


def metrics(row: dict[str, Any], peer: dict[str, Any]) -> dict[str, float]:
    """What a card says of the test pictures; sizes in the keys are least sizes of faces in pixels."""
    found: dict[str, float] = {}
    for group, one in row["groups"].items():
        found |= {f"test_ap50_{px}_{group}": ap50 for px, ap50 in one["ap50"].items()}
        found |= {
            f"test_ap50_24_{group}_{end}": ap50 for end, ap50 in zip(("low", "high"), one["interval"], strict=True)
        }
        found |= {f"test_{what}_24_{group}": one[what] for what in ("recall", "precision")}
    found["test_false_alarms"] = row["without_faces"]["false_alarms"]
    peer_name = peer["name"].split()[0].lower()
    return found | {f"cpu_time_of_{peer_name}": round(row["cpu_ms"] / peer["cpu_ms"], 2)}


def state(comparison: Path, files: Sequence[Path]) -> None:
    """Rewrite the cards of `files`; EdgebnnError before any is touched when one does not fit."""
    rows, peer = read_rows(comparison)
    written = {}
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {file}: {error.strerror}") from None
        card = read_card(content)
        if card is None or card.name not in rows:
            name = "no card" if card is None else f"a card of {card.name!r}"
            raise DataError(f"expected a detector that {comparison} compares ({', '.join(rows)}), {file} has {name}")
        kept = {key: value for key, value in card.metrics.items() if key.startswith("val_")}
        stated = card.model_copy(update={"metrics": kept | metrics(rows[card.name], peer)})
        written[file] = embed_card(content, stated)
    for file, content in written.items():
        file.write_bytes(content)
        print(f"{file}: {len(content):,} bytes")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0, or 1 with a sentence on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", type=Path, help="what the comparison wrote with --json")
    parser.add_argument("models", type=Path, nargs="+", help=".tflite files that it compared")
    how = parser.parse_args(arguments)
    try:
        state(how.comparison, how.models)
    except EdgebnnError as error:
        print(f"face_cards: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
