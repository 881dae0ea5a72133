from __future__ import annotations

import numpy as np
import pytest

from edgebnn.inspection.costs import estimate
from edgebnn.inspection.graph import parse
from tests.delegate.flatfile import to_bytes
from tests.delegate.graph import Graph
from tests.edgebnn import small_networks


def residual_network() -> bytes:
    """x (1, 8, 8, 64) -> sign -> 3x3, 64 outputs -> ADD x."""
    graph, draw = Graph(), np.random.default_rng(0)
    x = graph.input((1, 8, 8, 64))
    ones = np.ones(64, np.float32)
    y = graph.bconv(graph.quantize(x), draw.random((64, 3, 3, 64)) < 0.5, multiplier=ones, bias=ones)
    graph.output(graph.add(x, y))
    return to_bytes(graph)


def test_by_hand() -> None:
    stored, float32, int8 = estimate(parse(residual_network()))
    weights, image, scales, macs = 64 * 9 * 64, 8 * 8 * 64, 2 * 64, 8 * 8 * 64 * 9 * 64
    assert [each.form for each in (stored, float32, int8)] == ["this file", "float32", "int8"]
    assert stored.constant_bytes == weights // 8 + 4 * scales
    assert float32.constant_bytes == 4 * (weights + scales)
    assert int8.constant_bytes == weights + 4 * scales
    # quantize: floats in, bits out; convolution: bits in, floats out; ADD: three times floats
    assert stored.traffic_bytes == 4 * image * 5 + 2 * image // 8 + stored.constant_bytes
    # without the quantizer, whose output is the convolution's input: five times floats
    assert float32.traffic_bytes == 4 * image * 5 + float32.constant_bytes
    assert int8.traffic_bytes == image * 5 + int8.constant_bytes
    # at the convolution: x, its bits, y; at the ADD: x, y, their sum
    assert stored.activation_bytes == 3 * 4 * image
    assert stored.compute_pj == pytest.approx(macs * 2 * 0.1 / 32)
    assert float32.compute_pj == pytest.approx(macs * (3.7 + 0.9))
    assert int8.compute_pj == pytest.approx(macs * (0.2 + 0.1))
    # tensors of 16 KB cost 20 pJ an access of 8 bytes, those of 4,608 and 512 and 256 bytes 10 pJ
    accesses = 5 * 4 * image / 8 * 20 + 2 * image / 8 / 8 * 10 + stored.constant_bytes / 8 * 10
    assert stored.memory_pj == pytest.approx(accesses)
    assert stored.energy_uj == pytest.approx((stored.compute_pj + stored.memory_pj) / 1e6)


def test_a_float_network_is_its_own_float32_twin() -> None:
    stored, float32, _ = estimate(parse(small_networks.bare_detector(size=64)))
    assert (stored.compute_pj, stored.traffic_bytes) == (float32.compute_pj, float32.traffic_bytes)


def test_large_tensors_cost_dram() -> None:
    graph = Graph()
    x = graph.input((1, 512, 513, 1))
    graph.output(graph.add(x, x))
    stored, *_ = estimate(parse(to_bytes(graph)))
    assert stored.memory_pj == 2 * np.ceil(4 * 512 * 513 / 8) * 1300
