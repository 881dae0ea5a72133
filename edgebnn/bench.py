"""`edgebnn bench`: how long a .tflite takes, beside its peers in the same run.

Candidates take turns, one burst of calls a turn, each round in another random order; the median over rounds counts.
With one thread the figure is the process' CPU time, with more it is wall-clock time. Every candidate's result is
checked before anything is timed.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgebnn.delegate.loader import GroupTime, load_delegate
from edgebnn.errors import ModelError, ParityError
from edgebnn.inspection.graph import Network, parse
from edgebnn.inspection.runners import DELEGATE
from edgebnn.instruction_set import hold_to_avx2
from edgebnn.profiling import Part, Profile, fuses, profile_parts, split
from edgebnn.runtime.model import read_model

Array = npt.NDArray[Any]

OURS, OURS_ARRAYS = "edgebnn", "edgebnn, arrays in and out"
UNFUSED, SINGLE = "edgebnn, fuse=0", "edgebnn, 1 thread"
BURST_NS = 2_000_000
LEAST_ROUNDS, MOST_ROUNDS = 3, 2000


class Instant(NamedTuple):
    """A reading of both clocks."""

    cpu_ns: int
    wall_ns: int


def now() -> Instant:
    """The process' CPU time and the time of day."""
    return Instant(time.process_time_ns(), time.perf_counter_ns())


@dataclass(frozen=True)
class Candidate:
    """Something to time. `base` names the candidate that its ratio is taken over."""

    name: str
    step: Callable[[], object]
    check: Callable[[list[Array]], str]
    """What was checked, given our outputs in the graph's order; raises ParityError."""
    base: str = OURS


@dataclass(frozen=True)
class Times:
    """Milliseconds a call, one entry a round."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """A candidate's medians; `ratio` is its figure over that of `base`, None for our own."""

    name: str
    cpu_ms: float
    wall_ms: float
    ratio: float | None
    base: str
    check: str


