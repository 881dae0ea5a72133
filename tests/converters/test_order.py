from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from edgebnn_convert.embed import strip_card
from edgebnn_convert.order import restore_order

import edgebnn
from edgebnn.inspection.graph import parse

Files = Callable[[str], Path]


def test_the_order_of_keras_comes_back(converted: Files, checkpoint: Files) -> None:
    """Also for a program that takes outputs by position, without the signature."""
    source, model = checkpoint("residual"), converted("residual")
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    keras = tf.keras.models.load_model(source, compile=False)
    x = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    interpreter = Interpreter(model_path=str(model), experimental_delegates=[edgebnn.load_delegate()])
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    details = interpreter.get_output_details()
    assert keras.output_names == ["classes", "boxes"]
    for detail, expected in zip(details, keras(x), strict=True):
        np.testing.assert_allclose(interpreter.get_tensor(detail["index"]), expected, atol=1e-3)


def test_any_order_and_back(converted: Files) -> None:
    model = strip_card(converted("residual").read_bytes())
    before = parse(model)
    swapped = restore_order(model, ["image"], ["boxes", "classes"])
    after = parse(swapped)
    assert after.main.outputs == before.main.outputs[::-1] and after.entries()[1] == before.entries()[1]
    assert list(after.entries()[1]) == ["boxes", "classes"]
    assert restore_order(swapped, ["image"], ["classes", "boxes"]) == model
    assert restore_order(model, ["other"], ["classes", "more"]) == model


def test_inputs_too(converted: Files) -> None:
    model = strip_card(converted("two_inputs").read_bytes())
    network = parse(model)
    assert list(network.entries()[0]) == ["right", "left"], "the order of the Keras model's inputs"
    shapes = [network.main.tensors[i].shape for i in network.main.inputs]
    assert shapes == [(1, 8, 8, 32), (1, 8, 8, 16)]
