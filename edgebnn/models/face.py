"""An anchor-free binarized face detector: float stem, binary residual blocks, two-step neck, float heads.

Every binary convolution is sign -> 3x3 -> activation -> BatchNorm with one-padding (the order of QuickNet). With ReLU,
Larq Compute Engine makes a single LceBconv2d of it; PReLU and the BatchNorm behind it stay operators of their own.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import numpy as np
import pydantic
import tensorflow as tf
from pydantic import Field

STRIDES = (8, 16, 32)
MEAN_LATENT = 1 / 3
"""mean size of latent weights, which are within -1..1, of a network that starts from its twin"""

Channels = Annotated[int, Field(ge=32, le=1024, multiple_of=32)]
Blocks = Annotated[int, Field(ge=0, le=16)]


class FaceNetwork(pydantic.BaseModel):
    """Parameters of the face network; the three entries of a tuple belong to strides 8, 16 and 32."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: Literal["face"] = "face"
    stem: Annotated[int, Field(ge=4, le=128, description="channels of the first convolution")] = 16
    channels: tuple[Channels, Channels, Channels] = (64, 128, 128)
    blocks: tuple[Blocks, Blocks, Blocks] = (3, 2, 1)
    scales: Annotated[
        tuple[float, float, float], Field(description="a distance is exp(t) * stride * scale input pixels")
    ] = (1.1, 1.3, 1.6)
    activation: Annotated[
        Literal["relu", "prelu"], Field(description="behind binary convolutions; prelu learns a slope a channel")
    ] = "relu"
    bn_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.97
    binary: Annotated[bool, Field(description="false: the float twin of the same topology, to compare with")] = True


def build_face_network(parameters: FaceNetwork, *, width: int, height: int, like: Any = None) -> Any:
    """The network as a tf.keras.Model: float32 (n, height, width, 3) in -1..1 to {"s8", "s16", "s32"}.

    Each output is (n, height/stride, width/stride, 5): score logit, log distances left, top, right, bottom.
    Width and height are multiples of 32. With `like`, a model of the same parameters, both share their weights.
    """
    for side in (width, height):
        if side <= 0 or side % STRIDES[-1]:
            raise ValueError(f"expected a width and height that are multiples of {STRIDES[-1]}, got {width} x {height}")
    build = _Builder(parameters, {} if like is None else {layer.name: layer for layer in like.layers})
    at8, at16, at32 = parameters.channels
    image = tf.keras.Input((height, width, 3), name="image")
    x = build.stem(image, parameters.stem, "stem")
    s8 = build.stage(x, at8, parameters.blocks[0], "stage8")
    s16 = build.stage(s8, at16, parameters.blocks[1], "stage16")
    s32 = build.stage(s16, at32, parameters.blocks[2], "stage32")
    s16 = build.merge(s16, s32, at16, "neck16")
    s8 = build.merge(s8, s16, at8, "neck8")
    outputs = {f"s{stride}": build.head(x, f"s{stride}") for stride, x in zip(STRIDES, (s8, s16, s32), strict=True)}
    return tf.keras.Model(image, outputs, name="face")


def take_weights(network: Any, other: Any) -> list[str]:
    """Copy the weights of `other`, a face network of the same channels, into `network`, which may have grown.

    What only `network` has starts so that it changes nothing: PReLU as ReLU, blocks as the identity. Returns the names
    of these layers; ValueError when `other` has something else.
    """
    theirs = {layer.name: layer.get_weights() for layer in other.layers}
    ours = {layer.name: layer for layer in network.layers}
    if strange := [name for name, weights in theirs.items() if weights and name not in ours]:
        raise ValueError(f"it has a layer {strange[0]}, which this network lacks")
    grown = []
    for name, layer in ours.items():
        if theirs.get(name):
            layer.set_weights(theirs[name])
        elif layer.weights:
            grown.append(name)
            if not re.search(r"_block\d+_", name) and not name.endswith("_prelu"):
                raise ValueError(f"it lacks the layer {name}")
            if name.endswith("_bn"):
                layer.gamma.assign(tf.zeros_like(layer.gamma))
    return grown


def start_from_twin(network: Any, twin: Any) -> None:
    """Give `network` the weights of its float twin: the signs of filters are kept, latent weights brought to size.

    The mean of their absolute values is MEAN_LATENT then, a layer at a time: far enough from 0 that the first steps do
    not turn most signs over. KeyError or ValueError when `twin` is that of another network.
    """
    theirs = {layer.name: layer.get_weights() for layer in twin.layers}
    for layer in network.layers:
        if layer.name.endswith("_binary"):
            (filters,) = theirs[f"{layer.name.removesuffix('_binary')}_float"]
            layer.set_weights([filters * (MEAN_LATENT / np.abs(filters).mean())])
        else:
            layer.set_weights(theirs[layer.name])


