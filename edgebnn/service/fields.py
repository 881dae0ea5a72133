"""Questions about the fields of a settings model: live, secret or table, and what they may hold, in words and TOML."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from datetime import date, time
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union

import annotated_types
import pydantic
from pydantic import SecretStr
from pydantic.fields import FieldInfo


class Live:
    """Marks a field that may change while the service runs: `min_score: Annotated[float, LIVE]`."""

    def __repr__(self) -> str:
        """As it is written in a model."""
        return "LIVE"


LIVE = Live()


def secret_name(field: FieldInfo) -> str | None:
    """The name of the secret in a field made by `secret_field`; None for others."""
    extra = field.json_schema_extra
    name = extra.get("secret") if isinstance(extra, dict) else None
    return name if isinstance(name, str) else None


def is_live(field: FieldInfo) -> bool:
    """Whether a field is marked LIVE."""
    return any(isinstance(mark, Live) for mark in field.metadata)


def table_schema(field: FieldInfo) -> type[pydantic.BaseModel] | None:
    """The model of a field that is a table."""
    return next((kind for kind in alternatives(field.annotation) if _is_table(kind)), None)


def list_schema(field: FieldInfo) -> type[pydantic.BaseModel] | None:
    """The model of the items of a field that is a list of tables."""
    for kind in alternatives(field.annotation):
        if typing.get_origin(kind) in (list, tuple):
            return next((item for item in typing.get_args(kind) if _is_table(item)), None)
    return None


def is_bounded(field: FieldInfo) -> bool:
    """Whether the values of a field are bounded: both ends of a number, the length of a text or list."""
    marks = list(marks_of(field))
    least = any(isinstance(mark, (annotated_types.Ge, annotated_types.Gt)) for mark in marks)
    most = any(isinstance(mark, (annotated_types.Le, annotated_types.Lt)) for mark in marks)
    longest = any(isinstance(mark, annotated_types.MaxLen) or getattr(mark, "pattern", None) for mark in marks)
    for kind in alternatives(field.annotation):
        origin = typing.get_origin(kind) or kind
        if isinstance(kind, type) and issubclass(kind, (bool, Enum, pydantic.BaseModel, SecretStr, Path, date, time)):
            continue
        if kind is type(None) or origin is Literal:
            continue
        if origin in (int, float) and least and most:
            continue
        if origin in (str, list, dict, set, frozenset) and longest:
            continue
        if origin is tuple and (longest or Ellipsis not in typing.get_args(kind)):
            continue
        return False
    return True


def marks_of(field: FieldInfo) -> Iterator[Any]:
    """The constraints of a field one by one, those inside a union (`Annotated[float, Field(ge=0)] | None`) included."""
    waiting: list[Any] = [*field.metadata]
    parts = [field.annotation]
    while parts:
        part = parts.pop()
        if typing.get_origin(part) in (Union, types.UnionType):
            parts += typing.get_args(part)
        elif typing.get_origin(part) is typing.Annotated:
            inner, *marks = typing.get_args(part)
            parts.append(inner)
            waiting += marks
    for mark in waiting:
        if isinstance(mark, FieldInfo):
            yield from mark.metadata
        elif isinstance(mark, annotated_types.GroupedMetadata):
            yield from mark
        else:
            yield mark


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, without `Annotated` around them; else the type alone."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for kind in typing.get_args(annotation) for inner in alternatives(kind))
    if typing.get_origin(annotation) is typing.Annotated:
        return alternatives(typing.get_args(annotation)[0])
    return (annotation,)


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def bounds(field: FieldInfo) -> str:
    """What a field may hold, in words: `from 0 to 1`, `one of a, b`, `at most 80 characters`; may be empty."""
    least = most = longest = None
    for mark in marks_of(field):
        if isinstance(mark, annotated_types.Ge):
            least = f"from {mark.ge}"
        elif isinstance(mark, annotated_types.Gt):
            least = f"above {mark.gt}"
        elif isinstance(mark, annotated_types.Le):
            most = f"to {mark.le}"
        elif isinstance(mark, annotated_types.Lt):
            most = f"below {mark.lt}"
        elif isinstance(mark, annotated_types.MaxLen):
            longest = mark.max_length
    parts: list[str] = []
    if least or most:
        between = " " if (least or "").startswith("from") and (most or "").startswith("to") else ", "
        parts.append(between.join(part for part in (least, most) if part))
    for kind in alternatives(field.annotation):
        if typing.get_origin(kind) is Literal:
            parts.append("one of " + ", ".join(toml(choice) for choice in typing.get_args(kind)))
        elif isinstance(kind, type) and issubclass(kind, Enum):
            parts.append("one of " + ", ".join(toml(choice) for choice in kind))
    if longest is not None:
        text = any(kind is str for kind in alternatives(field.annotation))
        parts.append(f"at most {longest} {'characters' if text else 'items'}")
    return ", ".join(parts)


def toml(value: Any) -> str:
    """A value as TOML text."""
    if isinstance(value, Enum):
        return toml(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, Path)):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (date, time)):  # datetime is a date
        return value.isoformat()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ", ".join(map(toml, value)) + "]"
    raise TypeError(f"expected a value that TOML knows, got {type(value).__name__}")
