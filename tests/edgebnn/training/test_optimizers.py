from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.models import BinaryNet, build_binarynet
from edgebnn.training.optimizers import ShiftAdaMaxStep, glorot_scale, glorot_scales, make_optimizer
from edgebnn.training.rates import exponential
from tests.edgebnn.models.test_shift_norm import power

import tensorflow as tf  # isort: skip


def test_shift_adamax_follows_algorithm_4() -> None:
    random = np.random.default_rng(0)
    start = random.normal(size=(4, 5)).astype(np.float32)
    variable = tf.Variable(start)
    optimizer = ShiftAdaMaxStep()
    w, m, v = start.astype(np.float64), np.zeros((4, 5)), np.zeros((4, 5))
    for t in range(1, 12):
        g = (random.normal(size=(4, 5)) * 10.0 ** random.uniform(-3, 1)).astype(np.float32)
        g[0, 0] = 0  # v stays 0: no step
        optimizer.apply_gradients([(tf.constant(g), variable)])
        m = m - m / 8 + g / 8
        v = np.maximum(v - v / 1024, np.abs(g))
        shift = np.where(v > 0, power(1 / np.where(v > 0, v, 1)), 0)
        w = w - power(2.0**-10 / (1 - (1 - 2.0**-3) ** t)) * m * shift
        np.testing.assert_allclose(variable, w, rtol=1e-5, atol=1e-7)
    assert variable.numpy()[0, 0] == start[0, 0]


def test_the_glorot_scale_is_one_by_the_initial_amplitude() -> None:
    assert glorot_scale((784, 4096)) == pytest.approx(1 / np.sqrt(1.5 / (784 + 4096)))
    assert glorot_scale((3, 3, 128, 256)) == pytest.approx(1 / np.sqrt(1.5 / (9 * 128 + 9 * 256)))


@pytest.mark.parametrize("kind", ["adam", "shift-adamax"])
def test_binary_kernels_take_scaled_steps_and_others_do_not(kind: str) -> None:
    parameters = BinaryNet(dense=(8,), weights="sign")
    moves = {}
    for glorot in (False, True):
        tf.keras.utils.set_random_seed(1)
        network = build_binarynet(parameters, width=4, height=4, channels=1, classes=3)
        for layer in network.layers:
            if hasattr(layer, "kernel"):
                layer.kernel.assign(layer.kernel * 0.5)  # away from the clipping
        optimizer = make_optimizer(kind, network, rate=2**-10, glorot=glorot)
        assert bool(optimizer.scales) == glorot
        before = [variable.numpy() for variable in network.trainable_variables]
        random = np.random.default_rng(2)
        gradients = [tf.constant(random.normal(size=x.shape), tf.float32) for x in before]
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        moves[glorot] = [x.numpy() - b for x, b in zip(network.trainable_variables, before, strict=True)]
    names = [variable.name for variable in network.trainable_variables]
    scales = glorot_scales(network)
    assert set(scales) == {"dense1/kernel:0", "out/kernel:0"} < set(names)
    for name, plain, scaled in zip(names, moves[False], moves[True], strict=True):
        np.testing.assert_allclose(scaled, plain * scales.get(name, 1.0), rtol=1e-3, atol=1e-6)


def test_latent_weights_are_clipped_after_the_scaled_step() -> None:
    network = build_binarynet(BinaryNet(dense=(8,)), width=4, height=4, channels=1, classes=3)
    optimizer = make_optimizer("adam", network, rate=10.0, glorot=True)
    gradients = [tf.random.stateless_normal(x.shape, (1, 2)) for x in network.trainable_variables]
    optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
    for layer in network.layers:
        if hasattr(layer, "kernel"):
            np.testing.assert_array_equal(np.abs(layer.kernel), 1)


def test_the_rate_falls_by_the_same_factor_every_epoch() -> None:
    rates = [exponential(epoch, total=10, rate=1e-2, final_rate=1e-5) for epoch in range(11)]
    assert rates[0] == 1e-2 and rates[10] == pytest.approx(1e-5)
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(1e-3) / 10)
