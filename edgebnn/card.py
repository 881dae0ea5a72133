"""The card: what a program must know to use a model. It travels inside the .tflite as metadata `edgebnn.card` (JSON).

It carries a SHA-256 of the whole file, taken with the digest's own 64 characters set to "0", so that a damaged file
is refused before an interpreter sees it. Writing a card into a file needs the flatbuffer schema and is the
converter's (`edgebnn_convert.embed`); this module reads, and runs on the device.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from edgebnn.errors import ModelError

METADATA_NAME = b"edgebnn.card"
VERSION = 2
"""1, and 2 of cards whose input turns: older programs read what they understand"""
NO_DIGEST = "0" * 64
_DIGEST_KEY = b'"file_sha256":"'


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Preprocess(_Strict):
    """Frame to input tensor: letterbox to (height, width), then float32 (rgb - mean) / std in NHWC.

    An input of one channel takes the grey value. An input that `turns` exchanges width and height for pictures that are
    upright where it lies, or the other way round; the network must be one that edgebnn.runtime.turned can turn.
    """

    width: Annotated[int, Field(ge=1, le=4096)]
    height: Annotated[int, Field(ge=1, le=4096)]
    pad: Annotated[int, Field(ge=0, le=255, description="grey value of the letterbox border")] = 114
    mean: float = 127.5
    std: Annotated[float, Field(gt=0)] = 127.5
    turns: bool = False

    @pydantic.model_serializer(mode="wrap")
    def _as_ever(self, write: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what a card of version 1 has not."""
        fields: dict[str, Any] = write(self)
        if not self.turns:
            del fields["turns"]
        return fields

    def for_picture(self, width: int, height: int) -> Preprocess:
        """How a picture of (width, height) is seen: this, or this turned."""
        if not self.turns or (width - height) * (self.width - self.height) >= 0:
            return self
        return self.model_copy(update={"width": self.height, "height": self.width})


class Level(_Strict):
    """One output map (1, height/stride, width/stride, 5): score logit, then log distances left, top, right, bottom.

    A distance is exp(t) * stride * scale input pixels, measured from the cell's centre ((x + 0.5) * stride).
    """

    output: Annotated[str, Field(min_length=1, description="name of the output in the model's signature")]
    stride: Annotated[int, Field(ge=1, le=256)]
    scale: Annotated[float, Field(gt=0, le=64)]


class Decode(_Strict):
    """How the outputs of an anchor-free detector become boxes."""

    levels: Annotated[tuple[Level, ...], Field(min_length=1, max_length=8)]
    min_score: Annotated[float, Field(gt=0, lt=1, description="default threshold on sigmoid(score logit)")] = 0.5
    nms_iou: Annotated[float, Field(gt=0, lt=1)] = 0.45
    max_detections: Annotated[int, Field(ge=1, le=10_000)] = 300


class SleepDecode(_Strict):
    """A network of nights: features (1, 1, window, n) of the newest epochs, zeros before the night began, in.

    Out come the logits "wake" (1, 1), "restless" (1, 1) and "stages" (1, 5) of the newest epoch.
    """

    window: Annotated[int, Field(ge=1, le=4096, description="epochs of 30 s")]
    threshold: Annotated[float, Field(gt=0, lt=1, description="awake where P(wake) is at least this")]
    features: Annotated[Literal[1], Field(description="version of edgebnn.runtime.sleep_features")] = 1


class Training(_Strict):
    """Where the weights come from."""

    recipe: str = ""
    data: tuple[str, ...] = ()
    pictures: Annotated[int, Field(ge=0, description="training pictures in the data")] = 0
    epochs: Annotated[float, Field(ge=0)] = 0
    samples: Annotated[int, Field(ge=0, description="crops or examples seen in all")] = 0
    checkpoint_sha256: str = ""
    versions: dict[str, str] = {}


class Card(_Strict):
    """See the module's docstring."""

    version: Annotated[int, Field(strict=True, ge=1, le=VERSION)] = 1
    name: Annotated[str, Field(min_length=1, max_length=80)]
    task: Literal["detect", "sleep", "tensors"]
    classes: tuple[str, ...] = ()
    preprocess: Preprocess | None = None
    decode: Decode | None = None
    sleep: SleepDecode | None = None
    metrics: dict[str, float] = {}
    training: Training = Training()
    licence: str = ""
    file_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = NO_DIGEST

    @pydantic.model_validator(mode="after")
    def _tasks_say_how(self) -> Card:
        if self.task == "detect" and (self.preprocess is None or self.decode is None or not self.classes):
            raise ValueError("a card of task 'detect' needs classes, preprocess and decode")
        if self.preprocess is not None and self.preprocess.turns and self.task != "detect":
            raise ValueError("an input that turns is a detector's")
        if (self.task == "sleep") != (self.sleep is not None):
            raise ValueError("a card of task 'sleep', and no other, needs sleep")
        return self

    @pydantic.field_serializer("version")
    def _least(self, _: int) -> int:
        """The least version that knows all of the card, whatever it was read from."""
        return 2 if self.preprocess is not None and self.preprocess.turns else 1


