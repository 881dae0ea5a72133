"""Float ops that the delegate claims: they give what the stock runtime gives, and nothing else is claimed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

import edgebnn
from edgebnn.inspection import runners
from edgebnn.inspection.graph import parse

from . import glue, judge, oracle
from .cases import Case, Conv, Draw, Sketch
from .graph import Tensor
from .isolated import Worker
from .run_golden import invoke

RELATIVE = 1e-6
WAYS = [("auto", 1), ("auto", 3), ("portable", 2), ("reference", 1)]  # kernel, threads


def run(case: Case, **options: str | int) -> list[judge.Array]:
    delegate = edgebnn.load_delegate(**options)  # type: ignore[arg-type]
    return invoke(Interpreter(model_content=judge.model(case), experimental_delegates=[delegate]), case.inputs)


def claimed(case: Case) -> list[bool]:
    asked = runners.ask_runtime(judge.model(case), parse(judge.model(case)))
    assert asked is not None
    return [runner == runners.DELEGATE for runner in asked]


def check(case: Case, ways: list[tuple[str, int]] = WAYS, *, exact: bool = True) -> None:
    """fuse=1 against fuse=0, where the stock runtime computes the float ops."""
    stock = run(case, fuse=0)
    for kernel, threads in ways:
        for got, wanted in zip(run(case, kernel=kernel, num_threads=threads), stock, strict=True):
            if exact or got.dtype != np.float32:
                np.testing.assert_array_equal(got, wanted, err_msg=kernel)
            else:
                np.testing.assert_allclose(got, wanted, rtol=RELATIVE, atol=RELATIVE, err_msg=kernel)


@pytest.mark.parametrize("name", glue.CLAIMED)
def test_claimed_and_equal_to_the_stock_runtime(name: str) -> None:
    case = glue.case(name, glue.CLAIMED[name])
    assert all(claimed(case))
    check(case, exact="BILINEAR" not in name)


@pytest.mark.parametrize("name", glue.CLAIMED)
def test_claimed_and_equal_to_numpy(name: str) -> None:
    case = glue.case(name, glue.CLAIMED[name])
    got, wanted = run(case), oracle.run(case.graph, case.inputs)
    np.testing.assert_allclose(got[0], wanted[0], rtol=RELATIVE, atol=RELATIVE)
    if np.abs(wanted[0]).min() > RELATIVE:  # no sign hangs on rounding
        assert not judge.difference(got, wanted)


@pytest.mark.parametrize("name", glue.LEFT)
def test_left_to_the_runtime(name: str) -> None:
    case = glue.case(name, glue.LEFT[name])
    kinds = [op.kind for op in case.graph.ops]
    assert [is_ours for is_ours, kind in zip(claimed(case), kinds, strict=True) if not kind.startswith("Lce")] == [
        False
    ]
    check(case)


@pytest.mark.parametrize("name", glue.NONSENSE)
def test_nonsense_ends_as_in_the_runtime_or_in_a_sentence(name: str) -> None:
    """What the runtime alone refuses or survives, or crashes on, it does with us too: none of it is claimed."""
    case = glue.case(name, glue.NONSENSE[name])
    with Worker("delegate") as fused, Worker("unfused") as unfused:
        outcome, stock = (worker.run(judge.model(case), case.inputs) for worker in (fused, unfused))
    assert outcome.kind == stock.kind, outcome.message
    if stock.kind == "ok":
        assert not judge.difference(outcome.outputs, stock.outputs)


def test_fuse_0_takes_binary_ops_alone() -> None:
    case = glue.case("ADD maps", glue.CLAIMED["ADD maps"])
    interpreter = Interpreter(model_content=judge.model(case), experimental_delegates=[edgebnn.load_delegate(fuse=0)])
    interpreter.allocate_tensors()
    assert (
        sum(node["op_name"] == "DELEGATE" for node in interpreter._get_ops_details()) == 3
    )  # theirs between two of ours


@pytest.mark.parametrize("value", ["", "2", "yes", "00"])
def test_other_values_of_fuse_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"option fuse is '.*', expected 0 or 1"):
        edgebnn.load_delegate(fuse=value)


def test_glue_without_a_binary_neighbour_is_left() -> None:
    """Neither a float network's ADD, nor one that a float op separates from the binary part."""
    sketch = Sketch(Draw("far glue"))
    x = sketch.graph.input((1, 4, 4, 32))
    y = sketch.conv(sketch.graph.quantize(x), Conv())
    shape = sketch.graph.constant(np.array([1, 2, 8, 32], np.int32))
    z = sketch.graph.relu(sketch.graph.reshape(y, shape, (1, 2, 8, 32)))
    assert claimed(sketch.case("far glue", z)) == [True, True, False, False]


