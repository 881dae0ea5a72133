"""`edgebnn train --explain`: what of a network will be binary, and what float, once it is converted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebnn.card import Card
from edgebnn.inspection.graph import parse
from edgebnn.inspection.work import count_work
from edgebnn_convert.checkpoint import Checkpoint
from edgebnn_convert.convert import compile_model, lint_all
from edgebnn_convert.prepare import prepare


def explain(name: str, model: Any) -> None:
    """Convert a Keras model, trained or not, and print how each operator with weights computes, and the lint."""
    loaded = prepare(Checkpoint(Path(name), model, None), Card(task="tensors", name="explained"), None)
    content = compile_model(loaded)
    network = parse(content)
    rows = [
        (operator.name, network.main.tensors[operator.outputs[0]].name, work)
        for operator, work in zip(network.main.operators, count_work(network), strict=True)
        if work.macs
    ]
    total, binary = sum(work.macs for *_, work in rows), sum(work.macs for *_, work in rows if work.binary)
    print(f"{'computes in':12} {'MACs':>13}  {'share':>6}  operator")
    for kind, output, work in rows:
        computes = "1 bit" if work.binary else f"{work.weight_bits or 32} bits"
        print(f"{computes:12} {work.macs:13,}  {100 * work.macs / total:5.1f}%  {kind} {output}")
    said = sum(_says_binary(layer) for layer in model.submodules)
    made = sum(work.binary for *_, work in rows)
    print(
        f"{said} layers say that they are binary, {made} of {len(rows)} operators with weights will be: "
        f"{100 * binary / max(total, 1):.1f} % of the MACs; {len(content):,} bytes"
    )
    for finding in lint_all(loaded, content):
        print(f"lint: {finding.as_text()}")


def _says_binary(layer: Any) -> bool:
    """Whether Larq would count it: binarized inputs and weights."""
    names = ("kernel_quantizer", "depthwise_quantizer", "pointwise_quantizer")
    return getattr(layer, "input_quantizer", None) is not None and any(getattr(layer, name, None) for name in names)