def parse_card(text: bytes | str) -> Card:
    """The card in a JSON text; ModelError says what is wrong with it."""
    try:
        raw = pydantic.TypeAdapter(dict[str, Any]).validate_json(text)
    except pydantic.ValidationError as error:
        raise ModelError(f"the card is not a JSON object: {_first(error)}") from None
    version = raw.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ModelError(f"the card has version {version}, this edgebnn reads up to {VERSION}: upgrade edgebnn")
    try:
        return Card.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise ModelError(f"the card is malformed: {_first(error)}") from None


def read_card(model: bytes) -> Card | None:
    """The card inside a .tflite, None without one; ModelError when the file or its card is damaged or newer."""
    span = find_metadata(model, METADATA_NAME)
    if span is None:
        if METADATA_NAME in model or _DIGEST_KEY in model:  # a flipped bit on the way to the card would hide it
            raise ModelError("the model file is damaged: it holds a card that cannot be reached; copy it again")
        return None
    card = parse_card(model[slice(*span)])
    digest = digest_without_itself(model, span, card.file_sha256)
    if digest != card.file_sha256:
        raise ModelError("the model file is damaged: its SHA-256 is not the one its card states; copy it again")
    return card


def digest_without_itself(model: bytes, span: tuple[int, int], stated: str) -> str:
    """SHA-256 of the file with the one occurrence of `stated` inside `span` (start, end) replaced by zeros."""
    start, end = span
    at = model.find(stated.encode(), start, end)
    if at < 0 or model.find(stated.encode(), at + 1, end) >= 0:
        raise ModelError("the card is malformed: expected its file_sha256 to stand in it exactly once")
    sha = hashlib.sha256(model[:at])
    sha.update(NO_DIGEST.encode())
    sha.update(model[at + len(stated) :])
    return sha.hexdigest()


def find_metadata(model: bytes, name: bytes) -> tuple[int, int] | None:
    """Byte span (start, end) of a metadata buffer of a .tflite; None if the model has none of that name.

    Reads the few flatbuffer tables on the way (schema: tensorflow/lite/schema/schema.fbs, Model.buffers = field 4,
    Model.metadata = field 6) with every offset checked against the file.
    """
    if len(model) < 8 or model[4:8] != b"TFL3":
        raise ModelError("expected a .tflite file (identifier TFL3 at byte 4), got something else: convert the model")
    try:
        root = _offset(model, 0)
        metadata = _field(model, root, 6)
        if metadata is None:
            return None
        for entry in _tables(model, metadata):
            title = _field(model, entry, 0)
            if title is None or _u32(model, title) != len(name) or model[slice(*_span(model, title))] != name:
                continue
            index = _field(model, entry, 1, indirect=False)
            number = 0 if index is None else _u32(model, index)
            buffers = _field(model, root, 4)
            tables = [] if buffers is None else _tables(model, buffers)
            data = _field(model, tables[number], 0) if number < len(tables) else None
            if data is None:
                raise ModelError("the model file is damaged: its card points to an empty buffer; copy it again")
            return _span(model, data)
    except (struct.error, IndexError):
        raise ModelError(
            "the model file is damaged or truncated: an offset leads outside of it; copy it again"
        ) from None
    return None


def _first(error: pydantic.ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(map(str, problem["loc"])) or "text"
    return "".join(c if c.isprintable() else "?" for c in f"{where[:100]}: {problem['msg'][:200]}")


def _u32(model: bytes, at: int) -> int:
    value: int = struct.unpack_from("<I", model, at)[0]
    return value


def _offset(model: bytes, at: int) -> int:
    """Follow the relative offset that stands at `at`."""
    target = at + _u32(model, at)
    if target + 4 > len(model):
        raise IndexError(target)
    return target


def _field(model: bytes, table: int, number: int, *, indirect: bool = True) -> int | None:
    """Position of a table's field (of what it points to when `indirect`); None when absent."""
    vtable = table - struct.unpack_from("<i", model, table)[0]
    if vtable < 0:
        raise IndexError(vtable)
    size = struct.unpack_from("<H", model, vtable)[0]
    slot = 4 + 2 * number
    if slot + 2 > size:
        return None
    inside = struct.unpack_from("<H", model, vtable + slot)[0]
    if inside == 0:
        return None
    return _offset(model, table + inside) if indirect else table + inside


def _span(model: bytes, at: int) -> tuple[int, int]:
    """Bytes (start, end) of the vector or string at `at`."""
    end = at + 4 + _u32(model, at)
    if end > len(model):
        raise IndexError(end)
    return at + 4, end


def _tables(model: bytes, at: int) -> list[int]:
    count = _u32(model, at)
    if at + 4 + 4 * count > len(model):
        raise IndexError(count)
    return [_offset(model, at + 4 + 4 * i) for i in range(count)]
