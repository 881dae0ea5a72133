from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.inspection.graph import Network
from tests.converters.rewrites.models import both, conv, layers, settle, through

SCALINGS = {
    "one for all": lambda: layers.Rescaling(1 / 127.5, -1),
    "no offset": lambda: layers.Rescaling(1 / 255),
    "by channel": lambda: layers.Rescaling([0.1, 0.2, 0.3]),
    "offset by channel": lambda: layers.Rescaling([0.1, 0.2, 0.3], [1.0, 0.0, -1.0]),
    "normalization": lambda: layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0]),
    "inverse normalization": lambda: layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0], invert=True),
    "batch normalization": lambda: layers.BatchNormalization(),
}
STEMS = {
    "valid": lambda: layers.Conv2D(8, 3, use_bias=False),
    "same": lambda: layers.Conv2D(8, 3, padding="same", strides=2, activation="relu"),
    "1x1": lambda: layers.Conv2D(8, 1, padding="same"),
    "groups": lambda: layers.Conv2D(6, 3, groups=3),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "depthwise same": lambda: layers.DepthwiseConv2D(3, padding="same", dilation_rate=2),
}


@pytest.mark.parametrize("stem", STEMS)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_scaling_goes_into_the_stem(scaling: str, stem: str) -> None:
    model = through(SCALINGS[scaling](), STEMS[stem](), shape=(8, 7, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 7, 3)).astype(np.float32)
    found = both(model, arrays={"x": pixels})
    assert found.done == ["input scaling"]
    assert len(found.kinds) == (2 if "same" in stem and scaling not in ("no offset", "by channel") else 1)
    found.assert_close()


@settings(deadline=None, max_examples=10)
@given(scale=st.floats(0.01, 10), offset=st.floats(-5, 5), size=st.integers(1, 4), stride=st.integers(1, 3))
def test_padding_is_scaled_too(scale: float, offset: float, size: int, stride: int) -> None:
    stem = layers.Conv2D(4, size, strides=stride, padding="same")
    both(through(layers.Rescaling(scale, offset), stem, shape=(7, 8, 2))).assert_close()


def test_scalings_in_a_row_and_several_stems() -> None:
    x = tf.keras.Input((6, 6, 3), name="x")
    y = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])(layers.Rescaling(2.0, 1.0)(x))
    found = both(settle(tf.keras.Model(x, [layers.Conv2D(4, 3, name="a")(y), layers.DepthwiseConv2D(3, name="b")(y)])))
    assert found.done == 2 * ["input scaling"] and sorted(found.kinds) == ["Conv2D", "DepthwiseConv2D"]
    found.assert_close()


@pytest.mark.parametrize(
    "stem", [lambda: conv(4), lambda: conv(4, input_quantizer=None), lambda: layers.Conv2DTranspose(4, 3)]
)
def test_other_stems_keep_it(stem: Callable[[], Any]) -> None:
    found = both(through(layers.Rescaling(0.5, 0.25), stem(), shape=(6, 6, 3)))
    assert found.done == [] and found.left
    found.assert_equal()


def test_an_adapted_normalization_in_the_file(verified: Callable[[Any], Network]) -> None:
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(3, 2, (50, 6, 6, 3)).astype(np.float32))
    model = through(norm, layers.Conv2D(32, 3), conv(8), shape=(6, 6, 3))
    assert [operator.name for operator in verified(model).main.operators] == ["CONV_2D", "LceQuantize", "LceBconv2d"]
