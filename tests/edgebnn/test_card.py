from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from edgebnn_convert.embed import embed_card
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edgebnn.card import METADATA_NAME, NO_DIGEST, Card, Preprocess, find_metadata, parse_card, read_card
from edgebnn.errors import ModelError
from tests.edgebnn import small_networks

BARE = small_networks.bare_detector()
CARD = small_networks.detector_card()
WHOLE = embed_card(BARE, CARD)


def card_fields() -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(CARD.model_dump_json())
    return fields


def test_a_card_comes_back() -> None:
    card = read_card(WHOLE)
    assert card is not None and card.file_sha256 != NO_DIGEST
    assert card.model_copy(update={"file_sha256": NO_DIGEST}) == CARD
    assert read_card(BARE) is None


def test_cards_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        CARD.name = "other"  # type: ignore[misc]


def test_every_flipped_bit_is_refused() -> None:
    damaged = bytearray(WHOLE)
    for at in range(len(WHOLE)):
        bit = 1 << at % 8
        damaged[at] ^= bit
        with pytest.raises(ModelError):
            read_card(bytes(damaged))
        damaged[at] ^= bit
    assert bytes(damaged) == WHOLE


@settings(max_examples=300, deadline=None)
@example(at=621, value=0, more=[144])
@given(
    at=st.integers(0, len(WHOLE) - 1),
    value=st.integers(0, 255),
    more=st.lists(st.integers(0, len(WHOLE) - 1), max_size=4),
)
def test_changed_bytes_are_refused(at: int, value: int, more: list[int]) -> None:
    damaged = bytearray(WHOLE)
    for place in (at, *more):
        damaged[place] = value
    if damaged == WHOLE:
        return
    # With the name and the key both gone, it is a file without a card to anybody.
    assume(METADATA_NAME in damaged or b'"file_sha256":"' in damaged)
    with pytest.raises(ModelError):
        read_card(bytes(damaged))


def test_every_truncation_is_refused() -> None:
    for end in range(len(WHOLE)):
        with pytest.raises(ModelError):
            read_card(WHOLE[:end])
    with pytest.raises(ModelError):
        read_card(WHOLE + b"\0")


@settings(max_examples=300, deadline=None)
@given(noise=st.binary(max_size=400))
@example(noise=b"")
@example(noise=struct.pack("<I", 0xFFFFFFFF))
def test_noise_is_no_model(noise: bytes) -> None:
    with pytest.raises(ModelError, match="TFL3"):
        find_metadata(noise, METADATA_NAME)
    try:
        assert find_metadata(noise[:4].ljust(4, b"\0") + b"TFL3" + noise[4:], METADATA_NAME) is None
    except ModelError as error:
        assert "damaged" in str(error)


def test_bare_models_with_noise_do_not_crash_the_reader() -> None:
    rng = random.Random(0)
    for _ in range(3000):
        damaged = bytearray(BARE)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(min(300, len(damaged)))] = rng.randrange(256)
        with suppress(ModelError):
            read_card(bytes(damaged))


def test_reading_is_linear_in_the_file() -> None:
    """100,000 metadata entries that share one long name."""
    count, size = 100_000, 1_000_000
    header = struct.pack("<I4s", 28, b"TFL3")
    vtables = struct.pack("<9H", 18, 8, 0, 0, 0, 0, 0, 0, 4) + bytes(2)  # the root's, at 8: field 6 at 4
    root = struct.pack("<iI", 20, 4)  # at 28; its vector follows at 36
    entry_vtable = 36 + 4 + 4 * count
    entry = entry_vtable + 8
    name = entry + 8
    vector = struct.pack("<I", count) + b"".join(struct.pack("<I", entry - (40 + 4 * i)) for i in range(count))
    table = struct.pack("<4H", 6, 8, 4, 0) + struct.pack("<iI", 8, 4)
    model = header + vtables + root + vector + table + struct.pack("<I", size) + bytes(size)
    assert len(model) == name + 4 + size
    assert find_metadata(model, METADATA_NAME) is None


def test_a_newer_card_says_so() -> None:
    fields = card_fields() | {"version": 3, "something": "new"}
    with pytest.raises(ModelError, match="version 3, this edgebnn reads up to 2: upgrade"):
        parse_card(json.dumps(fields))


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda fields: {name: value for name, value in fields.items() if name != key}


