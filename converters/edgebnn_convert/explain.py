"""`edgebnn train --explain`: what of a network will be binary, and what float, once it is converted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgebnn import bits
from edgebnn.card import Card
from edgebnn.inspection.graph import Network, parse
from edgebnn.inspection.work import count_work, packed_filters
from edgebnn_convert.checkpoint import Checkpoint
from edgebnn_convert.convert import compile_model, lint_all
from edgebnn_convert.difference import Array
from edgebnn_convert.prepare import prepare


def explain(name: str, model: Any) -> None:
    """Convert a Keras model, trained or not, and print how each operator with weights computes, and the lint."""
    loaded = prepare(Checkpoint(Path(name), model, None), Card(task="tensors", name="explained"), None)
    content = compile_model(loaded)
    network = parse(content)
    layers = _binary_layers(loaded.given, network)
    made = {tensor.index: tensor.name for tensor in network.main.tensors}
    made |= {index: name for name, index in network.entries()[1].items()}
    rows = [
        (operator.name, layers.get(operator.index, made[operator.outputs[0]]), work)
        for operator, work in zip(network.main.operators, count_work(network), strict=True)
        if work.macs
    ]
    total, binary = sum(work.macs for *_, work in rows), sum(work.macs for *_, work in rows if work.binary)
    print(f"{'computes in':12} {'MACs':>13}  {'share':>6}  operator and layer")
    for kind, layer, work in rows:
        computes = "1 bit" if work.binary else f"{work.weight_bits or 32} bits"
        print(f"{computes:12} {work.macs:13,}  {100 * work.macs / total:5.1f}%  {kind} {layer}")
    said = sum(_says_binary(layer) for layer in model.submodules)
    kept = sum(work.binary for *_, work in rows)
    print(
        f"{said} layers say that they are binary, {kept} of {len(rows)} operators with weights will be: "
        f"{100 * binary / max(total, 1):.1f} % of the MACs; {len(content):,} bytes"
    )
    for finding in lint_all(loaded, content):
        print(f"lint: {finding.as_text()}")


def _says_binary(layer: Any) -> bool:
    """Whether Larq would count it: binarized inputs and weights."""
    names = ("kernel_quantizer", "depthwise_quantizer", "pointwise_quantizer")
    return getattr(layer, "input_quantizer", None) is not None and any(getattr(layer, name, None) for name in names)


def _binary_layers(model: Any, network: Network) -> dict[int, str]:
    """Names of the layers whose signs are the weights of an LceBconv2d, by the operator's index.

    Its output does not tell: LCE calls bits after the sign that makes them, which is part of the next layer.
    """
    from edgebnn_convert.rewrites.signs import quantized_kernel  # needs TensorFlow

    layers = [layer for layer in model.submodules if _says_binary(layer) and hasattr(layer, "kernel_quantizer")]
    kernels = {layer.name: _up_to_sign(np.moveaxis(quantized_kernel(layer) < 0, -1, 0)) for layer in layers}
    channels = packed_filters(network.main)
    named: dict[int, str] = {}
    for operator in network.main.operators:
        if operator.name != "LceBconv2d":
            continue
        filters = network.main.tensors[operator.inputs[1]]
        own = _up_to_sign(bits.unpack(filters.value().astype(np.int32), channels[filters.index]))
        for name, kernel in kernels.items():
            if np.array_equal(kernel, own):
                named[operator.index] = name
    return named


def _up_to_sign(negative: Array) -> Array:
    """Filters (outputs, ...) and their inverses made equal."""
    first = negative.reshape(len(negative), -1)[:, 0]
    made: Array = negative ^ first.reshape(-1, *(1,) * (negative.ndim - 1))
    return made
