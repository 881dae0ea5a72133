"""Reading flatbuffer tables out of untrusted bytes: every offset is checked, every failure is a ModelError.

A table starts with a signed 32-bit distance back to its vtable (uint16: vtable size, table size, then one offset per
field, 0 = absent); strings, vectors and sub-tables are reached through unsigned 32-bit forward offsets.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from edgebnn.errors import ModelError

IDENTIFIER = b"TFL3"
MAX_WORK = 1_000_000  # tables, vector elements and bytes read: bounds what a hostile file can cause

_DAMAGED = "the model file is damaged or truncated: {}; copy it again"


class Table:
    """A table at byte `at` of `data`; field numbers are those of the schema."""

    def __init__(self, data: memoryview, at: int, budget: list[int]) -> None:
        """Read the vtable; `budget` is the work that is still allowed."""
        self.data, self.at, self._budget = data, at, budget
        self._spend(1)
        vtable = at - _read("<i", data, at)
        size, self._length = _read("<H", data, vtable), _read("<H", data, vtable + 2)
        if size < 4 or size % 2 or at + self._length > len(data):
            raise ModelError(_DAMAGED.format(f"the table at byte {at} has no valid vtable"))
        self._offsets = struct.unpack_from(f"<{size // 2 - 2}H", _slice(data, vtable + 4, size - 4))

    def fields(self) -> list[int]:
        """Numbers of the fields that are present."""
        return [number for number, offset in enumerate(self._offsets) if offset]

    def position(self, number: int) -> int | None:
        """Byte position of a field's inline value, None when absent."""
        offset = self._offsets[number] if number < len(self._offsets) else 0
        if not offset:
            return None
        if offset >= self._length:
            raise ModelError(_DAMAGED.format(f"field {number} lies outside of the table at byte {self.at}"))
        return self.at + offset

    def target(self, number: int) -> int | None:
        """Byte position of what a field points to, None when absent."""
        position = self.position(number)
        return None if position is None else _follow(self.data, position)

    def integer(self, number: int, default: int = 0, *, form: str = "<i") -> int:
        """A scalar integer or bool field (struct format `form`)."""
        position = self.position(number)
        return default if position is None else _read(form, self.data, position)

    def view(self, number: int) -> memoryview | None:
        """The bytes of a [ubyte] vector or string where they lie, None when absent."""
        target = self.target(number)
        return None if target is None else _slice(self.data, target + 4, _read("<I", self.data, target))

    def raw(self, number: int) -> bytes | None:
        """A copy of the bytes of a [ubyte] vector or string, None when absent."""
        view = self.view(number)
        if view is None:
            return None
        self._spend(len(view) // 64)
        return bytes(view)

    def text(self, number: int) -> str:
        """A string, "" when absent; bytes that are no UTF-8 are replaced."""
        target = self.target(number)
        if target is None:
            return ""
        length = _read("<I", self.data, target)
        self._spend(length // 64)
        view = _slice(self.data, target + 4, length + 1)
        if view[-1] != 0:
            raise ModelError(_DAMAGED.format(f"the string at byte {target} has no end"))
        return str(view[:-1], "utf-8", "replace")

    def numbers(self, number: int, dtype: str) -> npt.NDArray[np.generic]:
        """A vector of scalars ((n,) of little-endian `dtype`), empty when absent."""
        target = self.target(number)
        if target is None:
            return np.zeros(0, dtype)
        count = _read("<I", self.data, target)
        self._spend(count // 8)
        return np.frombuffer(_slice(self.data, target + 4, count * np.dtype(dtype).itemsize), dtype)

    def table(self, number: int) -> Table | None:
        """A sub-table (or the table of a union), None when absent."""
        target = self.target(number)
        return None if target is None else Table(self.data, target, self._budget)

    def targets(self, number: int) -> list[int]:
        """Byte positions of the elements of a vector of offsets, empty when absent."""
        target = self.target(number)
        if target is None:
            return []
        count = _read("<I", self.data, target)
        _slice(self.data, target + 4, 4 * count)
        self._spend(count)
        return [_follow(self.data, target + 4 + 4 * i) for i in range(count)]

    def tables(self, number: int) -> list[Table]:
        """The elements of a vector of tables, empty when absent."""
        return [Table(self.data, target, self._budget) for target in self.targets(number)]

    def _spend(self, work: int) -> None:
        self._budget[0] -= work
        if self._budget[0] < 0:
            raise ModelError("the model file is damaged: its tables refer to each other too often; copy it again")


def root(model: bytes) -> Table:
    """The Model table of a .tflite; ModelError when the bytes are something else."""
    if len(model) < 8 or model[4:8] != IDENTIFIER:
        raise ModelError("expected a .tflite file (identifier TFL3 at byte 4), got something else: convert the model")
    data = memoryview(model)
    return Table(data, _follow(data, 0), [MAX_WORK])


def _read(form: str, data: memoryview, at: int) -> int:
    if at < 0 or at + struct.calcsize(form) > len(data):
        raise ModelError(_DAMAGED.format(f"an offset leads to byte {at} of {len(data)}"))
    value: int = struct.unpack_from(form, data, at)[0]
    return value


def _follow(data: memoryview, at: int) -> int:
    target = at + _read("<I", data, at)
    if target + 4 > len(data):
        raise ModelError(_DAMAGED.format(f"an offset leads to byte {target} of {len(data)}"))
    return target


def _slice(data: memoryview, at: int, length: int) -> memoryview:
    if at < 0 or at + length > len(data):
        raise ModelError(_DAMAGED.format(f"{length} bytes at byte {at} do not fit into {len(data)}"))
    return data[at : at + length]
