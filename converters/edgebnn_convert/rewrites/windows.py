"""How a convolution's windows lie on its input."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from edgebnn_convert.rewrites.graph import Shape


def same_padding(layer: Any, shape: Shape) -> list[tuple[int, int]]:
    """Pixels in front of and behind each spatial axis that padding="same" adds to an input of `shape`, NHWC or NWC."""
    pads = []
    for size, kernel, stride, dilation in zip(
        shape[1:-1], layer.kernel_size, layer.strides, layer.dilation_rate, strict=True
    ):
        assert size is not None
        span = (kernel - 1) * dilation + 1
        total = max(0, (-(-size // stride) - 1) * stride + span - size)
        pads.append((total // 2, total - total // 2))
    return pads


def pads(layer: Any, shape: Shape) -> bool:
    """Whether any window of a convolution reaches over the edge of its input."""
    if layer.padding == "valid":
        return False
    return layer.padding != "same" or any(map(any, same_padding(layer, shape)))


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


def padded(shape: Shape, padding: list[tuple[int, int]]) -> Shape:
    """The shape of an NHWC tensor behind ConstantPadding2D."""
    spatial = [size + sum(pair) for size, pair in zip(shape[1:-1], padding, strict=True) if size is not None]
    return (shape[0], *spatial, shape[-1])
