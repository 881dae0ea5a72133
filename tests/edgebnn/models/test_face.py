from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydantic
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.models import MODELS, FaceNetwork, build_face_network
from edgebnn.models.face import MEAN_LATENT, start_from_twin, take_weights

import tensorflow as tf  # isort: skip

SMALL = FaceNetwork(stem=8, channels=(32, 32, 64), blocks=(1, 0, 1))


def test_outputs_are_the_maps_that_decoding_expects() -> None:
    model = build_face_network(SMALL, width=96, height=64)
    outputs = model(np.zeros((2, 64, 96, 3), np.float32))
    assert {name: tuple(x.shape) for name, x in outputs.items()} == {
        "s8": (2, 8, 12, 5),
        "s16": (2, 4, 6, 5),
        "s32": (2, 2, 3, 5),
    }


def test_few_cells_hold_a_face_at_first() -> None:
    model = build_face_network(SMALL, width=64, height=64)
    image = np.random.default_rng(0).uniform(-1, 1, (8, 64, 64, 3)).astype(np.float32)
    scores = [tf.sigmoid(x[..., 0]).numpy() for x in model(image, training=True).values()]
    assert np.mean(np.concatenate(scores, axis=None)) < 0.1


def test_models_of_other_sizes_share_weights() -> None:
    model = build_face_network(SMALL, width=96, height=64)
    other = build_face_network(SMALL, width=64, height=64, like=model)
    assert [id(v) for v in model.variables] == [id(v) for v in other.variables]
    image = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    before = other(image)["s8"].numpy()
    weights = [w + 0.01 for w in model.get_weights()]
    model.set_weights(weights)
    assert (other(image)["s8"].numpy() != before).any()


def test_binary_layers_have_the_form_that_converts() -> None:
    model = build_face_network(FaceNetwork(), width=64, height=64)
    binary = [layer for layer in model.layers if type(layer).__name__ == "QuantConv2D"]
    assert len(binary) == 11
    for layer in binary:
        assert layer.pad_values == 1 and layer.padding == "same" and not layer.use_bias
        assert layer.filters % 32 == 0 and layer.kernel_constraint is not None
    bits = sum(int(np.prod(layer.kernel.shape)) for layer in binary)
    assert bits == 976_896
    assert not any(type(layer).__name__ == "Lambda" for layer in model.layers)


def test_the_float_twin_has_the_same_topology() -> None:
    binary, twin = (
        build_face_network(SMALL.model_copy(update={"binary": wanted}), width=64, height=64) for wanted in (True, False)
    )
    assert [layer.name for layer in twin.layers] == [layer.name.replace("_binary", "_float") for layer in binary.layers]
    assert [w.shape for w in twin.get_weights()] == [w.shape for w in binary.get_weights()]
    assert not any(type(layer).__name__.startswith("Quant") for layer in twin.layers)


def test_checkpoints_reload(tmp_path: Path) -> None:
    model = build_face_network(SMALL, width=64, height=64)
    model.save(tmp_path / "net.keras")
    again = tf.keras.models.load_model(tmp_path / "net.keras", compile=False)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype(np.float32)
    for name, value in model(image).items():
        np.testing.assert_array_equal(value, again(image)[name])


@pytest.mark.parametrize("size", [(0, 64), (64, 48), (-32, 64)])
def test_sizes_must_be_multiples_of_32(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        build_face_network(SMALL, width=size[0], height=size[1])


@pytest.mark.parametrize("wrong", [{"channels": (33, 64, 64)}, {"blocks": (1, 1)}, {"depth": 3}, {"stem": 0}])
def test_parameters_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(pydantic.ValidationError):
        FaceNetwork.model_validate(wrong)


def test_models_by_name() -> None:
    parameters, build = MODELS["face"]
    assert parameters is FaceNetwork and build is build_face_network


def test_a_network_with_prelu_converts_with_every_binary_layer_binary() -> None:
    import larq_compute_engine as lce

    from edgebnn.inspection.graph import parse

    model = build_face_network(SMALL.model_copy(update={"activation": "prelu"}), width=64, height=64)
    for layer in model.layers:
        if layer.name.endswith("_prelu"):
            layer.set_weights([np.full_like(layer.get_weights()[0], 0.2)])
    operators = [operator.name for operator in parse(bytes(lce.convert_keras_model(model))).main.operators]
    binary = sum(type(layer).__name__ == "QuantConv2D" for layer in model.layers)
    assert operators.count("LceBconv2d") == operators.count("PRELU") == binary == 7
    assert "LceDequantize" not in operators


def trained(parameters: FaceNetwork) -> tf.keras.Model:
    """A network whose weights are drawn, batch norm statistics too."""
    model = build_face_network(parameters, width=64, height=64)
    random = np.random.default_rng(3)
    model.set_weights([random.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    return model


def test_a_grown_network_does_what_the_small_one_did() -> None:
    small = trained(SMALL)
    more = {"activation": "prelu", "blocks": (2, 1, 2)}
    grown = build_face_network(SMALL.model_copy(update=more), width=64, height=64)
    new = take_weights(grown, small)
    assert [name for name in new if name.endswith("_binary")] == [
        "stage8_block2_binary",
        "stage16_block1_binary",
        "stage32_block2_binary",
    ]
    image = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    outputs = grown(image)
    for name, value in small(image).items():
        np.testing.assert_array_equal(value, outputs[name])


def test_weights_of_the_same_network_are_taken_whole() -> None:
    small, other = trained(SMALL), build_face_network(SMALL, width=96, height=64)
    assert take_weights(other, small) == []
    for a, b in zip(small.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ({}, {"blocks": (2, 0, 1)}, "stage8_block2"),
        ({}, {"activation": "prelu"}, "stage8_down_prelu"),
        ({}, {"channels": (32, 64, 64)}, "has a layer stage16_skip"),
        ({"stem": 12}, {}, "shape"),
        ({"channels": (32, 64, 64)}, {"channels": (32, 32, 32)}, "lacks the layer stage16_skip"),
    ],
)
def test_weights_that_do_not_fit(ours: dict[str, object], theirs: dict[str, object], said: str) -> None:
    network, other = (
        build_face_network(SMALL.model_copy(update=change), width=64, height=64) for change in (ours, theirs)
    )
    with pytest.raises(ValueError, match=said):
        take_weights(network, other)


def test_a_float_twin_gives_its_signs_and_all_that_is_float() -> None:
    model = SMALL.model_copy(update={"activation": "prelu"})
    twin = trained(model.model_copy(update={"binary": False}))
    twin.set_weights([weights - 0.4 for weights in twin.get_weights()])  # of both signs
    network = build_face_network(model, width=64, height=64)
    start_from_twin(network, twin)
    pairs = list(zip(network.layers, twin.layers, strict=True))
    for ours, theirs in pairs:
        for got, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            if ours.name.endswith("_binary"):
                np.testing.assert_array_equal(np.sign(got), np.sign(expected))
                assert np.abs(got).mean() == pytest.approx(MEAN_LATENT, rel=1e-3)
            else:
                np.testing.assert_array_equal(got, expected)
    assert sum(ours.name.endswith("_binary") for ours, _ in pairs) == 7
