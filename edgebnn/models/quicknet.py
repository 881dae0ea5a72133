"""QuickNet (Bannink et al. 2021, "Larq Compute Engine", section 5): float stem, binary residual layers, transitions.

Options of ReActNet (Liu et al. 2020) in the form that converts: a sign with a learnt threshold is an offset per channel
in front of the plain sign; RPReLU is PReLU and such an offset, its shift before PReLU being the beta of the norm.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import pydantic
import tensorflow as tf
from pydantic import Field

layers = tf.keras.layers


class QuickNet(pydantic.BaseModel):
    """Parameters; a section is a count of binary layers of one width, the map's sides halved between sections."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Literal["quicknet"] = "quicknet"
    stem_stride: Annotated[Literal[1, 2, 4], Field(description="how much the stem shrinks the picture")] = 4
    channels: Annotated[
        tuple[Annotated[int, Field(ge=32, le=2048, multiple_of=32)], ...], Field(min_length=1, max_length=6)
    ] = (64, 128, 256, 512)
    layers: Annotated[tuple[Annotated[int, Field(ge=1, le=32)], ...], Field(min_length=1, max_length=6)] = (4, 4, 4, 4)
    activation: Annotated[
        Literal["relu", "rprelu"], Field(description="rprelu: ReActNet's, with learnt thresholds of the signs too")
    ] = "relu"
    bn_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9

    @pydantic.model_validator(mode="after")
    def _as_many(self) -> QuickNet:
        if len(self.channels) != len(self.layers):
            raise ValueError(f"{len(self.channels)} channels for {len(self.layers)} sections of layers")
        return self


@tf.keras.utils.register_keras_serializable("edgebnn")
class ChannelOffset(tf.keras.layers.Layer):  # type: ignore[misc]
    """x + b with one learnt b a channel, 0 at first."""

    def build(self, input_shape: Any) -> None:
        """Make b."""
        self.offset = self.add_weight(name="offset", shape=(int(input_shape[-1]),), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """`inputs` moved, of the same shape (..., channels)."""
        return inputs + self.offset


def build_quicknet(parameters: QuickNet, *, width: int, height: int, channels: int, classes: int) -> Any:
    """The network as a tf.keras.Model: float32 (n, height, width, channels) in -1..1 to scores (n, classes).

    ValueError when the pictures are too small for the sections.
    """
    smallest = parameters.stem_stride * 2 ** (len(parameters.channels) - 1)
    if width % smallest or height % smallest:
        raise ValueError(f"expected a width and height that are multiples of {smallest}, got {width} x {height}")
    build = _Builder(parameters)
    image = tf.keras.Input((height, width, channels), name="image")
    x = build.stem(image, parameters.channels[0])
    for section, (count, units) in enumerate(zip(parameters.layers, parameters.channels, strict=True), 1):
        if section > 1:
            x = build.transition(x, units, f"section{section}")
        for number in range(1, count + 1):
            x = build.layer(x, units, f"section{section}_layer{number}")
    x = layers.GlobalAveragePooling2D(name="pool")(layers.ReLU(name="last_relu")(x))
    return tf.keras.Model(image, layers.Dense(classes, name="scores")(x), name="quicknet")


class _Builder:
    def __init__(self, parameters: QuickNet) -> None:
        self.how = parameters

    def norm(self, x: Any, name: str) -> Any:
        return layers.BatchNormalization(momentum=self.how.bn_momentum, name=f"{name}_bn")(x)

    def stem(self, image: Any, units: int) -> Any:
        first, second = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[self.how.stem_stride]
        options = {"padding": "same", "use_bias": False}
        x = layers.Conv2D(max(units // 4, 8), 3, strides=first, name="stem_conv", **options)(image)
        x = layers.ReLU(name="stem_relu")(self.norm(x, "stem_conv"))
        x = layers.DepthwiseConv2D(3, strides=second, name="stem_depthwise", **options)(x)
        x = self.norm(x, "stem_depthwise")
        return self.norm(layers.Conv2D(units, 1, use_bias=False, name="stem_pointwise")(x), "stem_pointwise")

    def transition(self, x: Any, units: int, name: str) -> Any:
        """Pool with overlap, blur while striding, widen."""
        x = layers.MaxPool2D(2, strides=1, padding="same", name=f"{name}_pool")(layers.ReLU(name=f"{name}_relu")(x))
        options = {"padding": "same", "use_bias": False}
        x = layers.DepthwiseConv2D(3, strides=2, name=f"{name}_blur", **options)(x)
        return self.norm(layers.Conv2D(units, 1, use_bias=False, name=f"{name}_pointwise")(x), name)

    def layer(self, x: Any, units: int, name: str) -> Any:
        """Binary 3x3 and a shortcut around it."""
        learnt = self.how.activation == "rprelu"
        y = ChannelOffset(name=f"{name}_threshold")(x) if learnt else x
        y = lq.layers.QuantConv2D(
            units,
            3,
            padding="same",
            pad_values=1.0,
            use_bias=False,
            input_quantizer="ste_sign",
            kernel_quantizer="ste_sign",
            kernel_constraint="weight_clip",
            kernel_initializer="glorot_normal",
            activation=None if learnt else "relu",
            name=f"{name}_conv",
        )(y)
        y = layers.Add(name=f"{name}_add")([x, self.norm(y, name)])
        if not learnt:
            return y
        start = tf.keras.initializers.Constant(0.25)
        y = layers.PReLU(shared_axes=[1, 2], alpha_initializer=start, name=f"{name}_prelu")(y)
        return ChannelOffset(name=f"{name}_after")(y)
