from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edgebnn_convert.interpreters import Stock
from edgebnn_convert.samples import draw_samples
from edgebnn_convert.slices import computed_tensors, expose, slice_inputs, slice_operator

from edgebnn.inspection.graph import parse

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("c*.tflite"))


@pytest.mark.parametrize("path", GOLDEN[::4], ids=lambda path: path.stem)
def test_operators_alone_add_up_to_the_model(path: Path, delegate: None) -> None:
    model = path.read_bytes()
    network, engine = parse(model), Stock()
    sample = draw_samples(network)[0]
    outputs = engine.load(model, network).run(sample.arrays)
    values = dict(zip(network.main.inputs, sample.arrays, strict=True))
    for operator in network.main.operators:
        inputs = [values[index] for index in slice_inputs(network, operator)]
        results = engine.load(slice_operator(model, network, operator), network).run(inputs)
        values |= dict(zip(operator.outputs, results, strict=True))
    exposed = engine.load(expose(model, network), network).run(sample.arrays)
    for index, value in zip(computed_tensors(network), exposed, strict=True):
        np.testing.assert_allclose(values[index], value, rtol=1e-5, atol=1e-5)
    for index, value in zip(network.main.outputs, outputs, strict=True):
        np.testing.assert_allclose(values[index], value, rtol=1e-5, atol=1e-5)


def test_a_slice_is_one_operator() -> None:
    model = GOLDEN[0].read_bytes()
    network = parse(model)
    for operator in network.main.operators:
        part = parse(slice_operator(model, network, operator))
        (only,) = part.main.operators
        assert (only.name, only.inputs, only.outputs) == (operator.name, operator.inputs, operator.outputs)
        assert only.custom_options == operator.custom_options
        assert list(part.main.inputs) == slice_inputs(network, operator)
        assert part.signatures == () and part.metadata == ()
