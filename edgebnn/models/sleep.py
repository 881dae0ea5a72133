"""A binarized network of nights: a pyramid of convolutions in time, each seeing four of what the one before it saw.

On the device every level strides by its four taps, 256 epochs to 64, 16, 4 and 1: the answer for the newest epoch. In
training the strides become dilations of 1, 4, 16 and 64, which answer for every epoch of a night at once. Both have the
same weights and compute the same function, without a look at the future. Time lies along the width: (n, 1, time,
channels), so that Larq Compute Engine keeps the convolutions binary.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import pydantic
import tensorflow as tf
from pydantic import Field

layers = tf.keras.layers

TAPS = 4
STAGES = 5


class SleepNetwork(pydantic.BaseModel):
    """Parameters; the first level is a float convolution of the features, the others are binary."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Literal["sleep"] = "sleep"
    channels: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] = 64
    levels: Annotated[int, Field(ge=2, le=5, description="the network sees 4 ** levels epochs")] = 4
    blocks: Annotated[int, Field(ge=0, le=8, description="binary residual 1x1 convolutions behind each level")] = 1
    binary: Annotated[bool, Field(description="false: the float twin, for comparison")] = True
    bn_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.97

    @property
    def window(self) -> int:
        """Epochs that an answer depends on."""
        window: int = TAPS**self.levels
        return window


def build_sleep_network(parameters: SleepNetwork, *, features: int, answers: int | None = None) -> Any:
    """The network as a tf.keras.Model.

    Without `answers`, as on the device: float32 (n, 1, window, features) to {"wake": (n, 1), "restless": (n, 1),
    "stages": (n, 5)}, logits for the newest epoch. With `answers`: (n, 1, window - 1 + answers, features) to logits
    (n, answers, 1 or 5) for the newest ones. Weights come in the same order in both.
    """
    build = _Builder(parameters, strided=answers is None)
    time = parameters.window + (answers or 1) - 1
    night = x = tf.keras.Input((1, time, features), name="night")
    x = build.level(x, "level1", dilation=1, first=True)
    for number in range(2, parameters.levels + 1):
        x = build.level(x, f"level{number}", dilation=TAPS ** (number - 1))
    x = build.norm(layers.Conv2D(parameters.channels, 1, use_bias=False, name="head_conv")(x), "head")
    x = layers.ReLU(name="head_relu")(x)
    logits = {
        name: layers.Conv2D(width, 1, name=f"{name}_conv")(x)
        for name, width in (("wake", 1), ("restless", 1), ("stages", STAGES))
    }
    shape = {
        name: (value.shape[-1],) if answers is None else (answers, value.shape[-1]) for name, value in logits.items()
    }
    outputs = {name: layers.Reshape(shape[name], name=name)(value) for name, value in logits.items()}
    return tf.keras.Model(night, outputs, name="sleep")


@tf.keras.utils.register_keras_serializable(package="edgebnn")
class TrailingMean(tf.keras.layers.Layer):  # type: ignore[misc]
    """Mean of TAPS values `dilation` apart: (n, 1, time, c) to (n, 1, time - (TAPS - 1) * dilation, c)."""

    def __init__(self, dilation: int, **options: Any) -> None:
        """`dilation` in steps of time."""
        super().__init__(**options)
        self.dilation = dilation

    def call(self, inputs: Any) -> Any:
        """Shifted slices, averaged."""
        last = inputs.shape[2] - (TAPS - 1) * self.dilation
        return tf.add_n([inputs[:, :, tap * self.dilation :][:, :, :last] for tap in range(TAPS)]) / TAPS

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "dilation": self.dilation}


class _Builder:
    def __init__(self, parameters: SleepNetwork, *, strided: bool) -> None:
        self.how, self.strided = parameters, strided

    def norm(self, x: Any, name: str) -> Any:
        return layers.BatchNormalization(momentum=self.how.bn_momentum, epsilon=1e-3, name=f"{name}_bn")(x)

    def level(self, x: Any, name: str, *, dilation: int, first: bool = False) -> Any:
        """Four times as long a view: a convolution over time with the mean beside it, then blocks."""
        steps: dict[str, Any] = {"strides": (1, TAPS)} if self.strided else {"dilation_rate": (1, dilation)}
        y = self.convolution(x, (1, TAPS), f"{name}_conv", first=first, **steps)
        if not first:
            if self.strided:
                mean = layers.AveragePooling2D((1, TAPS), name=f"{name}_mean")(x)
            else:
                mean = TrailingMean(dilation, name=f"{name}_mean")(x)
            y = layers.Add(name=f"{name}_add")([mean, y])
        for number in range(1, self.how.blocks + 1):
            block = f"{name}_block{number}"
            y = layers.Add(name=f"{block}_add")([y, self.convolution(y, 1, block)])
        return y

    def convolution(self, x: Any, kernel: Any, name: str, *, first: bool = False, **steps: Any) -> Any:
        """Sign, convolution, ReLU, normalization; the first one takes features as they are, and has no ReLU."""
        options = {"use_bias": False, "kernel_initializer": "glorot_normal", "name": name, **steps}
        if not first:
            options["activation"] = "relu"
        if first or not self.how.binary:
            x = layers.Conv2D(self.how.channels, kernel, **options)(x)
        else:
            signs = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip"}
            x = lq.layers.QuantConv2D(self.how.channels, kernel, **options, **signs)(x)
        return self.norm(x, name)