class _Builder:
    """Parts of the network, made of the layers in `known` where their name stands there."""

    def __init__(self, parameters: FaceNetwork, known: dict[str, Any]) -> None:
        self.momentum = parameters.bn_momentum
        self.activation = parameters.activation
        self.is_binary = parameters.binary
        self.known = known

    def layer(self, kind: Any, name: str, *arguments: Any, **options: Any) -> Any:
        return self.known.get(name) or kind(*arguments, name=name, **options)

    def norm(self, x: Any, name: str) -> Any:
        kind = tf.keras.layers.BatchNormalization
        return self.layer(kind, f"{name}_bn", momentum=self.momentum, epsilon=1e-3)(x)

    def binary(self, x: Any, channels: int, name: str, *, strides: int = 1) -> Any:
        activation = "relu" if self.activation == "relu" else None
        options = {"strides": strides, "padding": "same", "use_bias": False, "kernel_initializer": "glorot_normal"}
        if self.is_binary:
            binary = {"input_quantizer": "ste_sign", "kernel_quantizer": "ste_sign", "kernel_constraint": "weight_clip"}
            kind = lq.layers.QuantConv2D
            x = self.layer(
                kind, f"{name}_binary", channels, 3, activation=activation, pad_values=1, **binary, **options
            )(x)
        else:
            x = self.layer(tf.keras.layers.Conv2D, f"{name}_float", channels, 3, activation=activation, **options)(x)
        if self.activation == "prelu":  # from slope 0: a network with ReLU goes on as it was
            x = self.layer(tf.keras.layers.PReLU, f"{name}_prelu", shared_axes=[1, 2])(x)
        return self.norm(x, name)

    def pointwise(self, x: Any, channels: int, name: str) -> Any:
        kind = tf.keras.layers.Conv2D
        options = {"use_bias": False, "kernel_initializer": "glorot_normal"}
        return self.norm(self.layer(kind, f"{name}_pointwise", channels, 1, **options)(x), name)

    def stem(self, image: Any, channels: int, name: str) -> Any:
        """Float, stride 4: (h, w, 3) to (h/4, w/4, 2 * channels)."""
        options = {"strides": 2, "padding": "same", "use_bias": False}
        x = self.layer(tf.keras.layers.Conv2D, f"{name}_conv", channels, 3, **options)(image)
        x = self.layer(tf.keras.layers.ReLU, f"{name}_relu")(self.norm(x, f"{name}_conv"))
        x = self.layer(tf.keras.layers.DepthwiseConv2D, f"{name}_depthwise", 3, **options)(x)
        return self.pointwise(self.norm(x, f"{name}_depthwise"), 2 * channels, f"{name}_out")

    def stage(self, x: Any, channels: int, blocks: int, name: str) -> Any:
        """Halve the map, then residual blocks."""
        skip = self.layer(tf.keras.layers.AveragePooling2D, f"{name}_skip_pool", 2)(x)
        if skip.shape[-1] != channels:
            skip = self.pointwise(skip, channels, f"{name}_skip")
        x = self.binary(x, channels, f"{name}_down", strides=2)
        x = self.layer(tf.keras.layers.Add, f"{name}_down_add")([skip, x])
        for number in range(1, blocks + 1):
            x = self.block(x, channels, f"{name}_block{number}")
        return x

    def block(self, x: Any, channels: int, name: str) -> Any:
        return self.layer(tf.keras.layers.Add, f"{name}_add")([x, self.binary(x, channels, name)])

    def merge(self, fine: Any, coarse: Any, channels: int, name: str) -> Any:
        """Add a coarser map, brought to the finer one's size, then one block."""
        up = self.pointwise(coarse, channels, f"{name}_up")
        up = self.layer(tf.keras.layers.UpSampling2D, f"{name}_resize", 2, interpolation="nearest")(up)
        x = self.layer(tf.keras.layers.Add, f"{name}_merge")([fine, up])
        return self.block(x, channels, f"{name}_block")

    def head(self, x: Any, name: str) -> Any:
        options = {"padding": "same", "use_bias": False}
        x = self.layer(tf.keras.layers.DepthwiseConv2D, f"{name}_head_depthwise", 3, **options)(x)
        x = self.layer(tf.keras.layers.ReLU, f"{name}_head_relu")(self.norm(x, f"{name}_head"))
        rare = tf.keras.initializers.Constant([-4.0, 0.0, 0.0, 0.0, 0.0])  # sigmoid(-4): few cells hold a face
        options = {"bias_initializer": rare, "kernel_initializer": "glorot_normal"}
        return self.layer(tf.keras.layers.Conv2D, name, 5, 1, **options)(x)
