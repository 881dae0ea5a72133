from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from edgebnn_convert.rewrites import rewrite
from edgebnn_convert.rewrites.check import check_rewrites
from edgebnn_convert.rewrites.graph import is_graph, read

from edgebnn.errors import ParityError
from tests.converters.networks import NETWORKS
from tests.converters.rewrites.models import both, conv, dense, layers, settle, through


def assert_same(model: Any, rebuilt: Any, arrays: dict[str, Any]) -> None:
    inputs = next(iter(arrays.values())) if len(arrays) == 1 else arrays
    before, after = (tf.nest.flatten(one(inputs, training=False)) for one in (model, rebuilt))
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (rebuilt.output_names, rebuilt.input_names) == (model.output_names, model.input_names)


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"any_size"}))
def test_reading_and_building_is_the_identity(name: str) -> None:
    model = NETWORKS[name]()
    graph = read(model)
    assert graph is not None
    draw = np.random.default_rng(0)
    arrays = {name: draw.normal(size=(2, *x.shape[1:])).astype(np.float32) for name, x in graph.inputs.items()}
    rebuilt = graph.build()
    assert_same(model, rebuilt, arrays)
    assert {id(weight) for weight in rebuilt.weights} == {id(weight) for weight in model.weights}


def nested() -> Any:
    """A block used twice, a Sequential inside it, dictionaries for outputs, a TensorFlow function between."""
    y = tf.keras.Input((4, 4, 16))
    small = tf.keras.Sequential([layers.BatchNormalization(), layers.Activation("hard_tanh"), layers.Dropout(0.1)])
    block = tf.keras.Model(y, layers.add([y, conv(16, 1)(small(y))]), name="block")
    x = tf.keras.Input((4, 4, 16), name="x")
    z = block(block(x)) * 2.0
    outputs = {"b": layers.Conv2D(3, 1, name="b")(z), "a": layers.Dense(2, name="a")(tf.reduce_mean(z, axis=[1, 2]))}
    return settle(tf.keras.Model(x, outputs, name="outer"))


def test_nested_and_shared_models_are_unfolded() -> None:
    found = both(nested())
    assert found.done == ["idle layers", *2 * ["activation before sign"]]
    assert "Functional" not in found.kinds and found.kinds.count("BatchNormalization") == 1, "still one layer"
    assert list(found.model.output) == ["b", "a"] or sorted(found.model.output) == ["a", "b"]
    found.assert_close()


def test_equal_names_in_nested_models() -> None:
    def part() -> Any:
        y = tf.keras.Input((4, 4, 8))
        return tf.keras.Model(y, layers.BatchNormalization(name="bn")(conv(8, 1, name="conv")(y)))

    x = tf.keras.Input((4, 4, 8), name="x")
    model = settle(tf.keras.Model(x, layers.Conv2D(2, 1, name="conv")(part()(part()(x)))))
    names = [layer.name for layer in model.layers]
    found = both(settle(tf.keras.Model(x, layers.Dropout(0.5)(model.output))))
    found.assert_close()
    assert [layer.name for layer in model.layers] == names, "the model that was read stays as it is"
    graph = read(model)
    assert graph is not None
    assert_same(model, graph.build(), {"x": np.ones((1, 4, 4, 8), np.float32)})


def test_outputs_keep_their_names_when_their_layer_moves() -> None:
    model = through(conv(8), layers.MaxPool2D(2, name="pool"), layers.BatchNormalization(name="out"), shape=(8, 8, 4))
    found = both(model)
    assert found.model.output_names == ["out"] and found.done == ["pooling"]
    x = tf.keras.Input((6,), name="x")
    y = dense(4, name="scores")(x)
    found = both(tf.keras.Model(x, [y, layers.Activation("tanh", name="squashed")(y)]))
    assert found.model.output_names == ["scores", "squashed"]
    found.assert_equal()


def test_an_input_may_be_an_output() -> None:
    x = tf.keras.Input((6,), name="x")
    found = both(tf.keras.Model(x, [x, dense(4)(x)]))
    found.assert_equal()


def test_models_without_a_graph_are_left_alone() -> None:
    class Own(tf.keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x + 1

    assert rewrite(Own()) is None
    inner = tf.keras.Input((2,))

    class Changed(tf.keras.Model):  # type: ignore[misc]
        def call(self, x: Any, training: Any = None, mask: Any = None) -> Any:
            return super().call(x) + 1

    assert not is_graph(Changed(inner, layers.Dense(1)(inner)))
    x = tf.keras.Input((2,), name="x")
    found = both(tf.keras.Model(x, layers.Dropout(0.5)(dense(3)(Own()(x)))))
    assert "Own" in found.kinds and found.done == ["binary dense"]
    found.assert_equal()


def test_a_model_that_cannot_be_built_again_is_left_with_a_reason() -> None:
    """The two equal names in it must be told apart, by a layer that cannot be made anew."""

    class Stubborn(layers.Layer):  # type: ignore[misc]
        def __init__(self, needed: int, **options: Any) -> None:
            super().__init__(**options)
            self.needed = needed

        def call(self, x: Any) -> Any:
            return x + self.needed

        def get_config(self) -> Any:
            raise NotImplementedError("no configuration\nof this layer")

    def part() -> Any:
        y = tf.keras.Input((4,))
        return tf.keras.Model(y, Stubborn(1, name="same")(y))

    x = tf.keras.Input((4,), name="x")
    model = tf.keras.Model(x, dense(3)(part()(part()(x))))
    found = both(model)
    assert found.model is model and found.done == []
    assert found.left == ["the model cannot be built again from its layers, no configuration"]


def test_a_wrong_rewrite_is_caught() -> None:
    model = through(conv(8), layers.MaxPool2D(2), layers.BatchNormalization(), conv(8), shape=(8, 8, 4))
    rewritten = rewrite(model)
    assert rewritten is not None and rewritten.is_changed
    norm = next(layer for layer in rewritten.model.layers if isinstance(layer, layers.BatchNormalization))
    norm.beta.assign(norm.beta + 1e-2)
    arrays = {"x": np.ones((1, 8, 8, 4), np.float32)}
    with pytest.raises(ParityError, match=r"test: the first layer that differs is '.*batch_normalization.*': \d+ of"):
        check_rewrites(rewritten.before, rewritten.after, arrays, "test")
