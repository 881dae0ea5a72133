"""Where a network's time goes: groups of nodes that our delegate runs in one pass, and every part outside of it.

Our delegate times its groups while the network runs. ai-edge-litert's Python interpreter has no profiler, so the other
parts are cut out and timed alone, on the inputs that they have in the network. XNNPACK's partitions stay whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy.typing as npt

from edgebnn import rewrite
from edgebnn.delegate.loader import load_delegate
from edgebnn.errors import ModelError
from edgebnn.inspection.graph import Network, Subgraph
from edgebnn.inspection.runners import BUILTIN, DELEGATE, XNNPACK

METHOD = (
    "the delegate times its groups inside the network; ai-edge-litert has no profiler in Python: every other part is "
    "timed alone, as a model of its own, so that the sum may differ from the whole"
)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Part:
    """A group or partition of a delegate, or one operator; `operators` are indices into the main graph."""

    name: str
    runner: str
    operators: tuple[int, ...]
    ms: float = 0.0

    def timed(self, ms: float) -> Part:
        """The same part with its time."""
        return replace(self, ms=ms)


@dataclass(frozen=True)
class Profile:
    """Times of the whole network and of its parts, each alone, in execution order."""

    whole_ms: float
    parts: list[Part]

    @property
    def explained(self) -> float:
        """Sum of the parts over the whole."""
        return sum(part.ms for part in self.parts) / self.whole_ms if self.whole_ms else 0.0

    def as_text(self) -> str:
        """A table, sums by runner, and how it was measured."""
        rows = [("ms", "share", "runs on", "operators")]
        rows += [(f"{p.ms:.4f}", f"{100 * p.ms / self.whole_ms:.1f} %", p.runner, p.name) for p in self.parts]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [
            f"{ms.rjust(widths[0])}  {share.rjust(widths[1])}  {runner.ljust(widths[2])}  {name}"
            for ms, share, runner, name in rows
        ]
        sums: dict[str, float] = {}
        for part in self.parts:
            sums[part.runner] = sums.get(part.runner, 0.0) + part.ms
        by_runner = ", ".join(f"{runner} {ms:.3f} ms" for runner, ms in sums.items())
        lines.append(f"{by_runner}; {100 * self.explained:.1f} % of the whole network's {self.whole_ms:.3f} ms")
        return "\n".join([*lines, METHOD])


class Runner(Protocol):
    """A loaded part."""

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Outputs for inputs, both in the part's order."""


R = TypeVar("R", bound=Runner)


def profile_parts(
    content: bytes, network: Network, inputs: Sequence[Array], load: Callable[[bytes], R]
) -> tuple[list[Part], list[R]]:
    """The parts of a model in execution order, each loaded and run once on the inputs that it has in the network."""
    graph = network.main
    model = rewrite.unpack(content)
    values = dict(zip(graph.inputs, inputs, strict=True))
    runners = []
    parts = find_parts(content, graph)
    for part in parts:
        takes, gives = borders(graph, part.operators)
        cut = rewrite.pack(model, [model.subgraphs[0].operators[i] for i in part.operators], takes, gives)
        runner = load(cut)
        values |= dict(zip(gives, runner.run([values[i] for i in takes]), strict=True))
        runners.append(runner)
    return parts, runners


def find_parts(content: bytes, graph: Subgraph) -> list[Part]:
    """Partitions and single operators as a stock interpreter with our delegate makes them, in execution order."""
    ours = _partitions(content, graph, defaults=False)
    claimed = {operator for partition in ours for operator in partition}
    groups = [(DELEGATE, partition) for partition in ours]
    groups += [
        (XNNPACK, partition) for partition in _partitions(content, graph, defaults=True) if not partition & claimed
    ]
    inside = {operator for _, partition in groups for operator in partition}
    groups += [(BUILTIN, {operator.index}) for operator in graph.operators if operator.index not in inside]
    return [
        Part(_name(graph, tuple(sorted(partition))), runner, tuple(sorted(partition)))
        for runner, partition in _in_order(graph, groups)
    ]


def fuses(content: bytes, graph: Subgraph) -> bool:
    """Whether our delegate takes operators of the model that are not LCE's."""
    ours = _partitions(content, graph, defaults=False)
    return any(not graph.operators[i].is_lce for partition in ours for i in partition)


def split(part: Part, graph: Subgraph, groups: Mapping[tuple[int, ...], float]) -> list[Part]:
    """A partition of ours as the groups that it runs, of which `groups` has the times in ms."""
    inside = set(part.operators)
    return [
        Part(_name(graph, nodes), part.runner, nodes, ms)
        for nodes, ms in sorted(groups.items())
        if inside.issuperset(nodes)
    ]


def borders(graph: Subgraph, operators: Sequence[int]) -> tuple[list[int], list[int]]:
    """Tensors that a group of operators takes from outside (no constants) and gives to others or as outputs."""
    group = [graph.operators[i] for i in operators]
    made = [output for operator in group for output in operator.outputs]
    used = [i for operator in group for i in operator.inputs if i >= 0]
    takes = [i for i in dict.fromkeys(used) if i not in made and graph.tensors[i].data is None]
    elsewhere = set(graph.outputs)
    elsewhere.update(i for operator in graph.operators if operator not in group for i in operator.inputs)
    return takes, [i for i in made if i in elsewhere]


def _in_order(graph: Subgraph, groups: list[tuple[str, set[int]]]) -> list[tuple[str, set[int]]]:
    """So that each group comes behind those that it takes from."""
    ready = set(graph.inputs)
    waiting, ordered = sorted(groups, key=lambda group: min(group[1])), []
    while waiting:
        for group in waiting:
            takes, gives = borders(graph, sorted(group[1]))
            if ready.issuperset(takes):
                break
        else:
            raise ModelError("the model's operators take their inputs from later ones: it cannot be profiled")
        ready.update(gives)
        ordered.append(group)
        waiting.remove(group)
    return ordered


def _partitions(content: bytes, graph: Subgraph, *, defaults: bool) -> list[set[int]]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.AUTO if defaults else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(
            model_content=content,
            experimental_delegates=[load_delegate()],
            experimental_op_resolver_type=resolver,
        )
        interpreter.allocate_tensors()
        nodes = [node for node in interpreter._get_ops_details() if node["op_name"] == "DELEGATE"]
    except (RuntimeError, ValueError, AttributeError, KeyError) as error:
        raise ModelError(f"the interpreter does not say who runs what: {' '.join(str(error).split())}") from error
    return [_between(graph, node["inputs"], node["outputs"]) for node in nodes]


def _between(graph: Subgraph, inputs: Sequence[int], outputs: Sequence[int]) -> set[int]:
    """Operators on the way from `outputs` back to `inputs`."""
    producers = graph.producers()
    stop, waiting = {int(i) for i in inputs}, [int(i) for i in outputs]
    inside: set[int] = set()
    while waiting:
        tensor = waiting.pop()
        if tensor in stop or tensor not in producers:
            continue
        stop.add(tensor)
        inside.add(producers[tensor].index)
        waiting.extend(i for i in producers[tensor].inputs if i >= 0)
    return inside


def _name(graph: Subgraph, operators: tuple[int, ...]) -> str:
    """12 LceQuantize + 13 LceBconv2d; 8 operators out of 0-11."""
    if len(operators) > 3:
        return f"{len(operators)} operators out of {operators[0]}-{operators[-1]}"
    return " + ".join(f"{i} {graph.operators[i].name}" for i in operators)
