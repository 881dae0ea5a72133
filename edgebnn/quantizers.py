"""What the papers need and Larq lacks: stochastic binarization.

Larq's own quantizers are used as they are: ste_sign, approx_sign, swish_sign, magnitude_aware_sign and the others.
"""

from __future__ import annotations

from typing import Any

import edgebnn.legacy_keras  # noqa: F401  (before TensorFlow)

import larq as lq  # isort: skip
import tensorflow as tf

WORKERS_APART = 2**32
"""Between the streams of two workers; the first one's are those of a worker alone."""


def hard_sigmoid(x: Any) -> Any:
    """clip((x + 1) / 2, 0, 1), the probability of +1 (Courbariaux et al. 2016, eq. 3). Keras's has another slope."""
    return tf.clip_by_value((x + 1.0) / 2.0, 0.0, 1.0)


@lq.utils.register_alias("stochastic_sign")
@lq.utils.register_keras_custom_object
class StochasticSign(lq.quantizers.Quantizer):  # type: ignore[misc]
    """+1 with probability hard_sigmoid(x), else -1; when not training sign(x), with sign(0) = +1.

    The gradient passes straight through where |x| <= 1 and is 0 elsewhere. For `input_quantizer` and
    `kernel_quantizer` alike. The numbers drawn are a function of `seed` and of `draws`, the count of the draws so far:
    a run that sets `draws` goes on as if it had never stopped. Give each quantizer of a network its own seed.

    Of several workers each draws its own numbers, for examples of its own. Not so with `shared`, for kernels: all
    workers learn one network, whose weights are binarized once a step.
    """

    precision = 1

    def __init__(self, seed: int = 0, shared: bool = False, **options: Any) -> None:
        """Draw from the stream `seed`, below 2^32; `shared`: the same numbers on all workers."""
        super().__init__(**options)
        self.seed, self.shared = seed, shared

    def build(self, input_shape: Any) -> None:
        """Make the counter."""
        self.draws = self.add_weight(
            name="draws",
            shape=(),
            dtype=tf.int64,
            initializer="zeros",
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        super().build(input_shape)

    def call(self, inputs: Any, training: Any = None) -> Any:
        """Signs of `inputs`, of the same shape."""
        if training is None:
            training = tf.keras.backend.learning_phase()
        if isinstance(training, bool | int):
            return self._draw(inputs) if training else lq.quantizers.ste_sign(inputs)
        return tf.cond(training, lambda: self._draw(inputs), lambda: lq.quantizers.ste_sign(inputs))

    def _draw(self, inputs: Any) -> Any:
        replica = None if self.shared else tf.distribute.get_replica_context()
        worker = 0 if replica is None else tf.cast(replica.replica_id_in_sync_group, tf.int64)
        seed = tf.stack([self.seed + WORKERS_APART * worker, tf.identity(self.draws)])
        self.draws.assign_add(1)
        uniform = tf.random.stateless_uniform(tf.shape(inputs), seed, dtype=inputs.dtype, alg="philox")

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def binarize(x: Any) -> Any:
            # Scalars on both sides: Larq Compute Engine knows no other form of a sign.
            return tf.where(uniform < hard_sigmoid(x), 1.0, -1.0), lambda dy: tf.where(tf.abs(x) <= 1.0, dy, 0.0)

        return binarize(inputs)

    @property
    def non_trainable_weights(self) -> list[Any]:
        """None: the counter is no part of a network's weights, which fit one with plain signs too."""
        return []

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "seed": self.seed, "shared": self.shared}


def set_draws(network: Any, count: int) -> None:
    """Let every stochastic quantizer of a built network go on after `count` draws."""
    for part in network.submodules:
        if isinstance(part, StochasticSign) and part.built:
            part.draws.assign(count)
