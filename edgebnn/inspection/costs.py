"""Memory, memory traffic and energy of a network, beside its float32 and int8 equivalents: estimates, not measurements.

Energies are those of 45 nm hardware in Courbariaux et al. 2016, tables 5 and 6 (after Horowitz, "Computing's energy
problem", ISSCC 2014). A binary multiply-accumulate is not in them: 32 of them are counted as two 32-bit integer
additions, one for the XNOR and one for popcount and sum. Traffic counts each operator's inputs, constants and outputs
once; a tensor costs what a memory that just holds it costs (DRAM beyond 1 MB, at its lower bound).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgebnn.inspection.graph import Network, Tensor, bitpacked_channels
from edgebnn.inspection.work import count_work, element_bits, packed_filters

# pJ an operation.
FLOAT32_MAC = 3.7 + 0.9
FLOAT16_MAC = 1.1 + 0.4
INT8_MAC = 0.2 + 0.1  # an 8-bit multiplication, a 32-bit addition
BINARY_MAC = 2 * 0.1 / 32
# (bytes of the memory, pJ an access of 64 bits).
ACCESS = ((8 << 10, 10.0), (32 << 10, 20.0), (1 << 20, 100.0), (math.inf, 1300.0))
ACCESS_BYTES = 8


@dataclass(frozen=True)
class Costs:
    """Bytes and picojoules of one inference; `activation_bytes` is the most that lives at the same time."""

    form: str
    constant_bytes: int
    activation_bytes: int
    traffic_bytes: int
    compute_pj: float
    memory_pj: float

    @property
    def energy_uj(self) -> float:
        """Microjoules."""
        return (self.compute_pj + self.memory_pj) / 1e6

    def as_json(self) -> dict[str, object]:
        """The fields, energies in microjoules."""
        return {
            "form": self.form,
            "constant_bytes": self.constant_bytes,
            "activation_bytes": self.activation_bytes,
            "traffic_bytes": self.traffic_bytes,
            "compute_uj": self.compute_pj / 1e6,
            "memory_uj": self.memory_pj / 1e6,
            "energy_uj": self.energy_uj,
        }


def estimate(network: Network) -> list[Costs]:
    """The file as it is, its float32 equivalent, its int8 equivalent; conversions between bits and floats fall away."""
    stored = _costs(network, "this file", _stored_bytes(network), _mac_energy(network), keep_conversions=True)
    twins = [
        _costs(network, "float32", _as_elements(network, 4), lambda index: FLOAT32_MAC, keep_conversions=False),
        _costs(network, "int8", _as_elements(network, 1), lambda index: INT8_MAC, keep_conversions=False),
    ]
    return [stored, *twins]


def as_text(estimates: list[Costs]) -> list[str]:
    """A table of the three; ratios are over the first."""
    lines = ["estimate    constants   activations       traffic     compute      memory   energy at 45 nm"]
    first = estimates[0]
    for each in estimates:
        ratio = each.energy_uj / first.energy_uj if first.energy_uj else 1.0
        compute, memory = each.compute_pj / 1e6, each.memory_pj / 1e6
        lines.append(
            f"{each.form:9}{each.constant_bytes:12,}  {each.activation_bytes:12,}  {each.traffic_bytes:12,}"
            f"  {compute:7.1f} uJ  {memory:7.1f} uJ  {each.energy_uj:7.1f} uJ ({ratio:.1f}x)"
        )
    return lines


def _costs(
    network: Network,
    form: str,
    size: Callable[[Tensor], int],
    mac_energy: Callable[[int], float],
    *,
    keep_conversions: bool,
) -> Costs:
    graph = network.main
    traffic = 0
    compute = memory = 0.0
    for operator, work in zip(graph.operators, count_work(network), strict=True):
        if not keep_conversions and operator.name in ("LceQuantize", "LceDequantize", "QUANTIZE", "DEQUANTIZE"):
            continue
        for index in [*dict.fromkeys(i for i in operator.inputs if i >= 0), *operator.outputs]:
            count = size(graph.tensors[index])
            traffic += count
            memory += math.ceil(count / ACCESS_BYTES) * next(energy for most, energy in ACCESS if count <= most)
        compute += work.macs * mac_energy(operator.index)
    buffers: dict[int, int] = {}
    for tensor in graph.tensors:
        if tensor.data is not None:
            buffers[tensor.buffer] = max(size(tensor), buffers.get(tensor.buffer, 0))
    return Costs(form, sum(buffers.values()), _peak(network, size), traffic, compute, memory)


def _peak(network: Network, size: Callable[[Tensor], int]) -> int:
    """Most bytes of computed tensors alive at one operator."""
    graph = network.main
    last = {index: operator.index for operator in graph.operators for index in operator.inputs}
    last.update({index: len(graph.operators) for index in graph.outputs})
    alive = {index: size(graph.tensors[index]) for index in graph.inputs}
    most = sum(alive.values())
    for operator in graph.operators:
        alive.update({index: size(graph.tensors[index]) for index in operator.outputs})
        most = max(most, sum(alive.values()))
        alive = {index: count for index, count in alive.items() if last.get(index, -1) > operator.index}
    return most


def _stored_bytes(network: Network) -> Callable[[Tensor], int]:
    return lambda tensor: len(tensor.data) if tensor.data is not None else tensor.elements * element_bits(tensor) // 8


def _as_elements(network: Network, element_bytes: int) -> Callable[[Tensor], int]:
    """Bytes of a tensor whose weights and activations take so many bytes each; biases and the like take 4."""
    channels, packed = bitpacked_channels(network.main), packed_filters(network.main)

    def size(tensor: Tensor) -> int:
        if tensor.index in packed:
            return element_bytes * math.prod(tensor.shape[:-1]) * packed[tensor.index]
        if tensor.index in channels:
            return element_bytes * math.prod(tensor.shape[:-1]) * channels[tensor.index]
        if tensor.dtype not in ("float32", "float16", "int8", "uint8"):
            return len(tensor.data) if tensor.data is not None else tensor.elements * element_bits(tensor) // 8
        per_channel = tensor.data is not None and len(tensor.shape) < 2
        return tensor.elements * (4 if per_channel else element_bytes)

    return size


def _mac_energy(network: Network) -> Callable[[int], float]:
    energies = {"float32": FLOAT32_MAC, "float16": FLOAT16_MAC, "int8": INT8_MAC, "uint8": INT8_MAC}
    graph = network.main

    def energy(index: int) -> float:
        operator = graph.operators[index]
        if operator.name == "LceBconv2d":
            return BINARY_MAC
        sources = [graph.tensors[i].dtype for i in operator.inputs if i >= 0 and graph.tensors[i].data is None]
        return max((energies.get(dtype, 0.0) for dtype in sources), default=0.0)

    return energy
