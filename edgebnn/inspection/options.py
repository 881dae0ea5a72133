"""Options of operators.

Custom ones (LCE's) are a flexbuffer map from names to integers (google/flatbuffers flexbuffers.h): the last byte is the
root's width, the one before its type (9 = map). A map is a vector of values, their type bytes behind it; in front of it
stand the offset of the keys' vector, that vector's width, and the count. Offsets point back.
"""

from __future__ import annotations

from edgebnn.errors import ModelError
from edgebnn.inspection.flatbuffer import Table

# Number of the field fused_activation_function in the options table (tensorflow/lite/schema/schema.fbs).
_FUSED_ACTIVATION = {
    "ADD": 0,
    "CONCATENATION": 1,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "DIV": 0,
    "FULLY_CONNECTED": 0,
    "MUL": 0,
    "SUB": 0,
    "AVERAGE_POOL_2D": 5,
    "MAX_POOL_2D": 5,
}
_MAP, _INT, _UINT, _BOOL = 9, 1, 2, 26
_WIDTHS = (1, 2, 4, 8)


def fused_activation(operator: str, options: Table | None) -> int:
    """0 none, 1 RELU, 2 RELU_N1_TO_1, 3 RELU6, higher numbers as in the schema; of builtin operators."""
    field = _FUSED_ACTIVATION.get(operator)
    return 0 if field is None or options is None else options.integer(field, form="<b")


def parse_options(data: bytes) -> dict[str, int]:
    """Name to value; {} for no bytes; ModelError when the bytes are anything but a map of integers."""
    if not data:
        return {}
    if len(data) < 3 or data[-1] not in _WIDTHS or data[-2] >> 2 != _MAP:
        raise ModelError("the custom options of an operator are damaged: expected a flexbuffer map")
    width = 1 << (data[-2] & 3)
    at = _back(data, len(data) - 2 - data[-1], data[-1])
    count = _unsigned(data, at - width, width)
    keys = _back(data, at - 3 * width, width)
    key_width = _unsigned(data, at - 2 * width, width)
    if key_width not in _WIDTHS or count * (width + 1) > len(data):
        raise ModelError("the custom options of an operator are damaged: their map does not fit")
    options = {}
    for i in range(count):
        key = _back(data, keys + i * key_width, key_width)
        end = data.find(b"\0", key)
        kind = _unsigned(data, at + count * width + i, 1) >> 2
        if end < 0 or kind not in (_INT, _UINT, _BOOL):
            raise ModelError("the custom options of an operator are damaged: expected names with integer values")
        value = _unsigned(data, at + i * width, width)
        if kind == _INT and value >> (8 * width - 1):
            value -= 1 << 8 * width
        options[data[key:end].decode("ascii", "replace")] = value
    return options


def _unsigned(data: bytes, at: int, width: int) -> int:
    if at < 0 or at + width > len(data):
        raise ModelError("the custom options of an operator are damaged: an offset leads outside of them")
    return int.from_bytes(data[at : at + width], "little")


def _back(data: bytes, at: int, width: int) -> int:
    """What the backward offset at `at` points to."""
    return at - _unsigned(data, at, width)
