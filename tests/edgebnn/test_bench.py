from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgebnn import bench, cli, profiling
from edgebnn.bench import OURS, OURS_ARRAYS, SINGLE, UNFUSED, Candidate, Instant, Times
from edgebnn.delegate.loader import load_delegate
from edgebnn.errors import DelegateError, ModelError, ParityError
from edgebnn.inspection.graph import parse
from tests.delegate.flatfile import to_bytes
from tests.delegate.graph import Graph


class FakeTime:
    """Calls take what they are said to take; `calls` is their order."""

    def __init__(self) -> None:
        self.cpu_ns, self.wall_ns = 0, 0
        self.calls: list[str] = []

    def __call__(self) -> Instant:
        return Instant(self.cpu_ns, self.wall_ns)

    def candidate(self, name: str, *cpu_ms: float, base: str = OURS) -> Candidate:
        """Its calls take these times in turn, the last one for good; wall-clock time is twice as long."""
        waiting = list(cpu_ms)

        def step() -> None:
            self.calls.append(name)
            took = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self.cpu_ns += round(took * 1e6)
            self.wall_ns += round(took * 2e6)

        return Candidate(name, step, lambda outputs: "fine", base)


def test_candidates_take_turns_in_an_order_that_changes() -> None:
    """Each turn has a call for the caches in front."""
    clock = FakeTime()
    candidates = [clock.candidate(name, 3) for name in ("a", "b", "c")]
    bench.measure(candidates, seconds=1, clock=clock)
    warm_up, turns = clock.calls[:6], clock.calls[6:]
    assert warm_up == ["a", "a", "b", "b", "c", "c"]
    assert turns[::2] == turns[1::2]
    rounds = ["".join(turns[i : i + 6 : 2]) for i in range(0, len(turns), 6)]
    assert set(rounds) == {"abc", "acb", "bac", "bca", "cab", "cba"}


def test_short_calls_come_in_bursts_and_count_alone() -> None:
    clock = FakeTime()
    times = bench.measure([clock.candidate("long", 5), clock.candidate("short", 0.1)], seconds=1e-9, clock=clock)
    assert clock.calls[4:].count("long") == 3 * 2 and clock.calls[4:].count("short") == 3 * (1 + 10)
    assert times["short"].cpu_ms == pytest.approx([0.1] * 3)
    assert times["long"].cpu_ms == pytest.approx([5] * 3) and times["long"].wall_ms == pytest.approx([10] * 3)


@pytest.mark.parametrize("seconds", [1, 3])
def test_rounds_fill_the_time_and_do_not_exceed_it(seconds: float) -> None:
    clock = FakeTime()
    times = bench.measure([clock.candidate("a", 10), clock.candidate("b", 40)], seconds=seconds, clock=clock)
    a_round = 2 * 2 * 0.05
    assert len(times["a"].cpu_ms) == len(times["b"].cpu_ms)
    assert seconds - a_round <= clock.wall_ns / 1e9 <= seconds + 1e-9


def test_a_call_that_takes_no_time_ends_too() -> None:
    clock = FakeTime()
    times = bench.measure([clock.candidate("a", 5), clock.candidate("b", 0.000001)], seconds=0.001, clock=clock)
    assert len(times["b"].cpu_ms) == bench.LEAST_ROUNDS


def times(*values: float) -> Times:
    return Times(list(values), [10 * value for value in values])


def test_ratios_are_of_medians_over_the_base() -> None:
    clock = FakeTime()
    candidates = [
        clock.candidate(OURS, 1),
        clock.candidate(OURS_ARRAYS, 1),
        clock.candidate("lce", 1, base=OURS_ARRAYS),
        clock.candidate("xnnpack-fp32", 1),
    ]
    measured = {
        OURS: times(1, 2, 90),
        OURS_ARRAYS: times(4, 4, 1),
        "lce": times(40, 41, 2),
        "xnnpack-fp32": Times([7, 8, 7.5], [1, 1, 1]),
    }
    checks = {candidate.name: "fine" for candidate in candidates}
    rows = bench.make_rows(candidates, measured, checks, clock="cpu")
    assert [row.cpu_ms for row in rows] == [2, 4, 40, 7.5] and [row.wall_ms for row in rows] == [20, 40, 400, 1]
    assert [row.ratio for row in rows] == [None, None, 10, 3.75]
    assert bench.make_rows(candidates, measured, checks, clock="wall")[3].ratio == 1 / 20


