"""Damaged files and options end in an exception or in the right result; never in a crash, a hang or a wrong result.

Files run in a process of their own (`isolated.py`). A flipped file may crash the host before the delegate sees it: such
a crash is not ours where the stock interpreter without a delegate crashes on the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np
import pytest
from flatbuffers import flexbuffers

import edgebnn
from edgebnn.errors import InputError

from . import judge, lce, oracle
from .cases import Case, Conv, Draw, Sketch
from .flatfile import custom_options
from .isolated import Outcome, Worker
from .refusals import conv_case, pool_case

FLIPS = int(os.environ.get("EDGEBNN_FLIPS", "600"))


@cache
def _victim(dequantized: bool = True) -> Case:
    """Every LCE op once or twice, an ADD for the host, int8 and float32 and bitpacked tensors."""
    sketch = Sketch(Draw("victim"))
    x = sketch.graph.input((1, 6, 6, 40))
    y = sketch.conv(sketch.graph.quantize(x), Conv(type="bits", out=64))
    y = sketch.graph.bpool(y, (2, 2), (2, 2))
    z = sketch.conv(y, Conv(type="int8", out=8, pad_value=0))
    w = sketch.conv(sketch.graph.quantize(z), Conv(affine="half", out=16, groups=1))
    v = sketch.graph.dequantize(sketch.graph.quantize(w)) if dequantized else w
    return sketch.case("victim", z, sketch.graph.add(w, v))


@pytest.fixture(scope="module")
def delegate_worker() -> Iterator[Worker]:
    with Worker("delegate") as worker:
        yield worker


@pytest.fixture(scope="module")
def stock_worker() -> Iterator[Worker]:
    with Worker("stock") as worker:
        yield worker


@pytest.fixture(scope="module")
def lce_worker() -> Iterator[Worker]:
    with Worker("LCE reference") as worker:
        yield worker


def _flipped(octets: bytes, bit: int) -> bytes:
    damaged = bytearray(octets)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def _is_answer(outcome: Outcome) -> bool:
    return outcome.kind == "ok" or outcome.message.startswith(("RuntimeError", "ValueError", "UnicodeDecodeError"))


def _ours(files: Sequence[bytes], inputs: Sequence[judge.Array], delegate: Worker, stock: Worker) -> list[str]:
    """What the delegate is to blame for among the outcomes."""
    bad = []
    for index, file in enumerate(files):
        outcome = delegate.run(file, inputs)
        if not _is_answer(outcome) and stock.run(file, inputs).kind != outcome.kind:
            bad.append(f"file {index}: {outcome.kind} {outcome.message}")
    return bad


def test_truncated_files(delegate_worker: Worker, stock_worker: Worker) -> None:
    case = _victim()
    model = judge.model(case)
    assert delegate_worker.run(model, case.inputs).kind == "ok"
    files = [model[:size] for size in range(0, len(model), 37)]
    assert not _ours(files, case.inputs, delegate_worker, stock_worker)


@pytest.mark.parametrize("seed", range(3))
def test_flipped_files(seed: int, delegate_worker: Worker, stock_worker: Worker) -> None:
    case = _victim()
    model = judge.model(case)
    draw = Draw(f"flips {seed}").random
    files = [_flipped(model, draw.randint(8 * len(model))) for _ in range(FLIPS)]
    # Several flips at once, in the tables rather than in the weights.
    weights = max((len(t.data.tobytes()), t.data.tobytes()) for t in case.graph.tensors if t.data is not None)[1]
    start, end = model.index(weights), model.index(weights) + len(weights)
    for _ in range(FLIPS):
        damaged = model
        for _ in range(draw.randint(2, 6)):
            at = draw.randint(len(model) - (end - start))
            damaged = _flipped(damaged, 8 * (at if at < start else at + end - start) + draw.randint(8))
        files.append(damaged)
    assert not _ours(files, case.inputs, delegate_worker, stock_worker)


@pytest.mark.skipif(lce.extension() is None, reason="larq-compute-engine is not installed")
def test_flipped_options_give_no_other_result_than_lce(delegate_worker: Worker, lce_worker: Worker) -> None:
    """Every single bit of the options of a convolution and of a pool: what we accept, LCE computes alike.

    Without LceDequantize, through which LCE cannot pass on another size.
    """
    case = _victim(dequantized=False)
    model = judge.model(case)
    wrong, accepted = [], 0
    for op in case.graph.ops[1:3]:
        options = custom_options(dict(op.options))
        assert model.count(options) == 1
        for bit in range(8 * len(options)):
            damaged = _flipped(model, 8 * model.index(options) + bit)
            ours = delegate_worker.run(damaged, case.inputs)
            assert _is_answer(ours), f"{op.kind} options, bit {bit}: {ours}"
            if ours.kind != "ok":
                continue
            accepted += 1
            theirs = lce_worker.run(damaged, case.inputs)
            if theirs.kind == "error" or (theirs.kind == "ok" and judge.difference(ours.outputs, theirs.outputs)):
                wrong.append(f"{op.kind} options, bit {bit}: LCE {theirs.message or 'differs'}")
    assert accepted
    assert not wrong


@pytest.mark.parametrize("build", [conv_case, pool_case])
def test_truncated_options(build: Callable[..., Case], delegate_worker: Worker) -> None:
    options = custom_options(dict(build().graph.ops[-1].options))
    for size in range(len(options)):
        case = build(raw_options=options[:size])
        outcome = delegate_worker.run(judge.model(case), case.inputs)
        assert outcome.kind == "error", size
        assert "option" in outcome.message


def _wide_map() -> bytes:
    """The convolution's options with a value that makes every scalar eight bytes wide."""
    return custom_options({**conv_case().graph.ops[-1].options, "zzz": 2**40})