@dataclass(frozen=True)
class Result:
    """The measurement of one model."""

    model: str
    threads: int
    isa: str
    rounds: int
    rows: list[Row]
    notes: list[str]
    profile: Profile | None = None

    @property
    def clock(self) -> str:
        """Which of the two times the ratios are made of."""
        return "cpu" if self.threads == 1 else "wall"

    def as_json(self) -> dict[str, Any]:
        """One object."""
        return {"schema": 1, "clock": self.clock, **asdict(self)}

    def as_text(self) -> str:
        """A table, the notes, the profile."""
        header = ("candidate", "CPU ms", "wall ms", "ratio", "checked")
        cells = [
            (
                row.name,
                f"{row.cpu_ms:.4f}",
                f"{row.wall_ms:.4f}",
                "" if row.ratio is None else f"{row.ratio:.2f}",
                row.check,
            )
            for row in self.rows
        ]
        clock = "CPU time" if self.clock == "cpu" else "wall-clock time"
        threads = f"{self.threads} thread" + ("s" if self.threads > 1 else "")
        if self.isa != "native":
            threads += f", nothing wider than {self.isa}"
        lines = [f"{self.model}: {threads}, median of {self.rounds} rounds, ratios of {clock}"]
        widths = [max(len(row[i]) for row in [header, *cells]) for i in range(len(header))]
        for row in [header, *cells]:
            padded = [
                text.rjust(width) if 0 < i < 4 else text.ljust(width)
                for i, (text, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(padded).rstrip())
        lines += [f"note: {note}" for note in self.notes]
        if self.profile is not None:
            lines += ["", self.profile.as_text()]
        return "\n".join(lines)


KERNEL_OF = {"native": "auto", "avx2": "avx2"}
"""What `edgebnn bench --isa` offers, and what the delegate's option `kernel` then says."""

LoadPeer = Callable[[str, bytes, list[Array], int], Candidate]
"""Name, model, inputs in the graph's order, threads -> the peer; ModelError when it refuses the model."""


def bench(
    models: Sequence[str | Path],
    *,
    peers: Sequence[str] = (),
    load_peer: LoadPeer | None = None,
    num_threads: int = 1,
    isa: str = "native",
    seconds: float = 5,
    profile: bool = False,
    as_json: bool = False,
) -> None:
    """Print a table, or a line of JSON, for each model; ParityError when a result is wrong.

    isa="avx2" holds the delegate and LiteRT's XNNPACK to it, for as long as the process lives.
    """
    if isa == "avx2":
        hold_to_avx2()
    for model in models:
        name, content = read_model(model)
        result = run(
            name,
            content,
            peers=peers,
            load_peer=load_peer,
            num_threads=num_threads,
            isa=isa,
            seconds=seconds,
            profile=profile,
        )
        print(json.dumps(result.as_json()) if as_json else result.as_text() + "\n", flush=True)


def run(
    name: str,
    content: bytes,
    *,
    peers: Sequence[str] = (),
    load_peer: LoadPeer | None = None,
    num_threads: int = 1,
    isa: str = "native",
    seconds: float = 5,
    profile: bool = False,
) -> Result:
    """Load all candidates, check them, then time them for about `seconds`."""
    network = parse(content)
    inputs = draw_inputs(network)
    options = {"kernel": KERNEL_OF[isa]}
    ours = LiteRt(name, content, num_threads=num_threads, delegate=options)
    outputs = ours.run(inputs)
    candidates = [Candidate(OURS, ours.invoke, lambda got: _check_kernels(name, content, inputs, got))]
    if fuses(content, network.main):
        unfused = LiteRt(name, content, num_threads=num_threads, delegate={**options, "fuse": "0"})
        alone = unfused.run(inputs)
        candidates.append(Candidate(UNFUSED, unfused.invoke, lambda got: _compare(got, alone)))
    if num_threads > 1:
        single = LiteRt(name, content, num_threads=1, delegate=options)
        by_one = single.run(inputs)
        candidates.append(Candidate(SINGLE, single.invoke, lambda got: _compare(got, by_one)))
    notes = []
    others = []
    for peer in peers:
        assert load_peer is not None
        try:
            others.append(load_peer(peer, content, inputs, num_threads))
        except ModelError as error:
            notes.append(f"{peer} is left out: {error}")
    if any(other.base == OURS_ARRAYS for other in others):
        candidates.append(Candidate(OURS_ARRAYS, lambda: ours.run(inputs), lambda got: "the same"))
    candidates += others
    checks = {candidate.name: candidate.check(outputs) for candidate in candidates}
    times = measure(candidates, seconds=seconds)
    return Result(
        model=name,
        threads=num_threads,
        isa=isa,
        rounds=len(times[OURS].cpu_ms),
        rows=make_rows(candidates, times, checks, clock="cpu" if num_threads == 1 else "wall"),
        notes=notes,
        profile=_profile(name, content, network, inputs, num_threads, options, seconds) if profile else None,
    )


def measure(candidates: Sequence[Candidate], *, seconds: float, clock: Callable[[], Instant] = now) -> dict[str, Times]:
    """Time the candidates in turn until another round would end after `seconds` of wall-clock time.

    A turn is one call that does not count, for the caches, then as many as take BURST_NS, at least one. At least
    LEAST_ROUNDS rounds, at most MOST_ROUNDS.
    """
    bursts = {}
    started = clock().wall_ns
    for candidate in candidates:
        candidate.step()
        warm = clock().wall_ns
        candidate.step()
        bursts[candidate.name] = max(1, math.ceil(BURST_NS / max(1, clock().wall_ns - warm)))
    times = {candidate.name: Times() for candidate in candidates}
    slowest, order = 0, random.Random(0)
    for number in range(MOST_ROUNDS):
        begun = clock().wall_ns
        if number >= LEAST_ROUNDS and begun - started + slowest > seconds * 1e9:
            break
        for candidate in order.sample(list(candidates), len(candidates)):
            calls, step = range(bursts[candidate.name]), candidate.step
            step()
            before = clock()
            for _ in calls:
                step()
            after = clock()
            times[candidate.name].cpu_ms.append((after.cpu_ns - before.cpu_ns) / len(calls) / 1e6)
            times[candidate.name].wall_ms.append((after.wall_ns - before.wall_ns) / len(calls) / 1e6)
        slowest = max(slowest, clock().wall_ns - begun)
    return times


def make_rows(
    candidates: Sequence[Candidate], times: dict[str, Times], checks: dict[str, str], *, clock: str
) -> list[Row]:
    """Medians, and the ratios of those of `clock`, "cpu" or "wall"."""
    cpu = {name: statistics.median(each.cpu_ms) for name, each in times.items()}
    wall = {name: statistics.median(each.wall_ms) for name, each in times.items()}
    figure = cpu if clock == "cpu" else wall
    return [
        Row(
            name=candidate.name,
            cpu_ms=cpu[candidate.name],
            wall_ms=wall[candidate.name],
            ratio=None
            if candidate.name in (OURS, OURS_ARRAYS)
            else figure[candidate.name] / max(figure[candidate.base], 1e-9),
            base=candidate.base,
            check=checks[candidate.name],
        )
        for candidate in candidates
    ]


class LiteRt:
    """A model in LiteRT's stock interpreter; `delegate` holds options of ours, None leaves our delegate out."""

    def __init__(self, name: str, content: bytes, *, num_threads: int, delegate: dict[str, str] | None) -> None:
        """ModelError when the interpreter refuses the model."""
        from ai_edge_litert.interpreter import Interpreter

        delegates = [] if delegate is None else [load_delegate(num_threads=num_threads, **delegate)]
        self._delegates = delegates
        try:
            self._interpreter = Interpreter(
                model_content=content, num_threads=num_threads, experimental_delegates=delegates
            )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"the interpreter refuses {name}: {' '.join(str(error).split())}") from error
        self.invoke: Callable[[], None] = self._interpreter.invoke
        self._inputs = [int(detail["index"]) for detail in self._interpreter.get_input_details()]
        self._outputs = [int(detail["index"]) for detail in self._interpreter.get_output_details()]

    def take_profile(self) -> dict[tuple[int, ...], GroupTime]:
        """See Delegate.take_profile; nothing without our delegate."""
        return {nodes: time for delegate in self._delegates for nodes, time in delegate.take_profile().items()}

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Outputs for inputs, both in the graph's order."""
        for index, array in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, array)
        self.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def draw_inputs(network: Network, *, seed: int = 0) -> list[Array]:
    """Random inputs in the graph's order: standard normal floats, integers and bools over their range."""
    generator = np.random.default_rng(seed)
    return [_draw(network, index, generator) for index in network.main.inputs]


