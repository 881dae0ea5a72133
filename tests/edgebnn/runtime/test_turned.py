from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from edgebnn_convert.embed import embed_card
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn import Model
from edgebnn.card import Preprocess
from edgebnn.errors import ModelError
from edgebnn.runtime.turned import turned
from tests.edgebnn import small_networks
from tests.edgebnn.small_networks import Op, build, table


def turning(width: int, height: int, *, turns: bool = True, dtype: str = "float32") -> bytes:
    card = small_networks.detector_card(preprocess=Preprocess(width=width, height=height, pad=0, turns=turns))
    return embed_card(small_networks.bare_detector(size=width, height=height, dtype=dtype), card)


def upsampler(*, height: int, width: int) -> bytes:
    """Twice the picture by two resizes that share the constant of their size, added."""
    small, large = (1, height, width, 2), (1, 2 * height, 2 * width, 2)
    tensors = {"x": small, "a": large, "b": large, "sum": large}
    resize = [
        Op(tfl.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR, ["x", "size"], [name], tfl.ResizeNearestNeighborOptionsT())
        for name in "ab"
    ]
    return build(
        {name: ("float32", shape) for name, shape in tensors.items()} | {"size": ("int32", (2,))},
        [*resize, Op(tfl.BuiltinOperator.ADD, ["a", "b"], ["sum"], tfl.AddOptionsT())],
        inputs=["x"],
        outputs=["sum"],
        constants={"size": np.array([2 * height, 2 * width], np.int32)},
    )


def test_turned_is_what_would_have_been_built_so() -> None:
    assert turned(small_networks.bare_detector(size=96, height=64)) == small_networks.bare_detector(size=64, height=96)
    assert turned(upsampler(height=3, width=5)) == upsampler(height=5, width=3)
    assert turned(turned(small_networks.bare_detector(size=96, height=64, dtype="int8"))) == (
        small_networks.bare_detector(size=96, height=64, dtype="int8")
    )


def test_a_turned_graph_runs(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(turned(upsampler(height=3, width=5)))
    picture = np.random.default_rng(0).normal(size=(1, 5, 3, 2)).astype(np.float32)
    (doubled,) = Model(tmp_path / "net.tflite").run(picture)
    np.testing.assert_array_equal(doubled, 2 * picture.repeat(2, axis=1).repeat(2, axis=2))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 200), height=st.integers(1, 200), seed=st.integers(0, 99))
def test_each_picture_is_seen_by_the_network_of_its_orientation(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, width: int, height: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("turned")
    (folder / "both.tflite").write_bytes(turning(96, 64, dtype=dtype))
    own = (64, 96) if height > width else (96, 64)
    (folder / "own.tflite").write_bytes(turning(*own, turns=False, dtype=dtype))
    picture = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    both, one = (Model(folder / f"{name}.tflite") for name in ("both", "own"))
    got, expected = (model.detect(picture, min_score=0.4) for model in (both, one))
    np.testing.assert_array_equal(got.boxes, expected.boxes)
    np.testing.assert_array_equal(got.scores, expected.scores)
    assert both.latency_ms > 0 and set(both.stage_ms) == {"preprocess", "inference", "decode"}


def test_pictures_of_both_orientations_take_turns(tmp_path: Path) -> None:
    (tmp_path / "both.tflite").write_bytes(turning(64, 96))  # an upright input turns to wide pictures
    model = Model(tmp_path / "both.tflite")
    wide = np.zeros((60, 90, 3), np.uint8)
    wide[20:40, 60:80] = 255
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    for _ in range(3):
        x, y, w, h = model.detect(wide).boxes[0].tolist()
        assert model.detect(tall).boxes[0].tolist() == pytest.approx([y, x, h, w], abs=0.01)
        assert x < 70 < x + w and y < 30 < y + h
    assert model.inputs[0].shape == (1, 96, 64, 3), "run() takes what the file says"


def test_what_does_not_turn() -> None:
    reshape = table(tfl.ReshapeOptionsT, newShape=[1, 5, 3, 2])
    flat = build(
        {"x": ("float32", (1, 3, 5, 2)), "y": ("float32", (1, 5, 3, 2))},
        [Op(tfl.BuiltinOperator.RESHAPE, ["x"], ["y"], reshape)],
        inputs=["x"],
        outputs=["y"],
    )
    with pytest.raises(ModelError, match="RESHAPE cannot"):
        turned(flat)
    computed = build(
        {"x": ("float32", (1, 3, 5, 2)), "size": ("int32", (2,)), "y": ("float32", (1, 6, 10, 2))},
        [Op(tfl.BuiltinOperator.RESIZE_BILINEAR, ["x", "size"], ["y"], tfl.ResizeBilinearOptionsT())],
        inputs=["x", "size"],
        outputs=["y"],
    )
    with pytest.raises(ModelError, match="RESIZE_BILINEAR cannot"):
        turned(computed)


def test_a_card_that_promises_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture of the other orientation fails with the cause, each time; others are seen as before."""
    tried = []

    def refuse(model: bytes) -> bytes:
        tried.append(len(model))
        raise ModelError("its FOO cannot")

    monkeypatch.setattr("edgebnn.runtime.model.turned", refuse)
    (tmp_path / "both.tflite").write_bytes(turning(96, 64))
    model = Model(tmp_path / "both.tflite")
    wide, tall = np.full((60, 90, 3), 255, np.uint8), np.full((90, 60, 3), 255, np.uint8)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"cannot turn to a picture of this orientation.*its FOO cannot"):
            model.detect(tall)
        assert len(model.detect(wide))
    assert len(tried) == 1


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 10_000), octets=st.binary(min_size=1, max_size=4), end=st.integers(0, 10_000))
def test_a_damaged_file_is_a_model_error(at: int, octets: bytes, end: int) -> None:
    whole = upsampler(height=3, width=5)
    content = bytearray(whole)
    content[at % len(whole) : at % len(whole) + len(octets)] = octets
    for damaged in (bytes(content), whole[: end % len(whole)]):
        with suppress(ModelError):
            assert len(turned(damaged)) == len(damaged)


def test_a_size_of_seven_bytes_is_a_model_error() -> None:
    resize = Op(tfl.BuiltinOperator.RESIZE_BILINEAR, ["x", "size"], ["y"], tfl.ResizeBilinearOptionsT())
    tensors = {"x": ("float32", (1, 3, 5, 2)), "size": ("int32", (2,)), "y": ("float32", (1, 6, 10, 2))}
    odd = build(tensors, [resize], inputs=["x"], outputs=["y"], constants={"size": np.zeros(7, np.uint8)})
    with pytest.raises(ModelError, match="damaged: it cannot be turned"):
        turned(odd)
