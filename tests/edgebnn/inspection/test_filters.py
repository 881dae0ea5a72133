from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.inspection.filters import as_text, count_unique, filter_repetition
from edgebnn.inspection.graph import parse
from tests.delegate.flatfile import to_bytes
from tests.delegate.graph import Graph
from tests.edgebnn import small_networks


def counted_by_hand(negative: np.ndarray) -> tuple[int, int]:
    """A set of tuples an input channel, and one in which a filter and its inverse are the same."""
    outputs, _, _, inputs = negative.shape
    unique = up_to_sign = 0
    for channel in range(inputs):
        seen = {tuple(negative[o, :, :, channel].ravel()) for o in range(outputs)}
        unique += len(seen)
        up_to_sign += len({min(each, tuple(not bit for bit in each)) for each in seen})
    return unique, up_to_sign


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
)
def test_counts_agree_with_sets(outputs: int, height: int, width: int, inputs: int, seed: int, share: float) -> None:
    negative = np.random.default_rng(seed).random((outputs, height, width, inputs)) < share
    assert count_unique(negative) == counted_by_hand(negative)


def test_one_filter_its_inverse_and_another() -> None:
    negative = np.zeros((4, 3, 3, 1), bool)
    negative[1] = True  # the inverse of filter 0
    negative[2, 0, 0] = True
    negative[3, 0, 0] = True
    assert count_unique(negative) == (3, 2)


def test_random_filters_repeat_as_often_as_chance_says() -> None:
    """512 3x3 filters drawn 512 times leave 1 - 1/e of them seen."""
    negative = np.random.default_rng(0).random((512, 3, 3, 64)) < 0.5
    unique, up_to_sign = count_unique(negative)
    assert unique / (512 * 64) == pytest.approx(1 - np.exp(-1), abs=0.01)
    assert up_to_sign / (256 * 64) == pytest.approx(1 - np.exp(-2), abs=0.01)


def test_a_network_layer_by_layer() -> None:
    graph, draw = Graph(), np.random.default_rng(0)
    x = graph.quantize(graph.input((1, 6, 5, 70)))
    ones, zeros = np.ones(40, np.float32), np.zeros(40, np.float32)
    negative = draw.random((40, 3, 3, 70)) < 0.2
    x = graph.quantize(graph.bconv(x, negative, multiplier=ones, bias=zeros))
    pointwise = draw.random((40, 1, 1, 40)) < 0.5
    graph.output(graph.bconv(x, pointwise, multiplier=ones, bias=zeros))
    first, second = filter_repetition(parse(to_bytes(graph)))
    assert (first.index, first.size, first.filters) == (1, (3, 3), 40 * 70)
    assert (first.unique, first.unique_up_to_sign) == counted_by_hand(negative)
    assert first.saving == first.filters / first.unique_up_to_sign
    assert (second.size, second.unique_up_to_sign) == ((1, 1), 40)
    assert "mean over 1 layers larger than 1x1" in as_text([first, second])[-1]


def test_groups_count_their_own_channels() -> None:
    graph = Graph()
    x = graph.quantize(graph.input((1, 4, 4, 64)))
    ones = np.ones(8, np.float32)
    graph.output(graph.bconv(x, np.zeros((8, 3, 3, 32), bool), multiplier=ones, bias=ones))
    (found,) = filter_repetition(parse(to_bytes(graph)))
    assert (found.filters, found.unique) == (8 * 32, 32)


def test_without_binary_convolutions() -> None:
    found = filter_repetition(parse(small_networks.doubler()))
    assert found == [] and as_text(found) == ["no binary convolutions: no filters to compare"]
