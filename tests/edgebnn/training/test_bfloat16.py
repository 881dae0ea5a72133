from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.training.bfloat16 import OPTION, bfloat16

import tensorflow as tf  # isort: skip


def option() -> bool:
    return bool(tf.config.optimizer.get_experimental_options().get(OPTION, False))


def test_the_option_holds_inside_only() -> None:
    before = option()
    with bfloat16(False):
        assert option() == before
    with bfloat16(True):
        assert option()
    assert not option()
    with pytest.raises(RuntimeError), bfloat16(True):
        raise RuntimeError
    assert not option()


def test_gradients_stay_float32_and_near_those_of_float32() -> None:
    random = np.random.default_rng(0)
    image = tf.constant(random.normal(size=(4, 16, 16, 32)).astype(np.float32))
    kernel = tf.Variable(random.normal(size=(3, 3, 32, 32)).astype(np.float32))

    def gradient() -> np.ndarray:
        @tf.function
        def step() -> tf.Tensor:
            with tf.GradientTape() as tape:
                x = tf.nn.conv2d(tf.nn.relu(tf.nn.conv2d(image, kernel, 1, "SAME")), kernel, 1, "SAME")
                loss = tf.reduce_mean(tf.square(x))
            return tape.gradient(loss, kernel)

        value = step()
        assert value.dtype == tf.float32
        return value.numpy()

    exact = gradient()
    with bfloat16(True):
        rounded = gradient()
    again = gradient()
    np.testing.assert_array_equal(again, exact)
    assert np.abs(rounded - exact).max() < 0.02 * np.abs(exact).max()
