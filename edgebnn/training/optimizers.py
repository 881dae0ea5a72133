"""Optimizers of Courbariaux et al. 2016: steps of binary kernels scaled by Glorot's coefficient, shift-based AdaMax."""

from __future__ import annotations

import math
from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip

from edgebnn.models.shift_norm import ap2


def glorot_scale(shape: tuple[int, ...]) -> float:
    """sqrt((fan in + fan out) / 1.5) of a kernel (..., in, out): one by Glorot and Bengio's initial amplitude.

    A convolution's fans count its window, as in the paper's program.
    """
    window = math.prod(shape[:-2])
    return math.sqrt(window * (shape[-2] + shape[-1]) / 1.5)


def glorot_scales(network: Any) -> dict[str, float]:
    """The scale of each kernel that a quantizer binarizes, by the variable's name.

    A convolution over the whole of its input is the dense layer that it stands for.
    """
    scales = {}
    for layer in network.layers:
        if getattr(layer, "kernel_quantizer", None) is None:
            continue
        shape = tuple(layer.kernel.shape)
        if layer.input_shape[1:-1] == shape[:-2] and layer.padding == "valid":
            shape = (math.prod(shape[:-1]), shape[-1])
        scales[layer.kernel.name] = glorot_scale(shape)
    return scales


class ScaledSteps:
    """Mixin of a Keras optimizer: what it would add to a variable is multiplied by the variable's scale.

    Scaling the rate and not the gradient: Adam and AdaMax do not see a gradient's scale. Constraints, such as the
    clipping of latent weights, follow after the scaled step.
    """

    scales: dict[str, float]

    def update_step(self, gradient: Any, variable: Any) -> None:
        """One variable's step."""
        scale = self.scales.get(variable.name, 1.0)
        before = tf.identity(variable)
        super().update_step(gradient, variable)  # type: ignore[misc]
        if scale != 1.0:
            variable.assign(before + scale * (variable - before))


class ShiftAdaMaxStep(tf.keras.optimizers.Optimizer):  # type: ignore[misc]
    """AdaMax with powers of two (algorithm 4 of the paper).

    m = beta1 m + (1 - beta1) g;  v = max(beta2 v, |g|);  w -= AP2(rate / (1 - beta1^t)) m AP2(1 / v), 0 where v is 0.
    The paper's defaults: rate 2^-10, 1 - beta1 = 2^-3, 1 - beta2 = 2^-10, so that the averages need shifts only.
    """

    def __init__(
        self, learning_rate: float = 2**-10, beta1: float = 1 - 2**-3, beta2: float = 1 - 2**-10, **options: Any
    ) -> None:
        """As the paper's listing."""
        super().__init__(name=options.pop("name", "ShiftAdaMax"), **options)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.beta1, self.beta2 = beta1, beta2

    def build(self, var_list: Any) -> None:
        """Make m and v of each variable."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self.m = [self.add_variable_from_reference(variable, "m") for variable in var_list]
        self.v = [self.add_variable_from_reference(variable, "v") for variable in var_list]

    def update_step(self, gradient: Any, variable: Any) -> None:
        """One variable's step."""
        index = self._index_dict[self._var_key(variable)]
        m, v = self.m[index], self.v[index]
        time = tf.cast(self.iterations + 1, variable.dtype)
        m.assign(self.beta1 * m + (1 - self.beta1) * gradient)
        v.assign(tf.maximum(self.beta2 * v, tf.abs(gradient)))
        rate = ap2(self.learning_rate / (1 - tf.pow(tf.constant(self.beta1, variable.dtype), time)))
        variable.assign_sub(rate * m * ap2(tf.math.reciprocal_no_nan(v)))

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        rate = self._serialize_hyperparameter(self._learning_rate)
        return {**super().get_config(), "learning_rate": rate, "beta1": self.beta1, "beta2": self.beta2}


class Adam(ScaledSteps, tf.keras.optimizers.Adam):  # type: ignore[misc]
    """Keras's Adam with scaled steps."""


class ShiftAdaMax(ScaledSteps, ShiftAdaMaxStep):
    """Shift-based AdaMax with scaled steps."""


OPTIMIZERS = {"adam": Adam, "shift-adamax": ShiftAdaMax}


def make_optimizer(kind: str, network: Any, *, rate: float, glorot: bool) -> Any:
    """An optimizer built for a network's variables; with `glorot`, binary kernels take scaled steps."""
    optimizer = OPTIMIZERS[kind](rate)
    optimizer.scales = glorot_scales(network) if glorot else {}
    optimizer.build(network.trainable_variables)
    return optimizer