def test_glue_that_would_be_a_partition_of_its_own_is_left() -> None:
    """The ADD reads a binary convolution's output, but also a RESHAPE behind it: no binary op could run with it."""
    sketch = Sketch(Draw("late glue"))
    y = sketch.conv(sketch.graph.quantize(sketch.graph.input((1, 4, 4, 32))), Conv())
    shape = sketch.graph.constant(np.array([1, 4, 4, 32], np.int32))
    case = sketch.case("late glue", sketch.graph.add(y, sketch.graph.reshape(y, shape, (1, 4, 4, 32))))
    assert claimed(case) == [True, True, False, False]
    check(case)


def test_int8_stays_as_it_is() -> None:
    sketch = Sketch(Draw("int8 glue"))
    x = sketch.graph.quantize(sketch.graph.input((1, 6, 6, 32), "int8", scale=0.5, zero_point=1))
    y = sketch.conv(x, Conv(type="int8", out=16), scale=1.0, zero_point=0)
    pooled = sketch.graph.tensor((1, 3, 3, 16), "int8", scale=1.0, zero_point=0)
    options = {"padding": 1, "stride_width": 2, "stride_height": 2, "filter_width": 2, "filter_height": 2}
    case = sketch.case("int8 glue", sketch.graph.op("MAX_POOL_2D", [y], pooled, **options))
    assert claimed(case) == [True, True, False]
    check(case)


def block(sketch: Sketch, x: Tensor, spec: Conv, tail: list[str], kept: bool, order: bool) -> Tensor:
    """sign -> conv -> the ops named in `tail` -> residual addition."""
    y = sketch.conv(sketch.graph.quantize(x), spec)
    middle = y
    for kind in tail:
        channels = y.shape[-1]
        if kind == "MUL":
            y = sketch.graph.mul(
                y, sketch.graph.constant(np.exp2(sketch.draw.random.randint(-1, 2, channels)).astype("f4"))
            )
        elif kind == "PRELU":
            slopes = sketch.graph.constant(np.full((1, 1, channels), 0.5, np.float32))
            y = sketch.graph.op("PRELU", [y, slopes], sketch.graph.tensor(y.shape))
        else:
            y = sketch.graph.op(kind, [y], sketch.graph.tensor(y.shape))
    y = sketch.graph.add(*((x, y) if order else (y, x)))
    return sketch.graph.add(y, middle) if kept else y


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_residual_networks(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**31))
    sketch = Sketch(Draw(f"residual {seed}"))
    channels = data.draw(st.sampled_from([8, 32, 33, 70]))
    shape = [data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), channels]
    x = sketch.graph.input(shape)
    outputs, earlier = [], x
    for _ in range(data.draw(st.integers(1, 4))):
        tail = data.draw(st.lists(st.sampled_from(["MUL", "PRELU", "RELU6", "RELU_N1_TO_1"]), max_size=3))
        spec = Conv(affine="half", out=channels, pad_value=data.draw(st.integers(0, 1)))
        x = block(sketch, x, spec, tail, data.draw(st.booleans()), data.draw(st.booleans()))
        if data.draw(st.booleans()):
            x = sketch.graph.add(x, earlier)
        if data.draw(st.integers(0, 3)) == 0:
            outputs.append(x)
        earlier = data.draw(st.sampled_from([x, earlier]))
        if data.draw(st.integers(0, 3)) == 0:
            x = earlier = sketch.graph.max_pool(x, (2, 2), (1, 1), "SAME")
    case = sketch.case("random", *outputs, sketch.conv(sketch.graph.quantize(x), Conv(affine="half")), x)
    assert all(claimed(case))
    check(case, [("auto", data.draw(st.integers(1, 3))), ("reference", 1)])


