from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgebnn_convert.embed import embed_card, strip_card
from edgebnn_convert.front import MODEL_BUFFERS
from edgebnn_convert.interpreters import Lce, Stock
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.card import NO_DIGEST, Card, Training, parse_card, read_card
from edgebnn.errors import MissingExtraError, ModelError
from edgebnn.inspection.flatbuffer import root
from edgebnn.inspection.graph import parse

GOLDEN = Path(__file__).parents[1] / "golden"
MODEL = (GOLDEN / "converted-stem-and-heads.tflite").read_bytes()
CARD = Card(name="net", task="tensors")

cards = st.builds(
    Card,
    name=st.text(min_size=1, max_size=80),
    task=st.just("tensors"),
    classes=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    metrics=st.dictionaries(st.text(max_size=8), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    training=st.builds(Training, checkpoint_sha256=st.sampled_from(["", NO_DIGEST, "ab" * 32])),
    licence=st.text(max_size=200),
)
models = st.sampled_from([path.read_bytes() for path in sorted(GOLDEN.glob("*.tflite"))[:12]])


def without_digest(card: Card | None) -> Card:
    assert card is not None and card.file_sha256 != NO_DIGEST
    return card.model_copy(update={"file_sha256": NO_DIGEST})


@settings(deadline=None)
@given(models, cards, cards)
def test_the_last_card_stands(model: bytes, first: Card, second: Card) -> None:
    once, twice = embed_card(model, second), embed_card(embed_card(model, first), second)
    assert twice == once
    assert without_digest(read_card(once)) == second
    assert strip_card(once) == model


def test_the_digest_of_the_card_given_does_not_matter() -> None:
    signed = CARD.model_copy(update={"file_sha256": "5" * 64})
    assert embed_card(MODEL, signed) == embed_card(MODEL, CARD)


def test_the_old_file_stays_byte_for_byte() -> None:
    embedded = embed_card(MODEL, CARD)
    assert embedded.endswith(MODEL)
    assert (len(embedded) - len(MODEL)) % 16 == 0


def test_the_schema_reads_the_same_model() -> None:
    before, after = (schema.ModelT.InitFromPackedBuf(data, 0) for data in (MODEL, embed_card(MODEL, CARD)))
    assert [entry.name for entry in after.metadata] == [*(e.name for e in before.metadata or []), b"edgebnn.card"]
    assert parse_card(bytes(after.buffers[after.metadata[-1].buffer].data)).name == "net"
    assert len(after.buffers) == len(before.buffers) + 1
    after.metadata, after.buffers = before.metadata, after.buffers[:-1]
    assert plain(after) == plain(before)


def plain(value: Any) -> Any:
    """A schema object as nested Python values."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in vars(value).items()} if hasattr(value, "__dict__") else value


@pytest.mark.parametrize("name_length", range(1, 18))
def test_buffers_keep_their_alignment(name_length: int) -> None:
    """LCE aligns its own buffers to 4 bytes only; ours, and those of files that follow the schema, to 16."""
    before = [buffer.target(0) or 0 for buffer in root(MODEL).tables(MODEL_BUFFERS)]
    embedded = root(embed_card(MODEL, Card(name="n" * name_length, task="tensors")))
    *after, card = [buffer.target(0) or 0 for buffer in embedded.tables(MODEL_BUFFERS)]
    assert all(new % 16 == old % 16 for new, old in zip(after, before, strict=True))
    assert (card + 4) % 16 == 0


def test_it_computes_the_same(delegate: None) -> None:
    embedded, network = embed_card(MODEL, CARD), parse(MODEL)
    inputs = [
        np.linspace(-1, 1, 5 * 1000).astype("f4")[: network.main.tensors[i].elements] for i in network.main.inputs
    ]
    inputs = [x.reshape(network.main.tensors[i].shape) for x, i in zip(inputs, network.main.inputs, strict=True)]
    engines: list[Any] = [Stock()]
    try:
        engines.append(Lce())
    except MissingExtraError as error:
        print(error)
    for engine in engines:
        before, after = (engine.load(data, network).run(inputs) for data in (MODEL, embedded))
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_card_that_another_program_wrote_is_replaced() -> None:
    model = schema.ModelT.InitFromPackedBuf(embed_card(MODEL, CARD), 0)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    repacked = bytes(builder.Output())
    new = Card(name="new", task="tensors")
    embedded = embed_card(repacked, new)
    assert without_digest(read_card(embedded)) == new
    assert parse(embedded).metadata.count("edgebnn.card") == 1
    assert embed_card(embed_card(repacked, CARD), new) == embedded


def test_what_is_no_model_is_refused() -> None:
    for data in (b"", b"hello, this is no model", MODEL[: len(MODEL) // 2]):
        with pytest.raises(ModelError):
            embed_card(data, CARD)
