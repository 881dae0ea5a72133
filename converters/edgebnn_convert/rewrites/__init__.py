"""Rewrites of Keras models that let Larq Compute Engine (LCE) keep them binary; docs/converting.md lists them.

Each module states one rewrite as Given -> Result, how exact it is and what it is for. They are applied in the order of
REWRITES, once each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)
from edgebnn_convert.checkpoint import first_line
from edgebnn_convert.quiet import captured_stderr
from edgebnn_convert.rewrites.activations import drop_activations
from edgebnn_convert.rewrites.dense import lift_dense
from edgebnn_convert.rewrites.graph import LayerGraph, read
from edgebnn_convert.rewrites.idle import drop_idle_layers
from edgebnn_convert.rewrites.padding import simplify_padding
from edgebnn_convert.rewrites.pooling import pool_after_normalization
from edgebnn_convert.rewrites.report import Change
from edgebnn_convert.rewrites.scaling import fold_scaling
from edgebnn_convert.rewrites.time_series import lift_time_series

REWRITES: tuple[Callable[[LayerGraph], list[Change]], ...] = (
    drop_idle_layers,
    drop_activations,
    lift_time_series,
    lift_dense,
    fold_scaling,
    simplify_padding,
    pool_after_normalization,
)


@dataclass(frozen=True)
class Rewritten:
    """A Keras model `before` and `after` the rewrites; `model` is what LCE is given."""

    before: LayerGraph
    after: LayerGraph
    changes: tuple[Change, ...]
    model: Any

    @property
    def is_changed(self) -> bool:
        """Whether any rewrite found its place."""
        return any(change.done for change in self.changes)


def rewrite(model: Any) -> Rewritten | None:
    """All rewrites of a functional or sequential Keras model, which stays as it is; None for one without a graph.

    A model that cannot be built again from its layers is not rewritten; `changes` says why.
    """
    with captured_stderr():  # Larq warns of each layer that is made
        before = read(model)
        if before is None:
            return None
        after = before.copy()
        try:
            changes = [change for apply in REWRITES for change in apply(after)]
            after.prune()
            rewritten = after.build() if any(change.done for change in changes) else None
        except Exception as error:  # a layer of the user's, whose from_config or call may raise what it likes
            reason = f"the model cannot be built again from its layers, {first_line(error)}"
            return Rewritten(before, before, (Change("all", model.name, reason, done=False),), model)
        if rewritten is None:
            return Rewritten(before, before, tuple(changes), model)
        return Rewritten(before, after, tuple(changes), rewritten)