def _draw(network: Network, index: int, generator: np.random.Generator) -> Array:
    tensor = network.main.tensors[index]
    if tensor.dtype in ("float32", "float16", "float64"):
        return generator.standard_normal(tensor.shape).astype(tensor.dtype)
    if tensor.dtype in ("int8", "uint8", "int16", "int32", "int64", "bool"):
        least = -128 if tensor.dtype == "int8" else 0
        most = 2 if tensor.dtype == "bool" else least + 256
        return generator.integers(least, most, tensor.shape).astype(tensor.dtype)
    raise ModelError(f"the input {tensor.name!r} has the type {tensor.dtype}: bench knows floats, integers and bools")


def check_finite(outputs: Sequence[Array], shapes: Sequence[tuple[int, ...]]) -> str:
    """ParityError unless outputs have these shapes and no infinity or nan."""
    got = [output.shape for output in outputs]
    if got != list(shapes):
        raise ParityError(f"expected outputs of the shapes {list(shapes)}, got {got}")
    if not all(np.isfinite(output).all() for output in outputs if output.dtype.kind == "f"):
        raise ParityError("expected finite outputs, got infinities or nan")
    return "shape, finite"


def _check_kernels(name: str, content: bytes, inputs: list[Array], outputs: list[Array]) -> str:
    """The delegate's fast kernels against its plain loops, the rest of the network being the same."""
    expected = LiteRt(name, content, num_threads=1, delegate={"kernel": "reference"}).run(inputs)
    for want, got in zip(expected, outputs, strict=True):
        floats = want.dtype.kind == "f"
        if want.shape != got.shape or not np.array_equal(want, got, equal_nan=floats):
            raise ParityError(f"the fast kernels give another result for {name} than the plain loops: report this")
    return "= plain loops, bit for bit"


def _compare(outputs: list[Array], others: list[Array]) -> str:
    """Equal but where runtimes round in another order (interpolation, large averages); then later signs may flip."""
    differing = sum(int((a != b).sum()) for a, b in zip(outputs, others, strict=True))
    share = differing / max(1, sum(a.size for a in outputs))
    return f"{100 * share:.2g} % of the outputs differ by rounding" if differing else "= edgebnn, bit for bit"


def _profile(
    name: str,
    content: bytes,
    network: Network,
    inputs: list[Array],
    num_threads: int,
    options: dict[str, str],
    seconds: float,
) -> Profile:
    def load(part: bytes) -> LiteRt:
        return LiteRt(f"a part of {name}", part, num_threads=num_threads, delegate=options)

    parts, runners = profile_parts(content, network, inputs, load)
    profiled = LiteRt(name, content, num_threads=num_threads, delegate={**options, "profile": "1"})
    profiled.run(inputs)
    profiled.take_profile()
    steps = [Candidate(OURS, profiled.invoke, lambda got: "")]
    steps += [
        Candidate(part.name, runner.invoke, lambda got: "")
        for part, runner in zip(parts, runners, strict=True)
        if part.runner != DELEGATE
    ]
    times = measure(steps, seconds=seconds)
    groups = {nodes: time.ms / time.runs for nodes, time in profiled.take_profile().items()}
    clock = "cpu" if num_threads == 1 else "wall"
    figures = {
        each: statistics.median(values.cpu_ms if clock == "cpu" else values.wall_ms) for each, values in times.items()
    }
    timed: list[Part] = []
    for part in parts:
        timed += split(part, network.main, groups) if part.runner == DELEGATE else [part.timed(figures[part.name])]
    return Profile(whole_ms=figures[OURS], parts=timed)
