from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydantic
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.models import MODELS, FaceNetwork, build_face_network

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
