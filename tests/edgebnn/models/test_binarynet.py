from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from pydantic import ValidationError

from edgebnn.models import BinaryNet, QuickNet, build_binarynet, build_quicknet
from edgebnn.quantizers import StochasticSign

import tensorflow as tf  # isort: skip

CNN = {"blocks": ((32, 32), (64,)), "dense": (48,)}
SIZE = {"width": 8, "height": 8, "channels": 1, "classes": 10}


def kernels(network: tf.keras.Model) -> dict[str, tf.keras.layers.Layer]:
    return {layer.name: layer for layer in network.layers if hasattr(layer, "kernel")}


def test_all_weights_and_all_inputs_but_the_first_are_binary() -> None:
    layers = kernels(build_binarynet(BinaryNet(**CNN), **SIZE))
    assert list(layers) == ["block1_conv1", "block1_conv2", "block2_conv1", "dense1", "out"]
    assert all(layer.kernel_quantizer.precision == 1 for layer in layers.values())
    assert [layer.input_quantizer is not None for layer in layers.values()] == [False, True, True, True, True]
    assert layers["dense1"].kernel.shape == (2, 2, 64, 48) and layers["out"].kernel.shape == (1, 1, 48, 10)
    assert [layer.pad_values for layer in layers.values()][:3] == [0, 1, 1]


def test_the_float_twin_has_the_same_shapes_and_no_quantizer() -> None:
    twin = build_binarynet(BinaryNet(**CNN, weights="float", activations="float"), **SIZE)
    one = build_binarynet(BinaryNet(**CNN), **SIZE)
    assert [w.shape for w in twin.get_weights()] == [w.shape for w in one.get_weights()]
    assert all(layer.kernel_quantizer is layer.input_quantizer is None for layer in kernels(twin).values())
    assert sum(isinstance(layer, tf.keras.layers.ReLU) for layer in twin.layers) == 4


def test_normalization_before_pooling_is_the_papers_order_where_gamma_is_not_negative() -> None:
    """sign(pool(BN(s))) = sign(BN(pool(s))) for gamma >= 0, and not below."""
    random = np.random.default_rng(0)
    s = random.integers(-9, 10, (2, 4, 4, 16)).astype(np.float64)
    gamma, beta = random.uniform(-1, 1, 16), random.normal(0, 2, 16)

    def pool(x: np.ndarray) -> np.ndarray:
        return x.reshape(2, 2, 2, 2, 2, 16).max(axis=(2, 4))

    ours, papers = pool(gamma * s + beta) >= 0, gamma * pool(s) + beta >= 0
    np.testing.assert_array_equal(ours[..., gamma >= 0], papers[..., gamma >= 0])
    assert (ours[..., gamma < 0] != papers[..., gamma < 0]).any()


def test_every_stochastic_quantizer_has_a_stream_of_its_own() -> None:
    network = build_binarynet(BinaryNet(**CNN, weights="stochastic", activations="stochastic"), **SIZE)
    seeds = [part.seed for part in network.submodules if isinstance(part, StochasticSign)]
    assert len(seeds) == 9 == len(set(seeds))
    for layer in kernels(network).values():
        assert layer.kernel_quantizer.shared, "workers have one network"
        assert layer.input_quantizer is None or not layer.input_quantizer.shared


def test_pictures_that_do_not_halve_are_refused() -> None:
    with pytest.raises(ValueError, match=r"multiples of 4.*10 x 8"):
        build_binarynet(BinaryNet(**CNN), **(SIZE | {"width": 10}))
    with pytest.raises(ValueError, match="multiples of 32"):
        build_quicknet(QuickNet(), width=48, height=64, channels=3, classes=2)


@pytest.mark.parametrize("activation", ["relu", "rprelu"])
def test_quicknet_has_binary_layers_with_shortcuts(activation: str) -> None:
    network = build_quicknet(QuickNet(stem_stride=1, channels=(32, 64), layers=(2, 1), activation=activation), **SIZE)
    quantized = [layer for layer in network.layers if getattr(layer, "kernel_quantizer", None) is not None]
    assert [layer.filters for layer in quantized] == [32, 32, 64]
    assert network.output_shape == (None, 10)
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
    assert np.isfinite(network(x)).all()


def test_rprelu_is_the_papers() -> None:
    """f(x) = x - g + z for x > g, b (x - g) + z else (Liu et al. 2020), of x = shortcut + normalized; beta is -g."""
    network = build_quicknet(QuickNet(stem_stride=1, channels=(32,), layers=(1,), activation="rprelu"), **SIZE)
    get = network.get_layer
    random = np.random.default_rng(0)
    g, b, z = (random.normal(size=32).astype(np.float32) for _ in range(3))
    norm = get("section1_layer1_bn")
    norm.beta.assign(-g)
    get("section1_layer1_prelu").set_weights([b.reshape(1, 1, 32)])
    get("section1_layer1_after").set_weights([z])
    shortcut, s = (random.normal(size=(2, 4, 4, 32)).astype(np.float32) for _ in range(2))
    y = shortcut + norm(s)
    for part in ("prelu", "after"):
        y = get(f"section1_layer1_{part}")(y)
    x = shortcut + s / np.sqrt(1 + norm.epsilon)
    np.testing.assert_allclose(y, np.where(x > g, x - g + z, b * (x - g) + z), rtol=1e-5, atol=1e-5)


def test_sections_come_in_pairs() -> None:
    with pytest.raises(ValidationError, match="4 channels for 2 sections"):
        QuickNet(layers=(1, 1))
