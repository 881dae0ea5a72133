"""Models of the true converter: the delegate equals LCE on them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import edgebnn

from . import converted, judge, lce
from .flatfile import input_arrays, with_signed_values
from .kernels import KERNELS
from .run_golden import invoke

pytestmark = pytest.mark.skipif(lce.extension() is None, reason="larq-compute-engine is not installed")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", converted.MODELS)
def test_equals_lce(name: str, kernel: str, converted_models: dict[str, bytes]) -> None:
    model = converted_models[name]
    inputs = input_arrays(model, partial(converted.inputs_of, name))
    delegate = edgebnn.load_delegate(kernel=kernel)
    outputs = invoke(Interpreter(model_content=model, experimental_delegates=[delegate], num_threads=1), inputs)
    assert not judge.difference(outputs, lce.run(model, inputs, kernel=converted.lce_kernel(name)))


@pytest.mark.parametrize("name", converted.MODELS)
def test_no_value_near_zero_in_front_of_a_sign(name: str, converted_models: dict[str, bytes]) -> None:
    model, outputs = with_signed_values(converted_models[name])
    inputs = input_arrays(model, partial(converted.inputs_of, name))
    for values in lce.run(model, inputs, kernel=converted.lce_kernel(name))[outputs:]:
        assert np.abs(values).min() >= 1e-3 * np.ptp(values)
