"""Parts of a .tflite as models of their own, for looking inside; made by `front`, so the operators stay as they are."""

from __future__ import annotations

from edgebnn.inspection.graph import Network, Operator
from edgebnn_convert.front import MODEL_METADATA, MODEL_SIGNATURES, MODEL_SUBGRAPHS, TABLE, Front

_INPUTS, _OUTPUTS, _OPERATORS, _DEBUG_INDEX = 1, 2, 3, 5


def computed_tensors(network: Network) -> list[int]:
    """Indices of the tensors that operators of the main graph write, in execution order."""
    return list(dict.fromkeys(output for operator in network.main.operators for output in operator.outputs))


def expose(model: bytes, network: Network) -> bytes:
    """`model` with all of `computed_tensors` as its outputs, in that order."""
    return _with_main_graph(model, network, list(network.main.inputs), computed_tensors(network), None)


def slice_inputs(network: Network, operator: Operator) -> list[int]:
    """Indices of the tensors that `slice_operator`'s model takes: the operator's inputs that are no constants."""
    tensors = network.main.tensors
    return list(dict.fromkeys(i for i in operator.inputs if i >= 0 and tensors[i].data is None))


def slice_operator(model: bytes, network: Network, operator: Operator) -> bytes:
    """A model of the one operator: `slice_inputs` to its outputs."""
    return _with_main_graph(model, network, slice_inputs(network, operator), list(operator.outputs), operator)


def _with_main_graph(
    model: bytes, network: Network, inputs: list[int], outputs: list[int], only: Operator | None
) -> bytes:
    front = Front(model)
    slots = front.put_root([MODEL_SUBGRAPHS], dropped=[MODEL_METADATA, MODEL_SIGNATURES])
    graphs = front.old.targets(MODEL_SUBGRAPHS)
    at, graph_slots = front.put_offsets(len(graphs))
    front.link(slots[MODEL_SUBGRAPHS], at)
    for slot, target in zip(graph_slots[1:], graphs[1:], strict=True):
        front.link_old(slot, target)

    replaced = [_INPUTS, _OUTPUTS] + ([_OPERATORS] if only is not None else [])
    graph = front.put_copy(network.main.table, replaced=replaced, scalars=[_DEBUG_INDEX])
    front.link(graph_slots[0], graph[TABLE])
    front.link(graph[_INPUTS], front.put_integers(inputs))
    front.link(graph[_OUTPUTS], front.put_integers(outputs))
    if only is not None:
        at, (slot,) = front.put_offsets(1)
        front.link(graph[_OPERATORS], at)
        front.link_old(slot, only.at)
    return front.finish()
