"""Inputs and outputs of a .tflite in the order of the Keras model; LCE sorts the graph's outputs as it likes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from edgebnn.inspection.flatbuffer import Table, root
from edgebnn.inspection.graph import parse

_MODEL_SUBGRAPHS, _MODEL_SIGNATURES = 2, 7
_GRAPH_INPUTS, _GRAPH_OUTPUTS = 1, 2
_SIGNATURE_INPUTS, _SIGNATURE_OUTPUTS, _SIGNATURE_GRAPH = 0, 1, 4


def restore_order(model: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """`model` with the main graph's inputs and outputs, and its signature's, in the order of these names.

    Nothing moves but the entries of those lists. What the signature names otherwise stays in the order it has.
    """
    network = parse(model)
    content = bytearray(model)
    top = root(model)
    graph = top.tables(_MODEL_SUBGRAPHS)[0]
    signatures = [one for one in top.tables(_MODEL_SIGNATURES) if one.integer(_SIGNATURE_GRAPH, form="<I") == 0]
    if not signatures:
        return model
    for wanted, entries, present, graph_field, signature_field in (
        (inputs, network.entries()[0], network.main.inputs, _GRAPH_INPUTS, _SIGNATURE_INPUTS),
        (outputs, network.entries()[1], network.main.outputs, _GRAPH_OUTPUTS, _SIGNATURE_OUTPUTS),
    ):
        if sorted(wanted) != sorted(entries) or sorted(entries.values()) != sorted(present):
            continue
        _write_integers(content, graph, graph_field, [entries[name] for name in wanted])
        _sort_by_name(content, signatures[0], signature_field, wanted)
    return bytes(content)


def _write_integers(content: bytearray, table: Table, field: int, values: Sequence[int]) -> None:
    at = table.target(field)
    assert at is not None
    struct.pack_into(f"<{len(values)}i", content, at + 4, *values)


def _sort_by_name(content: bytearray, table: Table, field: int, names: Sequence[str]) -> None:
    """Let the vector of named tables point to them in the order of `names`."""
    at = table.target(field)
    assert at is not None
    targets = {entry.text(0): target for entry, target in zip(table.tables(field), table.targets(field), strict=True)}
    for slot, name in enumerate(names):
        position = at + 4 + 4 * slot
        struct.pack_into("<I", content, position, targets[name] - position)
