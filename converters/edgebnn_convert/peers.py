"""What `edgebnn bench` compares with: LCE's interpreter, and XNNPACK on twins of the model."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebnn.bench import OURS, OURS_ARRAYS, Candidate, LiteRt, check_finite
from edgebnn.errors import InputError, ModelError, ParityError
from edgebnn.inspection.graph import Network, parse
from edgebnn_convert.difference import compare
from edgebnn_convert.interpreters import LCE_EXTENSION, Lce, Stock
from edgebnn_convert.parity import Sample, check_parity
from edgebnn_convert.quiet import captured_stderr
from edgebnn_convert.samples import draw_samples
from edgebnn_convert.twins import float_twin, int8_twin

Array = npt.NDArray[Any]

PEERS = {
    "lce": "LCE's interpreter as it comes",
    "lce-indirect": "LCE's interpreter with use_indirect_bgemm and XNNPACK, its best",
    "xnnpack-fp32": "the float32 twin on LiteRT with XNNPACK",
    "xnnpack-int8": "the int8 twin on LiteRT with XNNPACK, int8 in and out",
}


def parse_peers(text: str) -> list[str]:
    """Names out of "lce,xnnpack-fp32", each once; InputError for an unknown one."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in PEERS]
    if unknown or not names:
        raise InputError(f"expected peers out of {', '.join(PEERS)}, got {', '.join(unknown) or 'none'}")
    return names


def load_peer(name: str, content: bytes, inputs: list[Array], num_threads: int) -> Candidate:
    """A peer of `content`; ModelError when it refuses the model, MissingExtraError where it is not installed."""
    if name not in PEERS:
        raise InputError(f"expected a peer out of {', '.join(PEERS)}, got {name!r}")
    if name.startswith("lce"):
        return _lce(name, content, inputs, num_threads)
    return _xnnpack(name, content, num_threads)


def _lce(name: str, content: bytes, inputs: list[Array], num_threads: int) -> Candidate:
    Lce()
    best = name == "lce-indirect"
    try:
        with captured_stderr():
            interpreter = sys.modules[LCE_EXTENSION].LiteInterpreter(content, num_threads, False, best, best)
            expected = [np.array(output) for output in interpreter.predict(inputs)]
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"LCE's interpreter refuses the model: {' '.join(str(error).split())}") from error

    def check(outputs: list[Array]) -> str:
        return check_equal(content, parse(content), inputs, expected, outputs)

    return Candidate(name, lambda: interpreter.predict(inputs), check, OURS_ARRAYS)


def check_equal(
    content: bytes, network: Network, inputs: list[Array], expected: list[Array], outputs: list[Array]
) -> str:
    """Ours against LCE's: equal, or every operator equal and the rest traced to rounding; else ParityError."""
    differences = [compare(want, got) for want, got in zip(expected, outputs, strict=True)]
    differing = sum(difference.differing for difference in differences)
    if not differing:
        return "= ours"
    share = differing / max(1, sum(difference.elements for difference in differences))
    again = Stock().load(content, network).run(inputs)
    if any(compare(want, got).differing for want, got in zip(again, outputs, strict=True)):
        raise ParityError(f"the delegate's result on the timed input is wrong: {100 * share:.2g} % differ from LCE's")
    try:
        check_parity(content, network, Lce(), Stock(), [Sample("the timed input", inputs)])
    except ParityError as error:
        raise ParityError(f"LCE and the delegate disagree: {error}") from error
    return f"operators = ours; {100 * share:.2g} % of the outputs differ by sign ties"


def _xnnpack(name: str, content: bytes, num_threads: int) -> Candidate:
    with captured_stderr():
        twin = int8_twin(content) if name == "xnnpack-int8" else float_twin(content)
        network = parse(twin)
        runner = LiteRt(f"the twin {name}", twin, num_threads=num_threads, delegate=None)
        got = runner.run(draw_samples(network)[0].arrays)

    def check(outputs: list[Array]) -> str:
        return check_finite(got, [output.shape for output in outputs])

    return Candidate(name, runner.invoke, check, OURS)
