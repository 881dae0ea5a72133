"""Interpreters over time: resized, shared delegates, threads, deletion in any order, dynamic shapes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import edgebnn

from . import grid, judge
from .cases import Case, Conv, Draw, Sketch
from .kernels import KERNELS
from .run_golden import invoke

BITS = Conv(type="bits")
Shape = tuple[int, int, int]
# Each dimension also changes alone.
SHAPES: list[Shape] = [(1, 8, 8), (3, 8, 8), (3, 5, 8), (3, 5, 11), (1, 17, 6), (1, 8, 8), (2, 1, 9)]


def _pooled(shape: Shape) -> Case:
    sketch = Sketch(Draw("resize pooled"))
    y = sketch.conv(sketch.graph.quantize(sketch.graph.input((*shape, 40))), replace(BITS, out=72))
    y = sketch.graph.bpool(y, (2, 2), (2, 2), "SAME")
    return sketch.case("resize pooled", sketch.conv(y, Conv(out=16, pad_value=0)), y)


def _residual(shape: Shape) -> Case:
    sketch = Sketch(Draw("resize residual"))
    x = sketch.graph.input((*shape, 32))
    for affine in ("half", "whole"):
        x = sketch.graph.add(x, sketch.conv(sketch.graph.quantize(x), Conv(affine=affine, pad_value=0)))
    return sketch.case("resize residual", x)


def _strided_int8(shape: Shape) -> Case:
    sketch = Sketch(Draw("resize strided"))
    x = sketch.graph.quantize(sketch.graph.input((*shape, 33), "int8", scale=0.1, zero_point=2))
    y = sketch.conv(
        x, Conv(type="int8", out=24, filter=(1, 5), stride=(1, 2), dilation=(1, 2)), scale=0.7, zero_point=1
    )
    return sketch.case("resize strided", y, sketch.conv(sketch.graph.quantize(y), replace(BITS, out=40)))


def _dequantized(shape: Shape) -> Case:
    """LCE refuses to resize this one: it takes LceDequantize's shape from the file."""
    sketch = Sketch(Draw("resize dequantized"))
    y = sketch.conv(sketch.graph.quantize(sketch.graph.input((*shape, 64))), replace(BITS, out=70))
    return sketch.case("resize dequantized", sketch.graph.dequantize(y), sketch.graph.dequantize(y, "bool"))


RESIZABLE: list[Callable[[Shape], Case]] = [_pooled, _residual, _strided_int8, _dequantized]


def _interpreter(case: Case, **options: Any) -> Interpreter:
    options = {"experimental_delegates": [edgebnn.load_delegate()], "num_threads": 1, **options}
    return Interpreter(model_content=judge.model(case), **options)


def _wrong(outputs: Sequence[judge.Array], case: Case) -> str:
    return "; ".join(filter(None, (judge.difference(outputs, wanted) for wanted in judge.expected(case).values())))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("build", RESIZABLE)
def test_resized_equals_a_model_of_that_shape(build: Callable[[Shape], Case], kernel: str) -> None:
    interpreter = _interpreter(build(SHAPES[0]), experimental_delegates=[edgebnn.load_delegate(kernel=kernel)])
    for shape in SHAPES:
        case = build(shape)
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], case.inputs[0].shape)
        assert not _wrong(invoke(interpreter, case.inputs), case), shape


def test_resized_before_the_first_allocation() -> None:
    interpreter, case = _interpreter(_residual(SHAPES[0])), _residual(SHAPES[2])
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], case.inputs[0].shape)
    assert not _wrong(invoke(interpreter, case.inputs), case)


def test_resized_to_what_cannot_be_and_back() -> None:
    """Another number of channels is refused with the reason; the interpreter recovers."""
    case = _pooled(SHAPES[0])
    interpreter = _interpreter(case)
    index = interpreter.get_input_details()[0]["index"]
    for shape in ((1, 8, 8, 65), (1, 8, 40), (1, 0, 8, 40)):
        interpreter.resize_tensor_input(index, shape)
        with pytest.raises((RuntimeError, ValueError)):
            interpreter.allocate_tensors()
    interpreter.resize_tensor_input(index, case.inputs[0].shape)
    assert not _wrong(invoke(interpreter, case.inputs), case)


def test_many_invocations_with_other_inputs() -> None:
    interpreter = _interpreter(grid.case("chain-residual-downsampling"))
    for seed in range(5):
        case = grid.case("chain-residual-downsampling")
        case = replace(case, inputs=[Draw(str(seed)).array(tensor) for tensor in case.graph.inputs])
        assert not _wrong(invoke(interpreter, case.inputs), case)


def test_invoked_again_without_new_inputs() -> None:
    case = grid.case("chain-three-heads")
    interpreter = _interpreter(case)
    first = invoke(interpreter, case.inputs)
    interpreter.invoke()
    again = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
    assert not judge.difference(again, first)


def test_one_delegate_in_two_interpreters() -> None:
    delegate = edgebnn.load_delegate(num_threads=2)
    cases = [grid.case("chain-pooled"), grid.case("chain-int8-chain")]
    interpreters = [_interpreter(case, experimental_delegates=[delegate]) for case in cases]
    for _ in range(3):
        for interpreter, case in zip(interpreters, cases, strict=True):
            assert not _wrong(invoke(interpreter, case.inputs), case)


