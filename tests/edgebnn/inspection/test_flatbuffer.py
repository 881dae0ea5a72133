from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebnn.errors import ModelError
from edgebnn.inspection import report
from edgebnn.inspection.flatbuffer import MAX_WORK, root
from edgebnn.inspection.graph import parse
from edgebnn.inspection.options import parse_options
from tests.edgebnn import small_networks

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("*.tflite"))


@pytest.fixture(scope="module", params=["golden", "builtin"])
def model(request: pytest.FixtureRequest) -> bytes:
    return GOLDEN[0].read_bytes() if request.param == "golden" else small_networks.doubler()


def survives(data: bytes) -> bool:
    """Whether the whole report can be made; a ModelError must be one sentence."""
    try:
        made = report.examine("x", data)
        made.as_text()
        made.as_json()
    except ModelError as error:
        assert str(error).count("\n") == 0
        return False
    return True


@pytest.fixture(autouse=True)
def no_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are judged here by our reader alone."""
    monkeypatch.setattr(report, "ask_runtime", lambda model, network: None)


def test_every_truncation_is_refused(model: bytes) -> None:
    assert survives(model)
    assert not any(survives(model[:length]) for length in range(len(model)))


def test_flipped_bits_never_escape(model: bytes) -> None:
    draw = random.Random(1)
    refused = 0
    for _ in range(3000):
        data = bytearray(model)
        for _ in range(draw.choice([1, 1, 2, 5, 20])):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        refused += not survives(bytes(data))
    assert refused > 300


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    for data in (noise, b"\x08\0\0\0TFL3" + noise):
        with pytest.raises(ModelError):
            parse(data)


@given(st.binary(max_size=80))
def test_options_of_noise(noise: bytes) -> None:
    try:
        values = parse_options(noise)
    except ModelError:
        return
    assert all(isinstance(value, int) for value in values.values())


def test_options_are_read() -> None:
    options = parse(next(p for p in GOLDEN if p.stem == "conv-same0-dilation1x2").read_bytes()).main.operators
    (conv,) = (operator.options for operator in options if operator.name == "LceBconv2d")
    assert (conv["dilation_height_factor"], conv["dilation_width_factor"], conv["pad_values"]) == (1, 2, 0)


@pytest.mark.parametrize("value", [-1, 0, 1, 127, 128, -129, 70000, -(2**40)])
def test_options_of_every_width(value: int) -> None:
    from flatbuffers import flexbuffers

    assert parse_options(bytes(flexbuffers.Dumps({"a": value, "longer": 3}))) == {"a": value, "longer": 3}


def test_tables_that_refer_to_each_other_are_refused() -> None:
    """A vector whose elements are all the same table: work in proportion to the file, not to its square."""
    count = 4 * MAX_WORK // 10
    vtable, table = b"\x06\0\x08\0\x04\0", 16
    head = bytearray(b"\x10\0\0\0TFL3" + vtable + b"\0\0")
    head += (table - 8).to_bytes(4, "little") + (4).to_bytes(4, "little")  # its field 0: the vector behind it
    vector = count.to_bytes(4, "little")
    data = bytes(head) + vector + b"".join((2**32 - 8 - 4 * i).to_bytes(4, "little") for i in range(count))
    with pytest.raises(ModelError):
        for _ in range(3):
            root(data).tables(0)[0].tables(0)
