from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.inspection.graph import Network
from tests.converters.rewrites.models import both, conv1d, layers, settle, through


@settings(deadline=None, max_examples=25)
@given(
    time=st.integers(6, 20),
    channels=st.integers(1, 40),
    size=st.integers(1, 4),
    step=st.sampled_from([(1, 1), (2, 1), (3, 1), (1, 2)]),
    padding=st.sampled_from([("valid", 0), ("same", 0), ("same", 1), ("causal", 0)]),
    tail=st.sampled_from([(False, None), (True, "relu"), (True, "hard_tanh")]),
    data=st.data(),
)
def test_any_convolution(
    time: int,
    channels: int,
    size: int,
    step: tuple[int, int],
    padding: tuple[str, int],
    tail: tuple[bool, str | None],
    data: Any,
) -> None:
    if padding[0] == "valid":
        time = max(time, (size - 1) * step[1] + 1)
    layer = conv1d(
        data.draw(st.integers(1, 9)),
        size,
        strides=step[0],
        dilation_rate=step[1],
        padding=padding[0],
        pad_values=padding[1],
        use_bias=tail[0],
        activation=tail[1],
    )
    found = both(through(layer, shape=(time, channels)))
    if padding[0] == "causal" and (size - 1) * step[1] >= time - step[0] + 1:
        return  # may be left as it is
    assert "one-dimensional" in found.done and "QuantConv1D" not in found.kinds
    found.assert_equal()


def network() -> Any:
    """Residual, causal and pooled, as people write them for sound and motion."""
    signal = tf.keras.Input((24, 6), name="signal")
    x = layers.BatchNormalization()(layers.Conv1D(32, 3, padding="same")(signal))
    y = layers.BatchNormalization()(conv1d(32, padding="same", pad_values=1)(x))
    x = layers.add([x, y])
    x = layers.BatchNormalization()(conv1d(32, padding="causal", dilation_rate=2)(x))
    x = layers.MaxPooling1D(2)(x)
    x = layers.BatchNormalization()(conv1d(32)(x))
    return settle(tf.keras.Model(signal, layers.Dense(5)(layers.GlobalAveragePooling1D()(x))))


def test_a_network_keeps_its_reshapes_at_the_ends(verified: Callable[[Any], Network]) -> None:
    model = network()
    found = both(model)
    found.assert_close(1e-3)
    assert found.kinds.count("Unfold") == 1 and "Conv1D" not in found.kinds
    names = [operator.name for operator in verified(model).main.operators]
    assert names.count("LceBconv2d") == 3 and names.count("CONV_2D") == 1
    assert "LceBMaxPool2d" in names and names.count("RESHAPE") == 1


def test_a_causal_convolution_longer_than_the_series_stays() -> None:
    found = both(through(conv1d(8, 4, padding="causal", dilation_rate=2), shape=(6, 5)))
    assert found.done == [] and found.left == ["every result of its causal padding depends on the padding"]


def test_flatten_behind_it_goes() -> None:
    found = both(through(conv1d(8), layers.MaxPooling1D(2, 1), layers.Flatten(), layers.Dense(3), shape=(9, 5)))
    assert found.kinds == ["Unfold", "QuantConv2D", "MaxPooling2D", "Flatten", "Dense"]
    found.assert_equal()


def test_two_unequal_branches() -> None:
    x = tf.keras.Input((8, 16), name="x")
    found = both(settle(tf.keras.Model(x, layers.maximum([conv1d(16, padding="same")(x), layers.PReLU()(x)]))))
    assert found.done == ["one-dimensional"]
    found.assert_equal()
