"""The classic formulas that tell sleep from wake by wrist activity, and the plain motion threshold.

Each takes activity (n,) per epoch of 30 s without gaps (0 where nothing is known) in the counts of the device that it
was made for, and gives its index (n,). Counts of another device must be brought to that scale first: `Baseline.wake`
takes a factor, which `best_scale` finds on scored nights. `causal` uses no later epoch: the weights of the future fall
to the past and the present, in proportion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebnn.evaluation.sleep.scores import cohens_kappa

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# Cole, Kripke, Gruen, Mullaney and Gillin 1992, "Automatic sleep/wake identification from wrist activity", Sleep
# 15:461: activity of the minutes -4 to +2; awake where 0.001 times the sum reaches 1.
COLE_KRIPKE = np.array([106, 54, 58, 76, 230, 74, 67]) * 0.001
# Oakley 1997, technical report of Cambridge Neurotechnology; weights for 30 s as in the Actiware manual, epochs -4 to
# +4; awake above 40 counts.
OAKLEY = np.array([1 / 25, 1 / 25, 1 / 5, 1 / 5, 2, 1 / 5, 1 / 5, 1 / 25, 1 / 25])
OAKLEY_THRESHOLD = 40.0


def per_minute(activity: Floats) -> Floats:
    """Counts of the minute that ends with each epoch: its own and those of the epoch before."""
    return activity + _shifted(activity, -1)


def cole_kripke(activity: Floats, *, causal: bool = False) -> Floats:
    """Cole-Kripke's D, every half minute: awake from 1 up."""
    return _weighted(per_minute(activity), COLE_KRIPKE, present=4, step=2, causal=causal)


def sadeh(activity: Floats, *, causal: bool = False) -> Floats:
    """PS of Sadeh, Sharkey and Carskadon 1994, "Activity-based sleep-wake identification", Sleep 17:201: awake below 0.

    PS = 7.601 - 0.065 mean - 1.08 nat - 0.056 sd - 0.703 ln(count + 1), with the mean count of the 11 minutes around,
    how many of them have 50 to 100 counts, and the standard deviation of the last 6. Causal: the 11 minutes up to now.
    """
    minutes = per_minute(activity)
    offsets = range(-10, 1) if causal else range(-5, 6)
    window = np.stack([_shifted(minutes, 2 * offset) for offset in offsets])
    recent = np.stack([_shifted(minutes, 2 * offset) for offset in range(-5, 1)])
    nat = ((window >= 50) & (window < 100)).sum(axis=0)
    mean, sd, log = window.mean(axis=0), recent.std(axis=0), np.log1p(minutes)
    ps: Floats = 7.601 - 0.065 * mean - 1.08 * nat - 0.056 * sd - 0.703 * log
    return ps


def oakley(activity: Floats, *, causal: bool = False) -> Floats:
    """Oakley's weighted counts: awake above the medium threshold of 40."""
    return _weighted(activity, OAKLEY, present=4, step=1, causal=causal)


def motion(activity: Floats, *, causal: bool = True) -> Floats:
    """The plain rule, activity itself: awake from 1 count up. It never uses other epochs."""
    return activity


def _weighted(values: Floats, weights: Floats, *, present: int, step: int, causal: bool) -> Floats:
    """Sum of weights[k] * values[t + (k - present) * step], zeros outside."""
    if causal:
        past = weights[: present + 1]
        weights = past * (weights.sum() / past.sum())
    total: Floats = np.sum([w * _shifted(values, (k - present) * step) for k, w in enumerate(weights)], axis=0)
    return total


def _shifted(values: Floats, by: int) -> Floats:
    """values[t + by], zeros outside."""
    out = np.zeros_like(values, np.float64)
    if by == 0:
        out[:] = values
    elif by < 0:
        out[-by:] = values[:by]
    else:
        out[:-by] = values[by:]
    return out


@dataclass(frozen=True)
class Baseline:
    """A formula and what its index says."""

    name: str
    index: Callable[..., Floats]
    """(activity, *, causal) to index, each (n,)"""
    awake: Callable[[Floats], Bools]
    """index to whether awake"""
    looks_ahead: bool = True
    """whether it uses later epochs unless it is told to be causal"""

    def wake(self, activity: Floats, *, scale: float = 1.0, causal: bool = False) -> Bools:
        """Where the formula says awake for `activity` times `scale`."""
        return self.awake(self.index(activity * scale, causal=causal))


BASELINES = (
    Baseline("cole-kripke", cole_kripke, lambda index: index >= 1),
    Baseline("sadeh", sadeh, lambda index: index < 0),
    Baseline("oakley", oakley, lambda index: index > OAKLEY_THRESHOLD),
    Baseline("motion", motion, lambda index: index >= 1, looks_ahead=False),
)


def best_scale(
    baseline: Baseline,
    nights: Sequence[tuple[Floats, Bools, Bools]],
    *,
    causal: bool,
) -> float:
    """The factor on activity with the best pooled kappa on nights of (activity, truly awake, scored).

    Found on the nights that it is then judged on, it flatters the baseline and never what is compared with it.
    """
    positive = np.concatenate([activity[activity > 0] for activity, _, _ in nights])
    typical = float(np.median(positive)) if positive.size else 1.0
    truth = np.concatenate([awake[scored] for _, awake, scored in nights])
    best, best_kappa = 1.0, -np.inf
    for scale in np.geomspace(1e-2, 1e4, 37) / typical:
        said = np.concatenate(
            [baseline.wake(activity, scale=scale, causal=causal)[scored] for activity, _, scored in nights]
        )
        kappa = cohens_kappa(truth, said)
        if kappa > best_kappa:
            best, best_kappa = float(scale), kappa
    return best
