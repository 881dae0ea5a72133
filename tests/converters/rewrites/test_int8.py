from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from edgebnn_convert.convert import convert
from edgebnn_convert.quiet import captured_stderr
from edgebnn_convert.rewrites.graph import LayerGraph, read
from edgebnn_convert.rewrites.int8 import SOFT_RANGE, best_range, measure_ranges, places, quantize, split_activations
from edgebnn_convert.verify import verify
from hypothesis import given, settings
from hypothesis import strategies as st

import edgebnn
from edgebnn.errors import ModelError, ParityError
from edgebnn.inspection.graph import parse
from tests.converters.rewrites.models import conv, layers, settle, through


def residual() -> Any:
    """Float stem and head, binary blocks between, one of them feeding a float convolution alone."""
    with captured_stderr():
        x = image = tf.keras.Input((16, 16, 3), name="image")
        x = layers.ReLU(name="stem")(layers.BatchNormalization()(layers.Conv2D(32, 3, strides=2, padding="same")(x)))
        y = layers.BatchNormalization()(conv(32, padding="same", pad_values=1, activation="relu")(x))
        x = layers.Add(name="trunk")([x, y])
        skip = layers.Conv2D(32, 1, name="skip")(layers.AveragePooling2D(name="pool")(x))
        y = layers.BatchNormalization(name="half")(conv(32, strides=2, padding="same", pad_values=1)(x))
        y = layers.Conv2D(32, 1, name="mix")(y)
        x = layers.Add(name="sum")([skip, y])
        x = layers.GlobalAveragePooling2D(name="mean")(x)
        return settle(tf.keras.Model(image, layers.Dense(5, activation="softmax", name="classes")(x)))


@pytest.fixture(scope="module")
def graph() -> LayerGraph:
    found = read(residual())
    assert found is not None
    return split_activations(found)


def samples(count: int = 6) -> list[dict[str, Any]]:
    draw = np.random.default_rng(0)
    return [{"image": draw.normal(size=(1, 16, 16, 3)).astype(np.float32)} for _ in range(count)]


def test_places(graph: LayerGraph) -> None:
    found = {(source.name if (source := graph.producer(p.value)) else "image"): p.users for p in places(graph)}
    names = ["image", "stem", "trunk", "skip", "half", "mix", "sum", "mean", "classes_linear", "classes"]
    assert sorted(found) == sorted(names)
    pool = found["trunk"]
    assert pool is not None and [call.name for call in pool] == ["pool"], "signs and additions take the float trunk"
    assert found["skip"] is None


def test_places_of_sums(graph: LayerGraph) -> None:
    """What the measurement in docs/converting.md compares with: all but what signs alone take."""
    plain = {place.value for place in places(graph)}
    sums = {place.value: place.users for place in places(graph, sums=True)}
    assert plain < set(sums) and not any(sums[value] for value in sums if graph.producer(value))
    (residue,) = sums.keys() - plain
    source = graph.producer(residue)
    assert source is not None and isinstance(source.layer, layers.BatchNormalization)
    trunk = graph.only_user(residue)
    assert trunk is not None and trunk.name == "trunk"
    ranges = measure_ranges(graph, samples(), sums=True, choose=lambda values: (-1.0, 2.0))
    assert {r for p, r in ranges.items() if p.value is residue} == {(-1.0, 2.0)}


def test_ranges(graph: LayerGraph) -> None:
    ranges = measure_ranges(graph, samples())
    by_name = {(source.name if (source := graph.producer(p.value)) else "image"): r for p, r in ranges.items()}
    assert by_name["classes"] == SOFT_RANGE and by_name["stem"][0] == 0
    assert all(least <= 0 <= greatest and least < greatest for least, greatest in by_name.values())
    with pytest.raises(ModelError, match="none were given"):
        measure_ranges(graph, [])
    with pytest.raises(ModelError, match="not finite"):
        measure_ranges(graph, [{"image": np.full((1, 16, 16, 3), np.nan, np.float32)}])


