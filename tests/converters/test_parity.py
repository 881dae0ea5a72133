from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from edgebnn_convert.difference import Array, compare, extent
from edgebnn_convert.interpreters import Engine, Runner, Stock
from edgebnn_convert.parity import Sample, check_parity, near_zero
from edgebnn_convert.samples import draw_samples

from edgebnn.errors import ParityError
from edgebnn.inspection.graph import Network, parse
from tests.delegate.flatfile import to_bytes
from tests.delegate.graph import Graph

GOLDEN = Path(__file__).parents[1] / "golden"
Change = Callable[[Network, Sequence[Array], list[Array]], list[Array]]


class Changed:
    """An engine whose runs go through a function: (network that runs, inputs, outputs) -> outputs."""

    name = "changed"

    def __init__(self, change: Change, nudge: float = 0) -> None:
        self._engine, self._change, self._nudge = Stock(), change, nudge

    def load(self, model: bytes, network: Network) -> Runner:
        runner, part, outer = self._engine.load(model, network), parse(model), self

        class Run:
            def run(self, inputs: Sequence[Array]) -> list[Array]:
                whole = len(part.main.operators) == len(network.main.operators)
                nudged = [x + np.float32(outer._nudge) for x in inputs] if whole else inputs
                return outer._change(part, inputs, runner.run(nudged))

        return Run()


def same(network: Network, inputs: Sequence[Array], outputs: list[Array]) -> list[Array]:
    return outputs


def check(model: bytes, other: Engine, samples: list[Sample] | None = None) -> None:
    network = parse(model)
    check_parity(model, network, Stock("reference"), other, samples or draw_samples(network))


def sums() -> bytes:
    """Two inputs -> ADD -> sign -> 1x1 convolution of 32 channels."""
    graph = Graph()
    a, b = graph.input((1, 2, 2, 32)), graph.input((1, 2, 2, 32))
    negative = np.random.default_rng(0).random((4, 1, 1, 32)) < 0.5
    ones, zeros = np.ones(4, np.float32), np.zeros(4, np.float32)
    graph.output(graph.bconv(graph.quantize(graph.add(a, b)), negative, multiplier=ones, bias=zeros))
    return to_bytes(graph)


@pytest.mark.parametrize(
    "name", ["chain-three-heads", "converted-int8-between", "converted-groups", "conv-source-bool"]
)
def test_kernels_agree(name: str, delegate: None) -> None:
    check((GOLDEN / f"{name}.tflite").read_bytes(), Stock())


@pytest.mark.parametrize("kind", ["LceQuantize", "LceBconv2d", "ADD"])
def test_the_operator_that_differs_is_named(kind: str, delegate: None) -> None:
    def change(network: Network, inputs: Sequence[Array], outputs: list[Array]) -> list[Array]:
        (first, *others) = network.main.operators
        if others or first.name != kind:
            return outputs
        value = outputs[0].copy()
        value.flat[3] += 1
        return [value]

    with pytest.raises(ParityError, match=rf"the first operator that differs is {kind} \d.*: 1 of \d+ elements"):
        check(sums(), Changed(change))


def test_a_fault_of_the_whole_only_is_found(delegate: None) -> None:
    def change(network: Network, inputs: Sequence[Array], outputs: list[Array]) -> list[Array]:
        return [outputs[0] * 2] if len(network.main.operators) > 1 and len(outputs) == 1 else outputs

    with pytest.raises(ParityError, match=r"every operator agrees alone, but the output .* no sign input near zero"):
        check(sums(), Changed(change))


def test_sign_ties_are_excused_and_counted(delegate: None) -> None:
    a = np.linspace(-1, 1, 128, dtype=np.float32).reshape(1, 2, 2, 32)
    b = np.zeros_like(a)
    b.flat[5] = -a.flat[5] - np.float32(1e-7)  # their sum is a tie, on the negative side
    model = sums()
    network = parse(model)
    found = check_parity(model, network, Stock("reference"), Changed(same, nudge=1e-6), [Sample("tie", [a, b])])
    assert found.ties == 1
    assert 0 < found.differing_share <= 0.25  # the one pixel


def test_flips_far_from_zero_are_no_ties(delegate: None) -> None:
    a = np.linspace(-1, 1, 128, dtype=np.float32).reshape(1, 2, 2, 32)
    b = np.zeros_like(a)
    b.flat[5] = -a.flat[5] - np.float32(1e-3)
    with pytest.raises(ParityError, match="no sign input near zero explains it"):
        check(sums(), Changed(same, nudge=1e-3), [Sample("no tie", [a, b])])


def test_compare_floats() -> None:
    a = np.array([0, 1, -3], np.float32)
    assert extent(a) == 4
    assert compare(a, a + np.float32(3e-4)).differing == 0
    found = compare(a, a + np.float32([0, 0, 1e-3]))
    assert (found.differing, found.elements) == (1, 3)
    assert found.share == pytest.approx(2.5e-4, rel=1e-3)
    assert compare(a, a[:2]).differing == 3
    assert compare(a, a.astype(np.float64)).differing == 3


def test_compare_what_is_no_number() -> None:
    a = np.array([np.nan, np.inf, -np.inf, 1], np.float32)
    assert compare(a, a.copy()).differing == 0
    assert compare(a, np.array([0, np.inf, np.inf, 1], np.float32)).differing == 2
    assert compare(a, np.array([np.nan, np.inf, -np.inf, np.nan], np.float32)).differing == 1
    zeros = np.zeros(3, np.float32)
    assert compare(zeros, zeros).differing == 0
    assert compare(zeros, np.float32([0, 1e-30, 0])).differing == 1


def test_compare_integers() -> None:
    a = np.array([0, 5, -128], np.int8)
    assert compare(a, np.array([1, 5, -128], np.int8)).differing == 1
    assert compare(a, np.array([1, 5, -127], np.int8), steps=1).differing == 0
    words = np.array([-(2**31), 2**31 - 1], np.int32)
    assert compare(words, words[::-1].copy()).differing == 2


def test_near_zero() -> None:
    assert near_zero(np.float32([-1, 0.5e-5, 1.1e-4, 1])).tolist() == [False, True, False, False]
    assert not near_zero(np.int8([0, 1])).any()
