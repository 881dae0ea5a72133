"""Filter repetition: how many of a binary layer's k x k filters are different.

Courbariaux et al. 2016, section 4.3: each output is a sum over input channels of 2-D filters of k x k signs, and on one
input channel many outputs use the same filter, or its inverse. Hardware that convolves each input channel with its
different filters only, and adds up what belongs together, saves the rest. On a CPU it does not pay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebnn import bits
from edgebnn.inspection.graph import Network


@dataclass(frozen=True)
class Repetition:
    """Of one binary convolution: `unique` of its `filters` 2-D filters differ, counted per input channel."""

    layer: str
    index: int  # of the operator
    size: tuple[int, int]
    filters: int
    unique: int
    unique_up_to_sign: int

    @property
    def saving(self) -> float:
        """How many times fewer 2-D convolutions, when a filter and its inverse are computed once."""
        return self.filters / self.unique_up_to_sign

    def as_json(self) -> dict[str, object]:
        """Counts, shares and the saving."""
        return {
            "operator": self.index,
            "name": self.layer,
            "size": list(self.size),
            "filters": self.filters,
            "unique": self.unique,
            "unique_up_to_sign": self.unique_up_to_sign,
            "unique_share": self.unique / self.filters,
            "unique_up_to_sign_share": self.unique_up_to_sign / self.filters,
            "saving": self.saving,
        }


def filter_repetition(network: Network) -> list[Repetition]:
    """One entry a binary convolution of the main graph, in its order."""
    graph, found = network.main, []
    for operator in graph.operators:
        if operator.name != "LceBconv2d" or len(operator.inputs) < 2 or operator.inputs[1] < 0 or not operator.outputs:
            continue
        packed = graph.tensors[operator.inputs[1]]
        if packed.data is None or packed.dtype != "int32" or len(packed.shape) != 4 or not packed.elements:
            continue
        words, total = packed.shape[3], max(0, operator.options.get("channels_in", 0))
        channels = min(total, words * bits.WORD)  # of a group, where there are groups
        if channels == 0:
            continue
        negative = bits.unpack(packed.value().astype(np.int32), channels)
        unique, up_to_sign = count_unique(negative)
        found.append(
            Repetition(
                layer=graph.tensors[operator.outputs[0]].name,
                index=operator.index,
                size=(packed.shape[1], packed.shape[2]),
                filters=packed.shape[0] * channels,
                unique=unique,
                unique_up_to_sign=up_to_sign,
            )
        )
    return found


def count_unique(negative: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Of filters (outputs, height, width, inputs): different 2-D ones, summed over inputs; the same up to sign."""
    outputs, height, width, inputs = negative.shape
    flat = negative.reshape(outputs, height * width, inputs).transpose(2, 0, 1)
    return _different(flat), _different(flat ^ flat[:, :, :1])  # the first sign made +: inverses become equal


def _different(filters: npt.NDArray[np.bool_]) -> int:
    """Different rows of (inputs, outputs, bits), summed over inputs."""
    octets = np.packbits(filters, axis=-1)
    rows = np.ascontiguousarray(octets).view(np.dtype((np.void, octets.shape[-1])))[..., 0]
    return sum(np.unique(row).size for row in rows)


def as_text(found: list[Repetition]) -> list[str]:
    """A table with a mean; one line when there are no binary convolutions."""
    if not found:
        return ["no binary convolutions: no filters to compare"]
    lines = ["  #  filters          unique  up to sign  saving  layer"]
    for entry in found:
        height, width = entry.size
        lines.append(
            f"{entry.index:3}  {entry.filters:8,} {height}x{width}  {100 * entry.unique / entry.filters:6.1f} %"
            f"    {100 * entry.unique_up_to_sign / entry.filters:6.1f} %  {entry.saving:5.2f}x  {entry.layer}"
        )
    spatial = [entry for entry in found if entry.size != (1, 1)]
    if spatial:
        share = float(np.mean([entry.unique / entry.filters for entry in spatial]))
        up_to_sign = float(np.mean([entry.unique_up_to_sign / entry.filters for entry in spatial]))
        lines.append(
            f"mean over {len(spatial)} layers larger than 1x1: {100 * share:.1f} % unique, {100 * up_to_sign:.1f} % "
            "up to sign (42 % in the paper's CIFAR-10 network); the saving is special hardware's, not this CPU's"
        )
    return lines
