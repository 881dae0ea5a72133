"""BinaryNet, the networks of Courbariaux et al. 2016: an MLP without blocks, a VGG-like CNN with them.

Dense layers are written as convolutions over their whole input, then 1x1, which Larq Compute Engine runs in binary;
each QuantDense would become a float operator. Normalization comes before pooling, where the paper has it behind: the
same function for gamma >= 0, and the pooling then works on bits.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import pydantic
import tensorflow as tf
from pydantic import Field

from edgebnn.models.shift_norm import ShiftBatchNormalization
from edgebnn.quantizers import StochasticSign

Units = Annotated[int, Field(ge=1, le=8192)]

WEIGHTS = {"sign": "ste_sign", "magnitude": "magnitude_aware_sign"}
ACTIVATIONS = {"sign": "ste_sign", "approx": "approx_sign", "swish": "swish_sign"}


class BinaryNet(pydantic.BaseModel):
    """Parameters. Each of `blocks` is a list of 3x3 convolutions, by channels, that a 2x2 max pooling ends."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Literal["binarynet"] = "binarynet"
    blocks: tuple[Annotated[tuple[Units, ...], Field(min_length=1)], ...] = ()
    dense: Annotated[tuple[Units, ...], Field(description="hidden dense layers behind the blocks, by units")] = ()
    weights: Annotated[
        Literal["sign", "stochastic", "magnitude", "float"], Field(description="how kernels are quantized")
    ] = "sign"
    activations: Annotated[
        Literal["sign", "stochastic", "approx", "swish", "float"], Field(description="float: ReLU")
    ] = "sign"
    norm: Literal["batch", "shift"] = "batch"
    bn_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    bn_epsilon: Annotated[float, Field(gt=0, lt=1)] = 1e-4


def build_binarynet(parameters: BinaryNet, *, width: int, height: int, channels: int, classes: int) -> Any:
    """The network as a tf.keras.Model: float32 (n, height, width, channels) in -1..1 to scores (n, classes).

    ValueError when the pictures are too small for the poolings. The first layer has real inputs and binary weights;
    every other one has both binary, the last too.
    """
    smallest = 2 ** len(parameters.blocks)
    if width % smallest or height % smallest:
        raise ValueError(f"expected a width and height that are multiples of {smallest}, got {width} x {height}")
    build = _Builder(parameters)
    image = x = tf.keras.Input((height, width, channels), name="image")
    for number, block in enumerate(parameters.blocks, 1):
        for place, units in enumerate(block, 1):
            x = build.layer(x, units, 3, f"block{number}_conv{place}")
        x = tf.keras.layers.MaxPooling2D(2, name=f"block{number}_pool")(x)
    for number, units in enumerate(parameters.dense, 1):
        x = build.layer(x, units, None, f"dense{number}")
    x = build.layer(x, classes, None, "out")
    return tf.keras.Model(image, tf.keras.layers.Reshape((classes,), name="scores")(x), name="binarynet")


class _Builder:
    def __init__(self, parameters: BinaryNet) -> None:
        self.how = parameters
        self.made = 0

    def layer(self, x: Any, units: int, kernel: int | None, name: str) -> Any:
        """Activation (but not of the image), convolution (over all of the map without `kernel`), normalization."""
        how = self.how
        options: dict[str, Any] = {"use_bias": False, "padding": "valid"}
        if kernel:
            options |= {"padding": "same", "pad_values": 1.0 if self.made and how.activations != "float" else 0.0}
        if how.weights == "float":
            options["kernel_initializer"] = "glorot_uniform"
        else:
            options["kernel_quantizer"] = self.quantizer(WEIGHTS, how.weights, shared=True)
            options["kernel_constraint"] = "weight_clip"
            options["kernel_initializer"] = tf.keras.initializers.RandomUniform(-1.0, 1.0)
        if self.made and how.activations == "float":
            x = tf.keras.layers.ReLU(name=f"{name}_relu")(x)
        elif self.made:
            options["input_quantizer"] = self.quantizer(ACTIVATIONS, how.activations, shared=False)
        x = lq.layers.QuantConv2D(units, kernel or tuple(x.shape[1:3]), name=name, **options)(x)
        self.made += 1
        kind = ShiftBatchNormalization if how.norm == "shift" else tf.keras.layers.BatchNormalization
        return kind(momentum=how.bn_momentum, epsilon=how.bn_epsilon, name=f"{name}_bn")(x)

    def quantizer(self, names: dict[str, str], wanted: str, *, shared: bool) -> Any:
        """A quantizer of Larq's, or ours with a seed that no other one of the network has."""
        if wanted == "stochastic":
            return StochasticSign(seed=2 * self.made + (not shared), shared=shared)
        return lq.quantizers.get(names[wanted])
