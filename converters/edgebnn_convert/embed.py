"""Putting the card into a .tflite, as metadata `edgebnn.card` (contract: edgebnn.card)."""

from __future__ import annotations

from edgebnn.card import METADATA_NAME, NO_DIGEST, Card, digest_without_itself, find_metadata, parse_card
from edgebnn.errors import ModelError
from edgebnn_convert.front import ALIGNMENT, MODEL_BUFFERS, MODEL_METADATA, TABLE, Front

_METADATA_NAME, _METADATA_BUFFER = 0, 1


def embed_card(model: bytes, card: Card) -> bytes:
    """`model` with `card` in it, instead of the one it may have; `file_sha256` is filled in.

    Everything else stays byte for byte, behind the card. embed(embed(m, a), b) == embed(m, b). ModelError when the
    bytes are no .tflite.
    """
    return _attach(strip_card(model), card)


def strip_card(model: bytes) -> bytes:
    """The file that `embed_card` was given; `model` itself when no card of ours stands in front of it."""
    span = find_metadata(model, METADATA_NAME)
    if span is None:
        return model
    start = span[1] + 1  # the 0 behind the card
    start += -start % ALIGNMENT
    try:
        if _attach(model[start:], parse_card(model[slice(*span)])) == model:
            return model[start:]
    except ModelError:
        pass  # written by another program: its card is dropped from the list of metadata instead
    return model


def _attach(model: bytes, card: Card) -> bytes:
    text = card.model_copy(update={"file_sha256": NO_DIGEST}).model_dump_json().encode()
    front = Front(model)
    buffers = front.old.targets(MODEL_BUFFERS)
    if not buffers:
        raise ModelError("the model file is damaged: it has no buffers; convert the model again")
    kept = [entry.at for entry in front.old.tables(MODEL_METADATA) if entry.raw(_METADATA_NAME) != METADATA_NAME]

    slots = front.put_root([MODEL_BUFFERS, MODEL_METADATA])
    at, buffer_slots = front.put_offsets(len(buffers) + 1)
    front.link(slots[MODEL_BUFFERS], at)
    at, metadata_slots = front.put_offsets(len(kept) + 1)
    front.link(slots[MODEL_METADATA], at)
    for slot, target in zip(buffer_slots, buffers, strict=False):
        front.link_old(slot, target)
    for slot, target in zip(metadata_slots, kept, strict=False):
        front.link_old(slot, target)

    entry = front.put_table({_METADATA_NAME: None, _METADATA_BUFFER: len(buffers)})
    front.link(metadata_slots[-1], entry[TABLE])
    buffer = front.put_table({0: None})
    front.link(buffer_slots[-1], buffer[TABLE])
    front.link(entry[_METADATA_NAME], front.put_bytes(METADATA_NAME))
    front.link(buffer[0], front.put_bytes(text))
    return _sign(front.finish())


def _sign(model: bytes) -> bytes:
    """Fill in the digest of a file whose card holds NO_DIGEST."""
    span = find_metadata(model, METADATA_NAME)
    assert span is not None
    at = model.rindex(b'"file_sha256":"' + NO_DIGEST.encode(), *span) + len(b'"file_sha256":"')
    digest = digest_without_itself(model, (at, span[1]), NO_DIGEST)
    return model[:at] + digest.encode() + model[at + len(NO_DIGEST) :]
