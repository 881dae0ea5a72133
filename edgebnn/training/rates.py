"""Learning rates as functions of the step."""

from __future__ import annotations

import numpy as np


def cosine(
    step: int, *, total: int, rate: float, final_rate: float, warmup_steps: int, decay_steps: int | None = None
) -> float:
    """Linear warm-up to `rate`, then a cosine that reaches `final_rate` at step `total`.

    The cosine takes the last `decay_steps`; without, or where there are fewer, all steps after the warm-up.
    """
    begin = warmup_steps if decay_steps is None else max(total - decay_steps, warmup_steps)
    if step < warmup_steps:
        return rate * (step + 1) / warmup_steps
    share = max(step - begin, 0) / max(total - begin, 1)
    return float(final_rate + (rate - final_rate) * (1 + np.cos(np.pi * min(share, 1))) / 2)


def exponential(epoch: int, *, total: int, rate: float, final_rate: float) -> float:
    """rate * (final_rate / rate) ** (epoch / total): the same factor every epoch (Courbariaux et al. 2016)."""
    return float(rate * (final_rate / rate) ** (epoch / total))