def _patched(old: bytes, new: bytes) -> bytes:
    wide = _wide_map()
    assert old in wide
    return wide.replace(old, new)


COUNT = (9).to_bytes(8, "little")
MALFORMED = {
    "empty": b"",
    "zeros": bytes(40),
    "ones": b"\xff" * 40,
    "integer": flexbuffers.Dumps(3),
    "text": flexbuffers.Dumps("stride_height"),
    "list": flexbuffers.Dumps([1, 2, 3]),
    "list of maps": flexbuffers.Dumps([{"stride_height": 1}]),
    "empty map": flexbuffers.Dumps({}),
    "other map": flexbuffers.Dumps({"scale": 1, "axis": 2}),
    "count 2^61": _patched(COUNT, (2**61).to_bytes(8, "little")),
    "count 2^64 - 1": _patched(COUNT, b"\xff" * 8),
    "count 10": _patched(COUNT, (10).to_bytes(8, "little")),
    "root beyond": _wide_map()[:-3] + b"\xff" + _wide_map()[-2:],
    "root width 0": _wide_map()[:-1] + b"\0",
    "root width 3": _wide_map()[:-1] + b"\3",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_options(name: str, delegate_worker: Worker) -> None:
    case = conv_case(raw_options=MALFORMED[name])
    outcome = delegate_worker.run(judge.model(case), case.inputs)
    assert outcome.kind == "error"
    assert "LceBconv2d" in outcome.message
    assert "option" in outcome.message


def test_random_options(delegate_worker: Worker) -> None:
    draw = Draw("random options").random
    for _ in range(200):
        case = conv_case(raw_options=draw.bytes(draw.randint(1, 200)))
        assert delegate_worker.run(judge.model(case), case.inputs).kind == "error"


def test_wide_options_are_read(delegate_worker: Worker) -> None:
    """An unknown option is left alone, and widens the scalars of the others to eight bytes."""
    plain, wide = conv_case(), conv_case(raw_options=_wide_map())
    wanted = delegate_worker.run(judge.model(plain), plain.inputs)
    assert not judge.difference(delegate_worker.run(judge.model(wide), wide.inputs).outputs, wanted.outputs)


@pytest.mark.parametrize("pad_value", [0, 1])
def test_filter_that_reaches_beyond_int32(pad_value: int, delegate_worker: Worker) -> None:
    """(4199 << 20) pixels to the right of the first tap. Refused, or computed without overflow."""
    spec = Conv(out=2, filter=(1, 4200), dilation=(1, 1 << 20), pad_value=pad_value)
    case = conv_case(spec, channels=32, image=(1, 1, 9))
    ours = delegate_worker.run(judge.model(case), case.inputs)
    assert ours.kind == "error" or not judge.difference(ours.outputs, oracle.run(case.graph, case.inputs))


@pytest.mark.parametrize("multiplier", [1e30, 1e35, -1e35])
def test_int8_saturates_beyond_int32(multiplier: float, delegate_worker: Worker) -> None:
    factors = np.full(32, multiplier, np.float32)
    case = conv_case(Conv(type="int8", affine="half"), multiplier=factors, scale=0.5, zero_point=0)
    ours = delegate_worker.run(judge.model(case), case.inputs)
    assert not judge.difference(ours.outputs, oracle.run(case.graph, case.inputs))


@pytest.mark.skipif(lce.extension() is None, reason="larq-compute-engine is not installed")
@pytest.mark.parametrize("pad_value", [0, 1])
def test_dirty_padding_bits_of_a_filter(pad_value: int, delegate_worker: Worker, lce_worker: Worker) -> None:
    """Bits beyond the channels count for LCE; no converter writes them. Refused, or counted alike."""
    case = conv_case(Conv(pad_value=pad_value), channels=40)
    words = case.graph.ops[-1].inputs[1].data
    words |= np.int32(-(2**31))
    ours = delegate_worker.run(judge.model(case), case.inputs)
    theirs = lce_worker.run(judge.model(case), case.inputs)
    assert ours.kind == "error" or not judge.difference(ours.outputs, theirs.outputs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threads": "2"}, "threads"),
        ({"num_threads": 0}, "num_threads"),
        ({"num_threads": -1}, "num_threads"),
        ({"num_threads": 65}, "num_threads"),
        ({"num_threads": 10**18}, "num_threads"),
        ({"num_threads": "two"}, "num_threads"),
        ({"num_threads": ""}, "num_threads"),
        ({"num_threads": " 1"}, "num_threads"),
        ({"num_threads": "1\n"}, "num_threads"),
        ({"num_threads": 1.5}, "num_threads"),
        ({"kernel": "fast"}, "kernel"),
        ({"kernel": ""}, "kernel"),
        ({"kernel": "AUTO"}, "kernel"),
        ({"": ""}, "option"),
    ],
)
def test_delegate_options(options: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        edgebnn.load_delegate(**options)
