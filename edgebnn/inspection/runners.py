"""Who runs each operator: the edgebnn delegate, XNNPACK, or TFLite's builtin kernels."""

from __future__ import annotations

from typing import Any

from edgebnn.inspection.graph import Network
from edgebnn.inspection.operators import ITEM_BYTES

DELEGATE, XNNPACK, BUILTIN = "delegate", "XNNPACK", "builtin"
UNKNOWN = "any of them"
LARGEST_BYTES = 1 << 30


def ask_runtime(model: bytes, network: Network) -> list[str] | None:
    """One name an operator, as a stock interpreter with the delegate assigned them; None where none can be asked.

    Two interpreters are asked, one of them without XNNPACK: neither tells whose a delegated part is. Not asked either
    when the tensors would take more than LARGEST_BYTES, as in a damaged file.
    """
    if sum(tensor.elements * ITEM_BYTES.get(tensor.dtype, 1) for tensor in network.main.tensors) > LARGEST_BYTES:
        return None
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        from edgebnn.delegate.loader import load_delegate

        claimed = []
        for resolver in (OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.AUTO):
            interpreter = Interpreter(
                model_content=model,
                experimental_delegates=[load_delegate()],
                experimental_op_resolver_type=resolver,
            )
            interpreter.allocate_tensors()
            claimed.append(_delegated(interpreter._get_ops_details(), network))
    except (ImportError, RuntimeError, ValueError, AttributeError, KeyError, TypeError):
        return None
    ours, all_delegated = claimed
    return [
        DELEGATE if operator.index in ours else XNNPACK if operator.index in all_delegated else BUILTIN
        for operator in network.main.operators
    ]


def derive(network: Network) -> list[str]:
    """Without a runtime: LCE's operators go to the delegate; which of the others it or XNNPACK takes stays open."""
    return [DELEGATE if operator.is_lce else UNKNOWN for operator in network.main.operators]


def _delegated(nodes: list[dict[str, Any]], network: Network) -> set[int]:
    """Operators inside delegated parts: what lies between a part's outputs and its inputs."""
    producers = network.main.producers()
    inside: set[int] = set()
    for node in nodes:
        if node["op_name"] != "DELEGATE":
            continue
        stop = {int(i) for i in node["inputs"]}
        waiting = [int(i) for i in node["outputs"]]
        while waiting:
            tensor = waiting.pop()
            operator = producers.get(tensor)
            if tensor in stop or operator is None:
                continue
            stop.add(tensor)
            inside.add(operator.index)
            waiting.extend(i for i in operator.inputs if i >= 0)
    return inside
