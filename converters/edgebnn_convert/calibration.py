"""Samples for int8: a folder of pictures, or of .npz files with arrays by input name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from edgebnn.card import Preprocess
from edgebnn.errors import ModelError
from edgebnn_convert.difference import Array

MOST_FILES = 200
"""More files add nothing: of a larger folder every n-th is taken."""
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")

Shape = tuple[int, ...]


def read_samples(
    folder: Path, inputs: Mapping[str, Shape], preprocess: Preprocess | None
) -> Iterator[dict[str, Array]]:
    """Arrays by input name of up to MOST_FILES files, in the order of their paths.

    `inputs` gives shapes with a batch of 1. Pictures are letterboxed and scaled as `preprocess` says. An .npz holds one
    sample, or several along the first axis. ModelError, in one sentence, for a folder or file that does not fit.
    """
    files = _files(folder)
    pictures = files[0].suffix.lower() in _PICTURES
    if pictures:
        _check_pictures(inputs, preprocess)
    step = -(-len(files) // MOST_FILES)
    for file in files[::step]:
        if pictures:
            assert preprocess is not None
            name, shape = next(iter(inputs.items()))
            yield {name: _read_picture(file, shape, preprocess)}
        else:
            yield from _read_arrays(file, inputs)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ModelError(f"expected {folder} to be a folder of pictures or .npz files for calibration")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for suffixes in (_PICTURES, (".npz",)):
        found = [file for file in files if file.suffix.lower() in suffixes]
        if found:
            return found
    raise ModelError(f"{folder} holds no pictures ({', '.join(_PICTURES)}) and no .npz files to calibrate with")


def _check_pictures(inputs: Mapping[str, Shape], preprocess: Preprocess | None) -> None:
    shapes = list(inputs.values())
    if preprocess is None:
        raise ModelError(
            "calibrating with pictures needs a card whose preprocess says how they are scaled: give --card, "
            "or a folder of .npz files with arrays by input name"
        )
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] not in (1, 3):
        got = ", ".join(f"{name} {shape}" for name, shape in inputs.items())
        raise ModelError(f"pictures fit one input (1, height, width, 1 or 3), the model has {got}: use .npz files")


def _read_picture(file: Path, shape: Shape, preprocess: Preprocess) -> Array:
    import cv2

    from edgebnn.runtime.preprocess import input_table, letterbox

    bgr = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR) if file.stat().st_size else None
    if bgr is None:
        raise ModelError(f"cannot decode the calibration picture {file}: remove it from the folder")
    image, _, _ = letterbox(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), shape[2], shape[1], preprocess.pad)
    if shape[3] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    values: Array = input_table(np.float32, preprocess.mean, preprocess.std)[image][None]
    return values


def _read_arrays(file: Path, inputs: Mapping[str, Shape]) -> Iterator[dict[str, Array]]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name], np.float32) for name in inputs if name in archive}
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the calibration file {file}: expected an .npz of plain arrays") from error
    for name, shape in inputs.items():
        got = arrays[name].shape if name in arrays else "nothing"
        if got == "nothing" or got[1:] != shape[1:] or not got[0]:
            expected = f"(n, {', '.join(map(str, shape[1:]))})"
            raise ModelError(f"{file}: expected an array {name!r} of the shape {expected}, it holds {got}")
    counts = {len(array) for array in arrays.values()}
    if len(counts) != 1:
        raise ModelError(f"{file}: expected as many samples of each input, got {', '.join(map(str, sorted(counts)))}")
    for i in range(counts.pop()):
        yield {name: array[i : i + 1] for name, array in arrays.items()}
