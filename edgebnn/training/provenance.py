"""The card of a checkpoint: what a recipe and an epoch's figures say about it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import edgebnn
from edgebnn.card import Card, Decode, Level, Preprocess, Training
from edgebnn.models.face import STRIDES
from edgebnn.training.recipe import DetectionRecipe

MEAN = STD = 127.5
PACKAGES = ("tensorflow", "tf-keras", "larq", "numpy")


def preprocess_of(recipe: DetectionRecipe) -> Preprocess:
    """How a frame becomes the network's input."""
    how = recipe.export
    return Preprocess(width=how.width, height=how.height, pad=how.pad, mean=MEAN, std=STD, turns=how.turns)


def decode_of(recipe: DetectionRecipe, *, min_score: float = 0.5) -> Decode:
    """How the network's outputs become boxes."""
    pairs = zip(STRIDES, recipe.model.scales, strict=True)
    levels = tuple(Level(output=f"s{stride}", stride=stride, scale=scale) for stride, scale in pairs)
    return Decode(levels=levels, min_score=min_score, nms_iou=recipe.export.nms_iou)


def crops_seen(recipe: DetectionRecipe, step: int) -> int:
    """Crops in the first `step` steps."""
    how = recipe.batches
    large = step // how.large_every if how.large_every else 0
    return (step - large) * how.size + large * how.large_size


def describe(
    recipe: DetectionRecipe, row: Mapping[str, float], *, data: tuple[str, ...], pictures: int, checkpoint_sha256: str
) -> Card:
    """The card of a checkpoint after the epoch whose figures are `row`.

    The default score threshold is the one with the best F1 on the validation split.
    """
    metrics = {f"val_{name}": round(row[name], 4) for name in row if name.startswith("ap50_")}
    metrics |= {f"val_{name}_24": round(row[name], 4) for name in ("recall", "precision") if name in row}
    min_score = min(max(round(row.get("best_score", 0.5), 3), 0.05), 0.95)
    return Card(
        name=recipe.name,
        task="detect",
        classes=("face",),
        preprocess=preprocess_of(recipe),
        decode=decode_of(recipe, min_score=min_score),
        metrics=metrics,
        training=Training(
            recipe=recipe.name,
            data=data,
            pictures=pictures,
            epochs=row["epoch"],
            samples=crops_seen(recipe, int(row["step"])),
            checkpoint_sha256=checkpoint_sha256,
            versions=versions(),
        ),
        licence=recipe.licence,
    )


def versions() -> dict[str, str]:
    """Versions of the packages that training depends on."""
    out = {"edgebnn": edgebnn.__version__}
    for name in PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out
