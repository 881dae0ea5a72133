"""Changing a .tflite without touching its bytes: a new root table is put in front of the old file.

    [root offset]["TFL3"][new tables and vectors, padded to a multiple of 16][the old file, byte for byte]

Flatbuffer offsets are relative and point forwards, so the old file works wherever it lies and new tables can refer to
its parts; 16 is the strictest alignment in the schema (Buffer.data). Schema: tensorflow/lite/schema/schema.fbs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from edgebnn.errors import ModelError
from edgebnn.inspection.flatbuffer import IDENTIFIER, Table, root

ALIGNMENT = 16
TABLE = -1

MODEL_SUBGRAPHS, MODEL_BUFFERS, MODEL_METADATA, MODEL_SIGNATURES = 2, 4, 6, 7
MODEL_FIELDS = range(10)  # 0 version (uint32), the others are offsets
BUFFER_DATA, BUFFER_OFFSET = 0, 1


class Front:
    """What will stand in front of `model`. Tables first, then what they point to: offsets must point forwards."""

    def __init__(self, model: bytes) -> None:
        """ModelError when `model` is damaged or of a form that cannot stay as it is."""
        self.old = root(model)
        unknown = [number for number in self.old.fields() if number not in MODEL_FIELDS]
        if unknown:
            raise ModelError(
                f"the model has a root field {unknown[0]} that this edgebnn does not know: upgrade edgebnn"
            )
        for buffer in self.old.tables(MODEL_BUFFERS):
            if buffer.integer(BUFFER_OFFSET, form="<Q") > 1:
                raise ModelError("the model keeps its weights behind the flatbuffer (over 2 GB): expected them inside")
        self._model = model
        self._bytes = bytearray(8)
        self._links: list[tuple[int, int, bool]] = []  # slot, target, whether the target is in the old file

    def put_table(self, fields: dict[int, int | None]) -> dict[int, int]:
        """Append a table whose fields all take 4 bytes: a scalar, or None for an offset; slots by field number.

        The table itself stands at slots[TABLE].
        """
        count = max(fields, default=-1) + 1
        places = {number: 4 + 4 * i for i, number in enumerate(sorted(fields))}
        vtable = [4 + 2 * count, 4 + 4 * len(fields), *(places.get(number, 0) for number in range(count))]
        self._pad(4)
        start = len(self._bytes)
        self._bytes += struct.pack(f"<{len(vtable)}H", *vtable)
        self._pad(4)
        table = len(self._bytes)
        self._bytes += struct.pack("<i", table - start)
        for number in sorted(fields):
            self._bytes += struct.pack("<I", (fields[number] or 0) & 0xFFFFFFFF)
        return {number: table + place for number, place in places.items()} | {TABLE: table}

    def put_offsets(self, count: int) -> tuple[int, list[int]]:
        """Append a vector of `count` offsets: its position and the slots."""
        self._pad(4)
        at = len(self._bytes)
        self._bytes += struct.pack("<I", count) + bytes(4 * count)
        return at, [at + 4 + 4 * i for i in range(count)]

    def put_integers(self, values: Iterable[int]) -> int:
        """Append a vector of int32: its position."""
        values = list(values)
        self._pad(4)
        at = len(self._bytes)
        self._bytes += struct.pack(f"<I{len(values)}i", len(values), *values)
        return at

    def put_bytes(self, data: bytes) -> int:
        """Append a vector of bytes, its first element 16-byte aligned, with a 0 behind it (so a string too)."""
        self._bytes += bytes(-(len(self._bytes) + 4) % ALIGNMENT)
        at = len(self._bytes)
        self._bytes += struct.pack("<I", len(data)) + data + b"\0"
        return at

    def link(self, slot: int, target: int) -> None:
        """Let the offset at `slot` point to `target`, a position in front."""
        self._links.append((slot, target, False))

    def link_old(self, slot: int, target: int) -> None:
        """Let the offset at `slot` point to `target`, a position in the old file."""
        self._links.append((slot, target, True))

    def put_copy(
        self, table: Table, *, replaced: Iterable[int], dropped: Iterable[int] = (), scalars: Iterable[int] = ()
    ) -> dict[int, int]:
        """Append a table that shares the fields of an old one, but for `dropped` ones; `replaced` are to be linked.

        `scalars` names the fields that hold a 4-byte value instead of an offset. Slots by field number.
        """
        replaced, scalars = set(replaced), set(scalars)
        kept = [number for number in table.fields() if number not in replaced.union(dropped)]
        slots = self.put_table(
            {number: table.integer(number, form="<I") if number in scalars else None for number in kept}
            | dict.fromkeys(replaced)
        )
        for number in kept:
            target = None if number in scalars else table.target(number)
            if target is not None:
                self.link_old(slots[number], target)
        return slots

    def put_root(self, replaced: Iterable[int], *, dropped: Iterable[int] = ()) -> dict[int, int]:
        """Append the new Model table, as `put_copy`."""
        slots = self.put_copy(self.old, replaced=replaced, dropped=dropped, scalars=[0])
        struct.pack_into("<I4s", self._bytes, 0, slots[TABLE], IDENTIFIER)
        return slots

    def finish(self) -> bytes:
        """The new file."""
        self._pad(ALIGNMENT)
        for slot, target, is_old in self._links:
            distance = target - slot + (len(self._bytes) if is_old else 0)
            if distance <= 0:
                raise AssertionError(f"offset at {slot} points backwards")
            struct.pack_into("<I", self._bytes, slot, distance)
        return bytes(self._bytes) + self._model

    def _pad(self, alignment: int) -> None:
        self._bytes += bytes(-len(self._bytes) % alignment)