def test_the_table_names_clock_rounds_checks_and_notes() -> None:
    rows = [
        bench.Row(OURS, 1.5, 1.75, None, OURS, "= plain loops, bit for bit"),
        bench.Row("lce", 60.0, 61.0, 40.0, OURS_ARRAYS, "= ours"),
    ]
    result = bench.Result("net.tflite", 1, "native", 7, rows, ["lce-indirect is left out: reason"])
    text = result.as_text().splitlines()
    assert text[0] == "net.tflite: 1 thread, median of 7 rounds, ratios of CPU time"
    assert text[2].split() == ["edgebnn", "1.5000", "1.7500", "=", "plain", "loops,", "bit", "for", "bit"]
    assert text[3].split() == ["lce", "60.0000", "61.0000", "40.00", "=", "ours"]
    assert text[-1] == "note: lce-indirect is left out: reason"
    assert len({line.index("=") for line in text[2:4]}) == 1
    two = bench.Result("net.tflite", 2, "avx2", 7, rows, [])
    assert (
        two.clock == "wall"
        and "2 threads, nothing wider than avx2, median" in two.as_text()
        and "wall-clock" in two.as_text()
    )
    assert json.loads(json.dumps(two.as_json()))["rows"][1]["ratio"] == 40.0


def test_results_must_be_finite_and_of_the_shape() -> None:
    good = np.zeros((1, 2), np.float32)
    assert bench.check_finite([good, np.zeros(3, np.int8)], [(1, 2), (3,)]) == "shape, finite"
    with pytest.raises(ParityError, match="shapes"):
        bench.check_finite([good], [(1, 3)])
    with pytest.raises(ParityError, match="infinities"):
        bench.check_finite([good / np.float32(1) + np.float32(np.inf)], [(1, 2)])


def residual() -> bytes:
    """Two binary convolutions around a float addition, a RELU behind them."""
    draw, graph = np.random.default_rng(0), Graph()
    x = graph.input((1, 6, 6, 32))

    def binary(source: object) -> object:
        return graph.bconv(
            graph.quantize(source),  # type: ignore[arg-type]
            draw.integers(0, 2, (32, 3, 3, 32)).astype(bool),
            multiplier=draw.uniform(0.01, 0.1, 32).astype(np.float32),
            bias=draw.normal(0, 1, 32).astype(np.float32),
        )

    y = graph.add(x, binary(x))  # type: ignore[arg-type]
    graph.output(graph.relu(graph.add(y, binary(y))))  # type: ignore[arg-type]
    return to_bytes(graph)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        load_delegate()
    except DelegateError as error:
        pytest.skip(str(error))
    path = tmp_path_factory.mktemp("bench") / "net.tflite"
    path.write_bytes(residual())
    return path


