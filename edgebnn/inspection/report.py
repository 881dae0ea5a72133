"""`edgebnn inspect`: the operators of a .tflite, what they cost, and who runs them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from edgebnn.card import read_card
from edgebnn.inspection import costs, filters
from edgebnn.inspection.graph import Network, Operator, parse
from edgebnn.inspection.lint import Finding, lint
from edgebnn.inspection.runners import ask_runtime, derive
from edgebnn.inspection.work import Port, Work, constant_bytes, count_work, element_bits

SCHEMA = 1


def inspect(name: str, model: bytes, *, as_json: bool, with_lint: bool = False, with_filters: bool = False) -> int:
    """Print the report on a .tflite; 1 when lint found an error, else 0. ModelError when the file is damaged."""
    report = examine(name, model)
    findings = lint(report.network) if with_lint else None
    repetition = filters.filter_repetition(report.network) if with_filters else None
    if as_json:
        shown = report.as_json()
        if findings is not None:
            shown["lint"] = [finding.as_json() for finding in findings]
        if repetition is not None:
            shown["filters"] = [entry.as_json() for entry in repetition]
        print(json.dumps(shown))
    else:
        print(report.as_text())
        if findings is not None:
            print("\n" + "\n".join(_lint_text(findings)))
        if repetition is not None:
            print("\n" + "\n".join(filters.as_text(repetition)))
    return int(any(finding.severity == "error" for finding in findings or ()))


def _lint_text(findings: list[Finding]) -> list[str]:
    counts = Counter(finding.severity for finding in findings)
    total = f"lint: {counts['error']} errors, {counts['warning']} warnings"
    return [*(finding.as_text() for finding in findings), total]


def examine(name: str, model: bytes) -> Report:
    """The report on a .tflite; ModelError when it is damaged."""
    card = read_card(model)
    network = parse(model)
    work = count_work(network)
    asked = ask_runtime(model, network)
    return Report(
        name=name,
        card=None if card is None else card.name,
        network=network,
        work=work,
        costs=costs.estimate(network),
        runners=asked if asked is not None else derive(network),
        asked=asked is not None,
    )


@dataclass(frozen=True)
class Report:
    """What `edgebnn inspect` prints; `asked` says whether a runtime named the runners."""

    name: str
    card: str | None
    network: Network
    work: list[Work]
    costs: list[costs.Costs]
    runners: list[str]
    asked: bool

    def totals(self) -> dict[str, Any]:
        """Sums over the graph, sizes in bytes; `size_ratio` is the float32 equivalent's size over this file's."""
        macs = sum(work.macs for work in self.work)
        binary = sum(work.macs for work in self.work if work.binary)
        constants, as_float = constant_bytes(self.network)
        float_size = self.network.size_bytes - constants + as_float
        return {
            "operators": len(self.work),
            "macs": macs,
            "binary_macs": binary,
            "binary_share": binary / macs if macs else 0.0,
            "constant_bytes": constants,
            "float32_constant_bytes": as_float,
            "size_bytes": self.network.size_bytes,
            "float32_size_bytes": float_size,
            "size_ratio": float_size / self.network.size_bytes,
            "runners": dict(Counter(self.runners)),
        }

    def as_json(self) -> dict[str, Any]:
        """One object; docs/converting.md describes it."""
        rows = zip(self.network.main.operators, self.work, self.runners, strict=True)
        inputs, outputs = self.network.entries()
        return {
            "schema": SCHEMA,
            "file": self.name,
            "card": self.card,
            "inputs": self._ports(inputs),
            "outputs": self._ports(outputs),
            "runners_from": "runtime" if self.asked else "derived",
            "operators": [_operator_json(operator, work, runner) for operator, work, runner in rows],
            "totals": self.totals(),
            "costs": [each.as_json() for each in self.costs],
        }

    def as_text(self) -> str:
        """A table, then the totals."""
        header = ("#", "operator", "input", "output", "bits", "MACs", "bytes", "runs on")
        rows = [
            (
                str(operator.index),
                operator.name,
                _shapes(work.inputs),
                _shapes(work.outputs),
                _bits(work),
                f"{work.macs:,}" if work.macs else "",
                f"{work.weight_bytes:,}" if work.weight_bytes else "",
                runner,
            )
            for operator, work, runner in zip(self.network.main.operators, self.work, self.runners, strict=True)
        ]
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
        lines = [f"{self.name}: " + (f"card {self.card!r}" if self.card is not None else "no card")]
        for row in [header, *rows]:
            cells = [
                cell.rjust(width) if i in (0, 5, 6) else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, "", *self._summary(), "", *costs.as_text(self.costs)])

    def _summary(self) -> list[str]:
        totals = self.totals()
        runners = ", ".join(f"{count} {runner}" for runner, count in totals["runners"].items())
        source = "" if self.asked else " (derived: no runtime here could be asked)"
        return [
            f"{totals['operators']} operators: {runners}{source}",
            f"{totals['macs']:,} MACs, {100 * totals['binary_share']:.1f} % of them binary",
            f"{totals['size_bytes']:,} bytes, {totals['constant_bytes']:,} of them constants; "
            f"{totals['float32_size_bytes']:,} bytes in float32 ({totals['size_ratio']:.1f} times as many)",
        ]

    def _ports(self, entries: dict[str, int]) -> list[dict[str, Any]]:
        tensors = {name: self.network.main.tensors[index] for name, index in entries.items()}
        return [
            {"name": name, "shape": list(tensor.shape), "type": tensor.dtype, "bits": element_bits(tensor)}
            for name, tensor in tensors.items()
        ]


def _operator_json(operator: Operator, work: Work, runner: str) -> dict[str, Any]:
    return {
        "index": operator.index,
        "type": operator.name,
        "inputs": [_port_json(port) for port in work.inputs],
        "outputs": [_port_json(port) for port in work.outputs],
        "weight_bits": work.weight_bits,
        "macs": work.macs,
        "binary": work.binary,
        "constant_bytes": work.weight_bytes,
        "float32_constant_bytes": work.float_bytes,
        "runner": runner,
    }


def _port_json(port: Port) -> dict[str, Any]:
    return {"name": port.name, "shape": list(port.shape), "bits": port.bits}


def _shapes(ports: tuple[Port, ...]) -> str:
    shown = ["x".join(map(str, port.shape)) or "scalar" for port in ports[:2]]
    return " ".join(shown) + (" ..." if len(ports) > 2 else "")


def _bits(work: Work) -> str:
    """input x weights > output."""
    source = str(work.inputs[0].bits) if work.inputs else "-"
    weights = f"x{work.weight_bits}" if work.weight_bits is not None else ""
    return f"{source}{weights}>{work.outputs[0].bits}" if work.outputs else source
