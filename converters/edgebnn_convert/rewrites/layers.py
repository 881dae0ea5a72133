"""Layers that several rewrites put in."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


class ConstantPadding2D(tf.keras.layers.Layer):  # type: ignore[misc]
    """Pads height and width with a constant; `padding` is ((top, bottom), (left, right))."""

    def __init__(self, padding: Any, value: float, **options: Any) -> None:
        """Float `value`, which is added `padding` times."""
        super().__init__(**options)
        self.padding = [[int(n) for n in pair] for pair in padding]
        self.value = float(value)

    def call(self, inputs: Any) -> Any:
        """(n, h, w, c) to (n, top + h + bottom, left + w + right, c)."""
        return tf.pad(inputs, [[0, 0], *self.padding, [0, 0]], constant_values=self.value)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "padding": self.padding, "value": self.value}


class Bias(tf.keras.layers.Layer):  # type: ignore[misc]
    """x + bias, by channel or one number for all."""

    def __init__(self, bias: Any, **options: Any) -> None:
        """`bias` is an array, a list or a number."""
        super().__init__(**options)
        self.bias = np.asarray(bias, np.float32)

    def call(self, inputs: Any) -> Any:
        """Adds it."""
        return inputs + self.bias

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "bias": self.bias.tolist()}
