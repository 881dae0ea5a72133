"""A Keras model before and after the rewrites, value by value, each fed what the model had before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebnn.errors import ParityError
from edgebnn_convert.difference import Array, compare
from edgebnn_convert.rewrites.graph import LayerGraph, Value


def check_rewrites(before: LayerGraph, after: LayerGraph, arrays: Mapping[str, Array], where: str) -> tuple[int, float]:
    """Compare every value that both graphs have: how many, and the worst float difference as a share of its range.

    The rewritten graph goes on with the original's values, so that rounding does not add up and flips no signs.
    ParityError names the first layer that differs.
    """
    expected = before.run(arrays)
    names = {value: call.name for call in after.calls for value in call.outputs}
    compared: dict[str, float] = {}
    faults: list[str] = []

    def watch(value: Value, array: Array) -> Array:
        original = value
        while original not in expected and original.same_as is not None:
            original = original.same_as
        if original not in expected:
            return array
        wanted: Array = expected[original].reshape(array.shape)
        difference = compare(wanted, array)
        if difference.differing:
            faults.append(f"{where}: the first layer that differs is {names[value]!r}: {difference}")
        compared[names[value]] = difference.share
        return wanted

    after.run(arrays, watch)
    if faults:
        raise ParityError(faults[0])
    return len(compared), float(np.max(list(compared.values()), initial=0))
