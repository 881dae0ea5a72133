"""Inputs for a comparison: random ones, and the bundled photograph where a model takes pictures."""

from __future__ import annotations

import math
from importlib import resources

import numpy as np

from edgebnn.card import Preprocess
from edgebnn.errors import ModelError
from edgebnn.inspection.graph import Network, Tensor
from edgebnn_convert.difference import Array
from edgebnn_convert.parity import Sample

RANDOM = 3
_PICTURE_CHANNELS = (1, 3)
_LEAST_SIDE = 8


def draw_samples(network: Network, preprocess: Preprocess | None = None, *, seed: int = 0) -> list[Sample]:
    """RANDOM random inputs; a photograph too if the one input is float32, uint8 or int8 (1, h, w, 1 or 3).

    Floats are standard normal, or pixels as `preprocess` scales them; integers cover their type's first 256 values.
    """
    inputs = [network.main.tensors[index] for index in network.main.inputs]
    for tensor in inputs:
        if 0 in tensor.shape:
            raise ModelError(f"the input {tensor.name!r} has the shape {tensor.shape}: expected no dimension of 0")
    generator = np.random.default_rng(seed)
    samples = [
        Sample(f"random input {number}", [_random(tensor, preprocess, generator) for tensor in inputs])
        for number in range(1, RANDOM + 1)
    ]
    if len(inputs) == 1 and _takes_pictures(inputs[0]):
        samples.append(Sample("photograph", [_photograph(inputs[0], preprocess or Preprocess(width=16, height=16))]))
    return samples


def _random(tensor: Tensor, preprocess: Preprocess | None, generator: np.random.Generator) -> Array:
    if tensor.dtype in ("float32", "float16", "float64"):
        if preprocess is None:
            return generator.standard_normal(tensor.shape).astype(tensor.dtype)
        pixels = generator.integers(0, 256, tensor.shape)
        return ((pixels - preprocess.mean) / preprocess.std).astype(tensor.dtype)
    if tensor.dtype == "bool":
        return generator.integers(0, 2, tensor.shape).astype(np.bool_)
    if tensor.dtype not in ("int8", "uint8", "int16", "int32", "int64"):
        raise ModelError(
            f"the input {tensor.name!r} has the type {tensor.dtype}: verification knows floats and integers"
        )
    least = -128 if tensor.dtype == "int8" else 0
    return generator.integers(least, least + 256, tensor.shape).astype(tensor.dtype)


def _takes_pictures(tensor: Tensor) -> bool:
    shape = tensor.shape
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in _PICTURE_CHANNELS or min(shape[1:3]) < _LEAST_SIDE:
        return False
    return tensor.dtype in ("float32", "uint8", "int8")


def _photograph(tensor: Tensor, preprocess: Preprocess) -> Array:
    """The sample picture letterboxed to the input's size; scaled as `preprocess` says, its size apart."""
    import cv2

    from edgebnn.runtime.preprocess import input_table, letterbox

    data = (resources.files("edgebnn") / "samples" / "astronaut.jpg").read_bytes()
    picture = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    image, _, _ = letterbox(picture, tensor.shape[2], tensor.shape[1], preprocess.pad)
    if tensor.shape[3] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    scale = (
        tensor.scales[0] if tensor.scales and math.isfinite(tensor.scales[0]) and tensor.scales[0] > 0 else 1 / 127.5
    )
    zero_point = tensor.zero_points[0] if tensor.zero_points else 0
    table = input_table(tensor.dtype, preprocess.mean, preprocess.std, scale=scale, zero_point=zero_point)
    values: Array = table[image][None]
    return values
