"""How far two values of one tensor lie apart, and what counts as equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FLOAT_TOLERANCE = 1e-4  # of the tensor's range
TIE = 1e-5  # of the range: a sign input this close to zero may fall on either side


@dataclass(frozen=True)
class Difference:
    """`differing` of `elements` lie outside of the tolerance; `worst` is the largest distance, `share` of the range."""

    elements: int
    differing: int
    worst: float
    share: float

    def __str__(self) -> str:
        """For reports."""
        of_range = f" ({100 * self.share:.2g} % of the range)" if self.share else ""
        return f"{self.differing} of {self.elements} elements differ, by up to {self.worst:.4g}{of_range}"


def extent(values: Array) -> float:
    """The range of a tensor: what tolerances are a share of; the larger of max - min and max |x|, 0 if all are 0."""
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    return float(max(np.ptp(finite), np.abs(finite).max())) if finite.size else 0.0


def compare(reference: Array, other: Array, *, tolerance: float = FLOAT_TOLERANCE, steps: int = 0) -> Difference:
    """Floats within `tolerance` of the range; integers and bools within `steps` (words of bits: exact)."""
    if reference.shape != other.shape or reference.dtype != other.dtype:
        return Difference(reference.size, reference.size, float("inf"), float("inf"))
    if reference.dtype.kind not in "fc":
        distance = np.abs(reference.astype(np.float64) - other.astype(np.float64))
        return Difference(reference.size, int((distance > steps).sum()), float(distance.max(initial=0)), 0.0)
    span = extent(reference)
    with np.errstate(invalid="ignore"):
        distance = np.abs(reference.astype(np.float64) - other.astype(np.float64))
    distance[(reference == other) | (np.isnan(reference) & np.isnan(other))] = 0
    distance[np.isnan(distance)] = np.inf
    worst = float(distance.max(initial=0))
    share = worst / span if span else (0.0 if worst == 0 else float("inf"))
    return Difference(reference.size, int((distance > tolerance * span).sum()), worst, share)