def test_fake_quantization_is_close(graph: LayerGraph) -> None:
    quantized = quantize(graph, measure_ranges(graph, samples()))
    assert len(quantized.calls) == len(graph.calls) + 10
    model = quantized.build()
    assert model.output_names == ["classes"]
    x = samples(1)[0]["image"]
    assert np.abs(model(x) - graph.build()(x)).max() < 0.1


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=50), st.floats(0, 1000, width=32))
def test_no_other_share_of_the_range_is_better(values: list[float], outlier: float) -> None:
    x = np.array([*values, outlier], np.float32)
    least, greatest = best_range(x)
    assert least <= 0 <= greatest and least < greatest

    def error(low: float, high: float) -> float:
        step = (high - low) / 255
        zero = np.round(low / step)
        return float(((np.clip(np.round(x / step), zero, zero + 255) * step - x) ** 2).mean())

    whole = min(0.0, float(x.min())), max(0.0, float(x.max()))
    assert whole[0] == whole[1] or error(least, greatest) <= error(*whole) * (1 + 1e-6) + 1e-12


def test_constant_zeros_have_a_range() -> None:
    assert best_range(np.zeros(5, np.float32)) == (0.0, 1.0)


def test_what_is_not_binary_becomes_int8(delegate: None, tmp_path: Path, capsys: Any) -> None:
    """LceBconv2d with int8 output among int8 layers; verified against Keras, LCE and the delegate."""
    model = residual()
    model.save(tmp_path / "best.keras")
    (tmp_path / "samples").mkdir()
    np.savez(tmp_path / "samples" / "a.npz", image=np.concatenate([one["image"] for one in samples(12)]))
    convert(tmp_path / "best.keras", tmp_path / "int8.tflite", card=None, calibrate=tmp_path / "samples")
    assert "int8: 10 values" in capsys.readouterr().out
    network = parse((tmp_path / "int8.tflite").read_bytes())
    tensors = network.main.tensors
    types = {
        name: [tensors[i].dtype for o in network.main.operators if o.name == name for i in (o.inputs[0], o.outputs[0])]
        for name in ("CONV_2D", "FULLY_CONNECTED", "MEAN", "AVERAGE_POOL_2D", "LceBconv2d", "LceQuantize", "SOFTMAX")
    }
    for name in ("CONV_2D", "FULLY_CONNECTED", "MEAN", "AVERAGE_POOL_2D", "SOFTMAX"):
        assert set(types[name]) == {"int8"}, name
    assert set(types["LceBconv2d"]) == {"int32", "float32", "int8"}
    assert {tensors[i].dtype for i in (*network.main.inputs, *network.main.outputs)} == {"float32"}
    verify(tmp_path / "int8.tflite", checkpoint=tmp_path / "best.keras", calibrate=tmp_path / "samples")
    assert "Keras, int8 = LCE" in capsys.readouterr().out
    model.get_layer("mix").kernel.assign(-model.get_layer("mix").kernel)
    model.save(tmp_path / "other.keras")
    with pytest.raises(ParityError, match="give its samples: --calibrate DIR"):
        verify(tmp_path / "int8.tflite", checkpoint=tmp_path / "other.keras")
    model.get_layer("mix").kernel.assign(-model.get_layer("mix").kernel)
    x = samples(1)[0]["image"]
    assert np.abs(edgebnn.Model(tmp_path / "int8.tflite").run(x)[0] - model(x)).max() < 0.15


def test_a_model_without_layers_is_refused(delegate: None, tmp_path: Path) -> None:
    with captured_stderr():
        through(layers.Dense(2), shape=(3,)).save(tmp_path / "saved", save_format="tf")
    with pytest.raises(ModelError, match="is a SavedModel: save it as"):
        convert(tmp_path / "saved", tmp_path / "out.tflite", card=None, calibrate=tmp_path)