def run_cli(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(["bench", *arguments])
    return int(caught.value.code or 0)


def test_the_command_measures_checks_and_profiles(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(str(network), str(network), "--json", "--profile", "--seconds", "0.001") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["model"] for line in lines] == ["net.tflite"] * 2
    assert [row["name"] for row in lines[0]["rows"]] == [OURS, UNFUSED] and lines[0]["rounds"] == bench.LEAST_ROUNDS
    parts = lines[0]["profile"]["parts"]
    assert sorted(i for part in parts for i in part["operators"]) == list(range(7))
    names = ["0 LceQuantize", "1 LceBconv2d + 2 ADD + 3 LceQuantize", "4 LceBconv2d + 5 ADD + 6 RELU"]
    assert [(part["name"], part["runner"]) for part in parts] == [(name, "delegate") for name in names]
    assert all(part["ms"] >= 0 for part in parts) and lines[0]["profile"]["whole_ms"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("no-such-model",), 1, "no-such-model"),
        (("face", "--against", "tvm"), 2, "xnnpack-int8, got tvm"),
        (("face", "--against", ","), 2, "got none"),
        (("face", "--seconds", "0"), 2, "seconds"),
        (("face", "--threads", "0"), 2, "threads"),
        (("face", "--isa", "avx512"), 2, "expected native or avx2, got avx512"),
        ((), 2, "MODEL"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(*arguments) == code
    error = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert words in error and "Traceback" not in error


def test_a_wrong_result_is_no_measurement(network: Path) -> None:
    def wrong(name: str, content: bytes, inputs: list[np.ndarray], threads: int) -> Candidate:
        def check(outputs: list[np.ndarray]) -> str:
            raise ParityError(f"{outputs[0].shape} {threads}")

        return Candidate(name, lambda: None, check)

    with pytest.raises(ParityError, match=r"\(1, 6, 6, 32\) 1"):
        bench.run("net", network.read_bytes(), peers=["wrong"], load_peer=wrong, seconds=0.001)


def test_a_peer_that_refuses_the_model_is_a_note(network: Path) -> None:
    def refuse(name: str, content: bytes, inputs: list[np.ndarray], threads: int) -> Candidate:
        raise ModelError("groups")

    result = bench.run("net", network.read_bytes(), peers=["lce"], load_peer=refuse, seconds=0.001)
    assert result.notes == ["lce is left out: groups"] and [row.name for row in result.rows] == [OURS, UNFUSED]


def test_two_threads_are_compared_with_one(network: Path) -> None:
    result = bench.run("net", network.read_bytes(), num_threads=2, seconds=0.001)
    assert [row.name for row in result.rows] == [OURS, UNFUSED, SINGLE] and result.clock == "wall"
    assert result.rows[2].check == "= edgebnn, bit for bit"
    assert result.rows[2].ratio == result.rows[2].wall_ms / result.rows[0].wall_ms


def test_peers_that_copy_arrays_are_compared_with_ours_that_copies_too(network: Path) -> None:
    def peer(name: str, content: bytes, inputs: list[np.ndarray], threads: int) -> Candidate:
        return Candidate(name, lambda: None, lambda outputs: "fine", OURS_ARRAYS)

    result = bench.run("net", network.read_bytes(), peers=["lce"], load_peer=peer, seconds=0.001)
    assert [row.name for row in result.rows] == [OURS, UNFUSED, OURS_ARRAYS, "lce"]
    assert result.rows[3].base == OURS_ARRAYS


def test_parts_add_up_to_the_network(network: Path) -> None:
    content = network.read_bytes()
    graph = parse(content)
    inputs = bench.draw_inputs(graph)

    def load(part: bytes) -> bench.LiteRt:
        return bench.LiteRt("part", part, num_threads=1, delegate={})

    parts, runners = profiling.profile_parts(content, graph, inputs, load)
    values = dict(zip(graph.main.inputs, inputs, strict=True))
    for part, runner in zip(parts, runners, strict=True):
        takes, gives = profiling.borders(graph.main, part.operators)
        values |= dict(zip(gives, runner.run([values[i] for i in takes]), strict=True))
    (whole,) = load(content).run(inputs)
    np.testing.assert_array_equal(values[graph.main.outputs[0]], whole)


def test_the_profile_says_what_it_explains_and_how() -> None:
    parts = [
        profiling.Part("0 CONV_2D", "XNNPACK", (0,), 1.0),
        profiling.Part("1 LceQuantize + 2 LceBconv2d", "delegate", (1, 2), 2.5),
    ]
    profile = profiling.Profile(4.0, parts)
    assert profile.explained == 0.875
    text = profile.as_text().splitlines()
    assert text[1].split() == ["1.0000", "25.0", "%", "XNNPACK", "0", "CONV_2D"]
    assert text[3] == "XNNPACK 1.000 ms, delegate 2.500 ms; 87.5 % of the whole network's 4.000 ms"
    assert "no profiler in Python" in text[4]


@pytest.mark.parametrize("make", [lambda data: data[:200], lambda data: b"", lambda data: b"\0\0\0\0TFL3" + data[8:40]])
def test_damaged_files_are_refused(make: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ModelError):
        bench.run("net", make(residual()))
