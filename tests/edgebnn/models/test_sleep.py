from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.models.sleep import SleepNetwork, TrailingMean, build_sleep_network

FEATURES = 5
SMALL = SleepNetwork(channels=32, levels=3)


def random_weights(network) -> list[np.ndarray]:
    weights = []
    for number, variable in enumerate(network.weights):
        value = np.random.default_rng(number).normal(0, 0.5, variable.shape).astype(np.float32)
        weights.append(value**2 if "variance" in variable.name else value)
    return weights


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("blocks", [0, 2])
def test_strides_and_dilations_are_the_same_function(binary: bool, blocks: int) -> None:
    how = SMALL.model_copy(update={"binary": binary, "blocks": blocks})
    device, trained = (
        build_sleep_network(how, features=FEATURES),
        build_sleep_network(how, features=FEATURES, answers=6),
    )
    assert [variable.name for variable in device.weights] == [variable.name for variable in trained.weights]
    device.set_weights(random_weights(device))
    trained.set_weights(device.get_weights())
    night = np.random.default_rng(0).normal(0, 1, (2, 1, how.window + 5, FEATURES)).astype(np.float32)
    answers = trained(night)
    for at in range(6):
        answer = device(night[:, :, at : at + how.window])
        assert {name: value.shape for name, value in answer.items()} == {
            "wake": (2, 1),
            "restless": (2, 1),
            "stages": (2, 5),
        }
        for name, value in answer.items():
            np.testing.assert_allclose(value, answers[name][:, at], atol=1e-4 * np.ptp(answers[name]))


def test_an_answer_does_not_depend_on_later_epochs() -> None:
    network = build_sleep_network(SMALL, features=FEATURES, answers=4)
    network.set_weights(random_weights(network))
    night = np.random.default_rng(1).normal(0, 1, (1, 1, SMALL.window + 3, FEATURES)).astype(np.float32)
    before = network(night)
    night[:, :, -2:] = 9
    after = network(night)
    for name in before:
        np.testing.assert_array_equal(before[name][:, :2], after[name][:, :2])
        assert not np.array_equal(before[name][:, 2:], after[name][:, 2:])


def test_every_layer_but_the_first_and_the_head_is_binary() -> None:
    network = build_sleep_network(SleepNetwork(), features=31)
    binary = [layer.name for layer in network.layers if getattr(layer, "input_quantizer", None) is not None]
    assert binary == [
        "level1_block1", "level2_conv", "level2_block1", "level3_conv", "level3_block1", "level4_conv", "level4_block1",
    ]  # fmt: skip
    assert network.input_shape == (None, 1, 256, 31)


def test_trailing_mean_by_hand() -> None:
    values = np.arange(10.0, dtype=np.float32).reshape(1, 1, 10, 1)
    mean = TrailingMean(2)(values)
    np.testing.assert_allclose(mean[0, 0, :, 0], [3, 4, 5, 6])
    assert TrailingMean.from_config(TrailingMean(2).get_config()).dilation == 2
