"""Ailments of a binarized network in training, seen layer by layer before they show in the loss.

A binary layer learns by flipping signs of latent weights (Helwegen et al. 2019, "Latent weights do not exist"): when no
sign flips any more it has stopped, when a third of them flips from one epoch to the next it has not settled. Latent
weights pile up at the clipping bounds -1 and +1, where only a reversed gradient moves them. An input channel whose sign
is the same everywhere carries nothing, and neither does a channel that batch normalization scales by nearly zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from edgebnn.models import ShiftBatchNormalization

HISTOGRAM_BINS = 20  # of latent weights, from -1 to 1
BOUND = 0.999  # a latent weight beyond it counts as saturated
SMALL_GAMMA = 1e-2

MOST_FLIPS = 1 / 3
LEAST_FLIPS = 1e-5
MOST_SATURATED = 0.9
MOST_CONSTANT = 0.5
MOST_SMALL_GAMMAS = 0.25
SETTLING_EPOCHS = 3  # before them flips mean nothing

Signs = dict[str, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class LayerHealth:
    """One binary layer after an epoch; shares are 0 to 1."""

    layer: str
    weights: int
    flips: float
    """of the signs, since the epoch before; nan for the first"""
    saturated: float
    """of the latent weights, at -1 or +1"""
    constant: float
    """of the input channels, whose sign is the same everywhere in the probe"""
    small_gammas: float
    """of the channels of the batch normalization behind it"""
    histogram: tuple[int, ...]
    """latent weights in HISTOGRAM_BINS bins from -1 to 1"""

    def as_json(self) -> dict[str, object]:
        """The fields; a flip ratio that is not known is None."""
        return asdict(self) | {"flips": None if np.isnan(self.flips) else self.flips}


def binary_layers(network: Any) -> list[Any]:
    """The layers with binary weights, in the network's order."""
    return [layer for layer in network.layers if getattr(layer, "kernel_quantizer", None) is not None]


def signs_of(network: Any) -> Signs:
    """The signs of each binary layer's latent weights, one bit a weight, by the layer's name."""
    return {layer.name: np.packbits(_latent(layer) >= 0) for layer in binary_layers(network)}


class Doctor:
    """Examines a network on a probe: arrays that fit its inputs, such as a batch of training pictures."""

    def __init__(self, network: Any, probe: Any) -> None:
        """Find the inputs of all sign functions."""
        self._network, self._probe = network, probe
        self._layers = binary_layers(network)
        signed = [layer for layer in self._layers if layer.input_quantizer is not None]
        self._signed = [layer.name for layer in signed]
        inputs = [layer.get_input_at(0) for layer in signed]
        self._inputs = tf.function(tf.keras.Model(network.inputs, inputs)) if inputs else None

    def examine(self, before: Mapping[str, npt.NDArray[np.uint8]]) -> list[LayerHealth]:
        """The health of each binary layer; `before` is `signs_of` an epoch ago, empty for none."""
        constant = self._constant_channels()
        return [_examine(layer, before.get(layer.name), constant.get(layer.name, 0.0)) for layer in self._layers]

    def _constant_channels(self) -> dict[str, float]:
        if self._inputs is None:
            return {}
        values = self._inputs(self._probe, training=False)
        values = values if isinstance(values, (list, tuple)) else [values]
        return {name: _constant_share(np.asarray(value)) for name, value in zip(self._signed, values, strict=True)}


def _examine(layer: Any, before: npt.NDArray[np.uint8] | None, constant: float) -> LayerHealth:
    latent = _latent(layer)
    flips = float("nan")
    if before is not None:
        flips = int(np.unpackbits(before ^ np.packbits(latent >= 0)).sum()) / latent.size
    gamma = _gamma_behind(layer)
    counts, _ = np.histogram(np.clip(latent, -1, 1), bins=HISTOGRAM_BINS, range=(-1, 1))
    return LayerHealth(
        layer=layer.name,
        weights=int(latent.size),
        flips=flips,
        saturated=float((np.abs(latent) >= BOUND).mean()),
        constant=constant,
        small_gammas=0.0 if gamma is None else float((np.abs(gamma) < SMALL_GAMMA).mean()),
        histogram=tuple(int(count) for count in counts),
    )


def diagnose(layers: Sequence[LayerHealth], *, epoch: int, last: bool = False) -> Iterator[str]:
    """One sentence an ailment: what is wrong and what helps. `last`: the rate has gone to nothing, as flips may."""
    for one in layers:
        if epoch > SETTLING_EPOCHS and one.flips > MOST_FLIPS:
            yield (
                f"{one.layer}: {100 * one.flips:.0f} % of its signs flipped in one epoch, it does not settle: "
                "lower optimizer.rate"
            )
        if epoch > SETTLING_EPOCHS and not last and one.flips < LEAST_FLIPS:
            yield f"{one.layer}: no sign flips any more, it has stopped learning: raise optimizer.rate"
        if one.saturated > MOST_SATURATED:
            yield (
                f"{one.layer}: {100 * one.saturated:.0f} % of its latent weights stand at -1 or +1: "
                "lower optimizer.rate, or initialize smaller"
            )
        if one.constant > MOST_CONSTANT:
            yield (
                f"{one.layer}: the sign of {100 * one.constant:.0f} % of its input channels is the same everywhere: "
                "put a BatchNormalization or a learnable threshold in front of it, and no ReLU"
            )
        if one.small_gammas > MOST_SMALL_GAMMAS:
            yield (
                f"{one.layer}: batch normalization scales {100 * one.small_gammas:.0f} % of its channels by nearly 0: "
                "use fewer channels, or no weight decay on gamma"
            )


def _latent(layer: Any) -> npt.NDArray[np.float32]:
    kernel = layer.kernel
    return np.asarray(getattr(kernel, "latent_variable", kernel))


def _constant_share(values: npt.NDArray[np.float32]) -> float:
    """Of the channels (last axis), those whose values are all >= 0 or all < 0."""
    signs = values.reshape(-1, values.shape[-1]) >= 0
    return float((signs.all(axis=0) | ~signs.any(axis=0)).mean())


def _gamma_behind(layer: Any) -> npt.NDArray[np.float32] | None:
    """Scales of the batch normalization that a layer leads to through layers of one consumer; None without one."""
    while len(consumers := {id(node.outbound_layer): node.outbound_layer for node in layer.outbound_nodes}) == 1:
        (layer,) = consumers.values()
        if isinstance(layer, (tf.keras.layers.BatchNormalization, ShiftBatchNormalization)):
            return None if layer.gamma is None else np.asarray(layer.gamma)
        if layer.weights or isinstance(layer.get_input_at(0), (list, tuple)):
            return None
    return None
