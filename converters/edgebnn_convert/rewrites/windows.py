"""How a convolution's windows lie on its input."""

from __future__ import annotations

from typing import Any

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


def padded(shape: Shape, padding: list[tuple[int, int]]) -> Shape:
    """The shape of an NHWC tensor behind ConstantPadding2D."""
    spatial = [size + sum(pair) for size, pair in zip(shape[1:-1], padding, strict=True) if size is not None]
    return (shape[0], *spatial, shape[-1])