def resizable(name: str) -> Callable[[tuple[int, ...]], Case]:
    """A network of every glue op whose shape follows its input's."""

    def build(shape: tuple[int, ...]) -> Case:
        sketch = Sketch(Draw(name))
        x = sketch.graph.input(shape)
        y = block(sketch, x, Conv(affine="half", out=32), ["MUL", "PRELU"], True, True)
        y = glue.pool("AVERAGE_POOL_2D", (2, 2), (2, 2), "SAME")(sketch, y, y)
        y = block(sketch, y, Conv(affine="half", out=32), ["RELU6"], False, False)
        y = glue.concatenation(3)(sketch, y, glue.unary("RELU")(sketch, y, y))
        y = glue.pad((1, 1), (1, 0), (0, 0))(sketch, y, y)
        return sketch.case(name, y, sketch.conv(sketch.graph.quantize(y), Conv(affine="half")))

    return build


def test_resized_equals_a_model_of_that_shape() -> None:
    build = resizable("resized glue")
    interpreter = Interpreter(
        model_content=judge.model(build((1, 8, 8, 32))), experimental_delegates=[edgebnn.load_delegate()]
    )
    for shape in ((1, 8, 8, 32), (3, 8, 8, 32), (2, 5, 11, 32), (1, 1, 2, 32), (1, 17, 6, 32)):
        case = build(shape)
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
        for got, wanted in zip(invoke(interpreter, case.inputs), run(case, fuse=0), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=RELATIVE, atol=RELATIVE)


def test_shapes_that_part_are_refused_with_a_sentence() -> None:
    """Two inputs of one shape, of which one is resized so that the runtime would broadcast it."""
    sketch = Sketch(Draw("parting"))
    x, other = sketch.graph.input((1, 4, 4, 32)), sketch.graph.input((1, 4, 4, 32))
    case = sketch.case("parting", sketch.graph.add(sketch.conv(sketch.graph.quantize(x), Conv()), other))
    interpreter = Interpreter(model_content=judge.model(case), experimental_delegates=[edgebnn.load_delegate()])
    interpreter.resize_tensor_input(interpreter.get_input_details()[1]["index"], (1, 1, 1, 32))
    with pytest.raises(RuntimeError, match=r"edgebnn: ADD \(node 2\): its inputs have different shapes"):
        interpreter.allocate_tensors()


def test_one_delegate_in_interpreters_on_several_threads() -> None:
    case = resizable("shared glue")((2, 9, 9, 32))
    delegate, wanted = edgebnn.load_delegate(num_threads=2), run(case, num_threads=1)
    wrong: list[str] = []

    def work(seed: int) -> None:
        interpreter = Interpreter(model_content=judge.model(case), experimental_delegates=[delegate])
        for _ in range(20):
            wrong.extend(filter(None, [judge.difference(invoke(interpreter, case.inputs), wanted)]))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_same_inputs_give_the_same_outputs_again() -> None:
    """Maps are written over one another inside: nothing may be left over from the invocation before."""
    case = resizable("again")((1, 9, 9, 32))
    interpreter = Interpreter(model_content=judge.model(case), experimental_delegates=[edgebnn.load_delegate()])
    first = invoke(interpreter, case.inputs)
    other = replace(case, inputs=[Draw("other").array(tensor) for tensor in case.graph.inputs])
    assert judge.difference(invoke(interpreter, other.inputs), first)
    assert not judge.difference(invoke(interpreter, case.inputs), first)