def test_two_delegates_in_one_interpreter() -> None:
    case = grid.case("chain-scaled-between")
    delegates = [edgebnn.load_delegate(), edgebnn.load_delegate(kernel="reference")]
    assert not _wrong(invoke(_interpreter(case, experimental_delegates=delegates), case.inputs), case)


@pytest.mark.parametrize("shared", [True, False])
def test_interpreters_on_threads(shared: bool) -> None:
    names = ("chain-bitpacked-deep", "chain-residual", "conv-large-k-int8", "chain-three-heads")
    delegate = edgebnn.load_delegate(num_threads=2)
    failures: list[str] = []

    def work(name: str) -> None:
        case = grid.case(name)
        own = delegate if shared else edgebnn.load_delegate(num_threads=2)
        interpreter = _interpreter(case, experimental_delegates=[own])
        for _ in range(50):
            failures.extend(filter(None, [judge.difference(invoke(interpreter, case.inputs), wanted[name])]))

    wanted = {name: judge.expected(grid.case(name))["numpy"] for name in names}
    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not failures


def test_delegate_deleted_before_the_interpreter() -> None:
    case = grid.case("chain-bitpacked")
    delegate = edgebnn.load_delegate(num_threads=2)
    interpreter = _interpreter(case, experimental_delegates=[delegate])
    del delegate
    gc.collect()
    for _ in range(2):
        assert not _wrong(invoke(interpreter, case.inputs), case)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (2, 7, 7, 40))
    interpreter.allocate_tensors()
    interpreter.invoke()


def test_native_delegate_destroyed_before_the_interpreter() -> None:
    """Python's interpreters hold their delegates; a C++ program may not."""
    case = grid.case("chain-bitpacked")
    delegate = edgebnn.load_delegate(num_threads=2)
    interpreter = _interpreter(case, experimental_delegates=[delegate])
    assert not _wrong(invoke(interpreter, case.inputs), case)
    pointer, delegate._pointer = delegate._pointer, None
    delegate._library.tflite_plugin_destroy_delegate(pointer)
    interpreter.invoke()
    del interpreter
    gc.collect()


FORK = """
import gc, os, sys
from tests.delegate import grid
from tests.delegate.test_lifetime import _interpreter, _wrong, invoke
import edgebnn
case = grid.case("chain-bitpacked")
delegate = edgebnn.load_delegate(num_threads=3)
interpreter = _interpreter(case, experimental_delegates=[delegate])
assert not _wrong(invoke(interpreter, case.inputs), case)
child = os.fork()
if child == 0:
    if _wrong(invoke(interpreter, case.inputs), case):
        os._exit(1)
    del interpreter, delegate
    gc.collect()
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_forked_child_can_run_and_let_go() -> None:
    """It has none of the pool's threads, so it must do their work and not wait for them."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=60, env=environment, capture_output=True)


def test_interpreters_come_and_go() -> None:
    case = grid.case("chain-quantize-shared")
    delegate = edgebnn.load_delegate()
    for _ in range(20):
        assert not _wrong(invoke(_interpreter(case, experimental_delegates=[delegate]), case.inputs), case)


def test_delegates_that_serve_nobody() -> None:
    for _ in range(20):
        edgebnn.load_delegate(num_threads=4)


@pytest.mark.parametrize("resolver", [OpResolverType.BUILTIN, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES])
@pytest.mark.parametrize("name", ["chain-residual", "chain-scaled-between", "chain-float-inside-and-outside"])
def test_with_and_without_xnnpack(name: str, resolver: OpResolverType) -> None:
    case = grid.case(name)
    assert not _wrong(invoke(_interpreter(case, experimental_op_resolver_type=resolver), case.inputs), case)


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors:UserWarning")
@pytest.mark.parametrize(
    "option",
    [
        "experimental_preserve_all_tensors",
        "experimental_disable_delegate_clustering",
        "experimental_disable_delegate_node_fusion",
    ],
)
def test_options_of_the_host(option: str) -> None:
    case = grid.case("chain-pooled")
    try:
        interpreter = _interpreter(case, **{option: True})
    except TypeError:
        pytest.skip("this runtime has no such option")
    assert not _wrong(invoke(interpreter, case.inputs), case)


def test_shape_known_only_at_run_time() -> None:
    sketch = Sketch(Draw("dynamic"))
    x = sketch.graph.input((2, 6, 5, 40))
    shape = sketch.graph.input((4,), "int32")
    y = sketch.graph.reshape(x, shape, (2, 6, 5, 40))
    y = sketch.conv(sketch.graph.quantize(y), Conv(out=24, affine="half"))
    z = sketch.conv(sketch.graph.quantize(sketch.graph.relu(y)), replace(BITS, out=40))
    sketch.graph.output(y, z)
    values = sketch.draw.steps(2, 6, 5, 40)
    interpreter = None
    for actual in ((2, 6, 5, 40), (1, 10, 6, 40), (5, 3, 4, 40), (2, 6, 5, 40)):
        case = Case("dynamic", sketch.graph, [values, np.array(actual, np.int32)])
        interpreter = interpreter or _interpreter(case)
        got = invoke(interpreter, case.inputs)
        assert got[0].shape == (*actual[:3], 24)
        if actual == x.shape:
            assert not _wrong(got, case)
