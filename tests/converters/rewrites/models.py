"""Small models for the rewrites, and running them before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import numpy as np
import tensorflow as tf
from edgebnn_convert.quiet import captured_stderr
from edgebnn_convert.rewrites import Change, rewrite
from edgebnn_convert.rewrites.check import check_rewrites

layers = tf.keras.layers
BINARY = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip"}


def conv(filters: int, size: Any = 3, **options: Any) -> Any:
    return lq.layers.QuantConv2D(filters, size, **{**BINARY, "use_bias": False, **options})


def dense(units: int, **options: Any) -> Any:
    return lq.layers.QuantDense(units, **{**BINARY, "use_bias": False, **options})


def conv1d(filters: int, size: int = 3, **options: Any) -> Any:
    return lq.layers.QuantConv1D(filters, size, **{**BINARY, "use_bias": False, **options})


def settle(model: Any, seed: int = 0, *, rising: bool = True) -> Any:
    """Weights as training leaves them; gammas > 0 if `rising`, else of both signs."""
    draw = np.random.default_rng(seed)
    for layer in model.submodules:
        if isinstance(layer, layers.BatchNormalization):
            size = layer.moving_mean.shape[0]
            if layer.scale:
                layer.gamma.assign(draw.uniform(0.2 if rising else -1.5, 1.5, size))
            if layer.center:
                layer.beta.assign(draw.normal(0, 1, size))
            layer.moving_mean.assign(draw.normal(0, 3, size))
            layer.moving_variance.assign(draw.uniform(0.5, 30, size))
        elif hasattr(layer, "bias") and layer.bias is not None:
            layer.bias.assign(draw.normal(0, 1, layer.bias.shape))
    return model


@dataclass
class Both:
    """Outputs of a model on the same inputs before and after the rewrites."""

    changes: tuple[Change, ...]
    before: list[Any]
    after: list[Any]
    model: Any

    @property
    def done(self) -> list[str]:
        return [change.rewrite for change in self.changes if change.done]

    @property
    def left(self) -> list[str]:
        return [change.text for change in self.changes if not change.done]

    @property
    def kinds(self) -> list[str]:
        return [type(layer).__name__ for layer in self.model.layers if type(layer).__name__ != "InputLayer"]

    def assert_equal(self) -> None:
        for a, b in zip(self.before, self.after, strict=True):
            np.testing.assert_array_equal(a, b)

    def assert_close(self, share: float = 1e-5) -> None:
        for a, b in zip(self.before, self.after, strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=share * max(1e-6, np.abs(a).max()))


def both(model: Any, seed: int = 0, *, arrays: dict[str, Any] | None = None) -> Both:
    """Three samples of standard normal inputs, a tenth of them exact zeros."""
    with captured_stderr():
        rewritten = rewrite(model)
    assert rewritten is not None
    draw = np.random.default_rng(seed)
    if arrays is None:
        arrays = {}
        for name, value in rewritten.before.inputs.items():
            x = draw.normal(size=(3, *value.shape[1:])).astype(np.float32)
            arrays[name] = np.where(draw.random(x.shape) < 0.1, np.float32(0), x)
    check_rewrites(rewritten.before, rewritten.after, arrays, "test")
    assert rewritten.model.output_names == model.output_names
    assert rewritten.model.input_names == model.input_names
    inputs = next(iter(arrays.values())) if len(arrays) == 1 else arrays
    before, after = (
        [y.numpy() for y in tf.nest.flatten(one(inputs, training=False))] for one in (model, rewritten.model)
    )
    return Both(rewritten.changes, before, after, rewritten.model)


def through(*stack: Any, shape: tuple[int, ...], rising: bool = True, seed: int = 0) -> Any:
    """A model of layers in a row, settled."""
    tf.keras.utils.set_random_seed(seed)
    with captured_stderr():
        x = source = tf.keras.Input(shape, name="x")
        for layer in stack:
            x = layer(x)
        return settle(tf.keras.Model(source, x), seed, rising=rising)