def with_(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda fields: fields | changes


def with_decode(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda fields: fields | {"decode": fields["decode"] | changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: [], "not a JSON object"),
        (lambda _: None, "not a JSON object"),
        (without("name"), "name"),
        (without("preprocess"), "needs classes, preprocess and decode"),
        (with_(version=0), "version"),
        (with_(version="1"), "version"),
        (with_(version=10**400), "version|JSON"),
        (with_(task="sing"), "task"),
        (with_(task="sleep"), "needs sleep"),
        (with_(sleep={"window": 256, "threshold": 0.4}), "and no other, needs sleep"),
        (with_(task="sleep", sleep={"window": 0, "threshold": 0.4}), "window"),
        (with_(task="sleep", sleep={"window": 256, "threshold": 1}), "threshold"),
        (with_(task="sleep", sleep={"window": 256, "threshold": 0.4, "features": 2}), "features"),
        (with_(name=""), "name"),
        (with_(surprise=1), "surprise"),
        (with_(file_sha256="xyz"), "file_sha256"),
        (with_(preprocess={"width": 64, "height": 64, "std": 0}), "std"),
        (with_(preprocess={"width": 64, "height": 64, "std": float("inf")}), "std"),
        (with_(preprocess={"width": 64, "height": 64, "mean": float("nan")}), "mean"),
        (with_(preprocess={"width": 10**9, "height": 64}), "width"),
        (with_(preprocess={"width": 64, "height": 64, "pad": 256}), "pad"),
        (with_decode(levels=[]), "levels"),
        (with_decode(levels=[{"output": "a", "stride": 0, "scale": 1}]), "stride"),
        (with_decode(levels=[{"output": "a", "stride": 8, "scale": -1}]), "scale"),
        (with_decode(min_score=0), "min_score"),
        (with_decode(nms_iou=1), "nms_iou"),
        (with_decode(max_detections=0), "max_detections"),
        (with_(**{"a\nb\x1b[31m" * 50: 1}), "a.b"),
    ],
)
def test_malformed_cards(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        parse_card(json.dumps(change(card_fields())))
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000, b'{"a":' * 50_000, b'{"version": 1, "version": 2}', b"1e999"]
)
def test_hostile_json(text: bytes) -> None:
    with pytest.raises(ModelError):
        parse_card(text)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(card_fields())), inner, max_size=4)
        ),
        max_leaves=8,
    )
)
def test_any_json_is_refused_or_a_card(value: Any) -> None:
    fields = card_fields() | value if isinstance(value, dict) else value
    with suppress(ModelError):
        assert isinstance(parse_card(json.dumps(fields)), Card)


def test_a_digest_that_stands_in_the_card_twice_is_refused() -> None:
    with pytest.raises(ModelError, match=r"exactly once|damaged"):
        read_card(embed_card(BARE, CARD.model_copy(update={"licence": NO_DIGEST})).replace(b"0" * 64, b"1" * 64))


def test_only_cards_of_inputs_that_turn_are_of_version_2() -> None:
    fields = card_fields()
    assert fields["version"] == 1 and list(fields["preprocess"]) == ["width", "height", "pad", "mean", "std"]
    turning = CARD.model_copy(update={"preprocess": Preprocess(width=96, height=64, turns=True)})
    written = json.loads(turning.model_dump_json())
    assert written["version"] == 2 and written["preprocess"]["turns"] is True
    read = parse_card(json.dumps(written))
    assert read.preprocess == turning.preprocess
    assert json.loads(read.model_copy(update={"preprocess": CARD.preprocess}).model_dump_json())["version"] == 1
    for task in ("tensors", "sleep"):
        with pytest.raises(ModelError, match="an input that turns is a detector's"):
            parse_card(json.dumps(written | {"task": task}))


@pytest.mark.parametrize(
    ("size", "picture", "turned"),
    [
        ((320, 256), (640, 480), False),
        ((320, 256), (480, 640), True),
        ((320, 256), (500, 500), False),
        ((256, 320), (480, 640), False),
        ((256, 320), (640, 480), True),
        ((320, 320), (480, 640), False),
    ],
)
def test_an_input_turns_with_the_picture(size: tuple[int, int], picture: tuple[int, int], turned: bool) -> None:
    for turns in (True, False):
        how = Preprocess(width=size[0], height=size[1], mean=3, turns=turns)
        seen = how.for_picture(*picture)
        assert (seen.width, seen.height) == (size[::-1] if turns and turned else size)
        assert seen.mean == 3 and seen.for_picture(*picture) == seen
