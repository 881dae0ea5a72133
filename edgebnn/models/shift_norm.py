"""Batch normalization by shifts (Courbariaux et al. 2016, algorithm 3): powers of two instead of multiplications."""

from __future__ import annotations

from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import tensorflow as tf  # isort: skip


_SIGN, _EXPONENT = -(2**31), 0x7F800000
_UP = 0x00800000 - 0x003504F4  # carries into the exponent from a mantissa of sqrt(2) on, rounded up to float32


def ap2(x: Any) -> Any:
    """AP2(x) = sign(x) 2^round(log2 |x|), and 0 of 0, of float32: the exponent's bits alone are left."""
    bits = tf.bitcast(x, tf.int32)
    power = tf.bitwise.bitwise_and(bits + _UP, tf.constant(_EXPONENT))
    sign = tf.bitwise.bitwise_and(bits, tf.constant(_SIGN))
    return tf.bitcast(tf.bitwise.bitwise_or(power, sign), tf.float32)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def ap2_straight_through(x: Any) -> Any:
    """AP2 whose gradient is that of the identity."""
    return ap2(x), lambda dy: dy


@tf.keras.utils.register_keras_serializable("edgebnn")
class ShiftBatchNormalization(tf.keras.layers.Layer):  # type: ignore[misc]
    """Batch normalization over all axes but the last, with AP2 in place of every multiplication but the mean's.

    c = x - mean; variance = mean of c AP2(c); y = c AP2(1 / sqrt(variance + epsilon)) AP2(gamma) + beta. Gradients pass
    AP2 as if it were the identity. The paper's listing scales by AP2(gamma) and names beta among the parameters; beta
    is added as it is, since an addition is no multiplication. At inference the moving mean and variance stand in, and
    what is left is one scale, a power of two, and one offset per channel.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-4, **options: Any) -> None:
        """Moving averages keep the share `momentum` at each step."""
        super().__init__(**options)
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, input_shape: Any) -> None:
        """Make gamma, beta and the moving averages, one value a channel."""
        shape = (int(input_shape[-1]),)
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        average = {"trainable": False, "synchronization": tf.VariableSynchronization.ON_READ}
        average["aggregation"] = tf.VariableAggregation.MEAN
        self.moving_mean = self.add_weight(name="moving_mean", shape=shape, initializer="zeros", **average)
        self.moving_variance = self.add_weight(name="moving_variance", shape=shape, initializer="ones", **average)
        super().build(input_shape)

    def call(self, inputs: Any, training: Any = None) -> Any:
        """`inputs` normalized, of the same shape (..., channels)."""
        if training is None:
            training = tf.keras.backend.learning_phase()
        if not isinstance(training, bool | int):
            return tf.cond(training, lambda: self._by_batch(inputs), lambda: self._by_averages(inputs))
        return self._by_batch(inputs) if training else self._by_averages(inputs)

    def _by_batch(self, x: Any) -> Any:
        axes = list(range(x.shape.rank - 1))
        mean = tf.reduce_mean(x, axes)
        centred = x - mean
        variance = tf.reduce_mean(centred * ap2_straight_through(centred), axes)
        for average, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + now * (1.0 - self.momentum))
        return centred * self._scale(variance) + self.beta

    def _by_averages(self, x: Any) -> Any:
        scale = self._scale(self.moving_variance)
        return x * scale + (self.beta - self.moving_mean * scale)

    def _scale(self, variance: Any) -> Any:
        return ap2_straight_through(tf.math.rsqrt(variance + self.epsilon)) * ap2_straight_through(self.gamma)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}
