"""Pictures with one class each, held in memory at the network's size."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.data.pictures import Image, read_rgb
from edgebnn.errors import DataError, MissingExtraError
from edgebnn.runtime.preprocess import letterbox

SHOWN_PROBLEMS = 20
PICTURES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"))
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Pictures (n, height, width, channels) uint8 and the index of each one's class (n,)."""

    images: Image
    labels: Labels

    def __len__(self) -> int:
        """How many there are."""
        return len(self.labels)


@dataclass(frozen=True)
class ExampleSet:
    """The splits of a data set and the names of its classes; `val` and `test` may be empty."""

    classes: tuple[str, ...]
    train: Examples
    val: Examples
    test: Examples


def read_digits() -> ExampleSet:
    """The 1,797 handwritten digits inside scikit-learn: 8x8 pixels of 0..16, ten classes.

    60 % train, 20 % val, 20 % test, by a fixed permutation. MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError("the digits are inside scikit-learn: run `pip install 'edgebnn[train]'`") from None
    bunch = load_digits()
    images = bunch.images.astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    fifth = len(labels) // 5
    parts = (order[: -2 * fifth], order[-2 * fifth : -fifth], order[-fifth:])
    train, val, test = (Examples(images[part], labels[part]) for part in parts)
    return ExampleSet(tuple(map(str, bunch.target_names)), train, val, test)


def read_folders(
    folders: Sequence[Path], *, width: int, height: int, channels: int, pad: int, memory_mb: int, threads: int = 2
) -> ExampleSet:
    """Pictures in DIR/CLASS/..., or DIR/{train,val,test}/CLASS/...; letterboxed to the size, grey for one channel.

    Without such splits every tenth file, by a hash of its path inside DIR, is `val`. Files that are no readable
    pictures are reported on stderr and skipped. DataError when there is nothing to learn or it does not fit memory.
    """
    found = {split: [entry for folder in folders for entry in _list(folder, split)] for split in _SPLITS}
    classes = tuple(sorted({name for name, _ in found["train"]}))
    shown = ", ".join(map(str, folders))
    if len(classes) < 2:
        raise DataError(f"expected a folder for each of two or more classes in {shown}, found {len(classes)}")
    foreign = sorted({name for split in ("val", "test") for name, _ in found[split]}.difference(classes))
    if foreign:
        raise DataError(f"class {foreign[0]!r} is in val or test only: give it training pictures")
    needed = sum(map(len, found.values())) * width * height * channels
    if needed > memory_mb * 2**20:
        raise DataError(
            f"the pictures take {needed / 2**20:.0f} MB at {width} x {height}, input.memory_mb is {memory_mb}: "
            "raise it, or take fewer or smaller pictures"
        )

    def read(file: Path) -> Image | None:
        picture = read_rgb(file)
        if picture is None:
            return None
        boxed, _, _ = letterbox(picture, width, height, pad)
        return cv2.cvtColor(boxed, cv2.COLOR_RGB2GRAY)[..., None] if channels == 1 else boxed

    problems = 0
    parts = []
    with ThreadPoolExecutor(threads) as pool:
        for entries in found.values():
            images, labels = [], []
            for (name, file), image in zip(entries, pool.map(read, [file for _, file in entries]), strict=True):
                if image is None:
                    problems += 1
                    if problems <= SHOWN_PROBLEMS:
                        print(f"edgebnn: {file} is not a readable picture, skipped", file=sys.stderr)
                    continue
                images.append(image)
                labels.append(classes.index(name))
            stacked = np.stack(images) if images else np.empty((0, height, width, channels), np.uint8)
            parts.append(Examples(stacked, np.array(labels, np.int64)))
    if problems > SHOWN_PROBLEMS:
        print(f"edgebnn: {problems} unreadable pictures skipped", file=sys.stderr)
    empty = sorted(set(range(len(classes))) - set(parts[0].labels.tolist()))
    if empty:
        raise DataError(f"class {classes[empty[0]]!r} has no readable training picture in {shown}")
    return ExampleSet(classes, *parts)


_SPLITS = ("train", "val", "test")


def _list(folder: Path, split: str) -> Iterator[tuple[str, Path]]:
    """(class, file) of a split, in the order of the paths."""
    if not folder.is_dir():
        raise DataError(f"expected {folder} to be a folder with one folder per class: check --data")
    apart = (folder / "train").is_dir()
    top = folder / split if apart else folder
    for directory in sorted(path for path in top.iterdir() if path.is_dir()) if top.is_dir() else ():
        if directory.name.startswith("."):
            continue
        for file in sorted(directory.rglob("*")):
            if file.suffix.lower() not in PICTURES or file.name.startswith(".") or not file.is_file():
                continue
            inside = os.fsencode(file.relative_to(top))
            if apart or split == ("val" if zlib.crc32(inside) % 10 == 0 else "train"):
                yield directory.name, file


def batch_at(
    examples: Examples, step: int, *, size: int, seed: int, shift: int = 0, flip: bool = False
) -> tuple[Image, Labels]:
    """Pictures (size, h, w, c) and labels (size,) of a step: a function of seed and step.

    Each epoch goes through all examples in an order of its own; what does not fill a batch is left out. `shift` moves
    a picture by up to so many pixels each way, the border repeated; `flip` mirrors half of them.
    """
    epoch, index = divmod(step, len(examples) // size)
    order = np.random.default_rng((seed, epoch)).permutation(len(examples))
    chosen = order[index * size : (index + 1) * size]
    images = examples.images[chosen]
    random = np.random.default_rng((seed, epoch, index))
    if shift:
        height, width = images.shape[1:3]
        moved = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="edge")
        by = random.integers(0, 2 * shift + 1, (size, 2))
        images = np.stack([one[y : y + height, x : x + width] for one, (y, x) in zip(moved, by.tolist(), strict=True)])
    if flip:
        mirrored = random.random(size) < 0.5
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    return images, examples.labels[chosen]
