"""Settings that change while a service runs: checked like the file, kept in a state file over it."""

from __future__ import annotations

import copy
import json
import logging
import threading
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal

import pydantic
import pydantic_core

from edgebnn.config import check_config, read_toml
from edgebnn.errors import ConfigError
from edgebnn.service.fields import alternatives, bounds, is_live, marks_of, table_schema
from edgebnn.service.settings import Schema, Settings, check_settings
from edgebnn.service.state import write_state

logger = logging.getLogger("edgebnn.settings")


@dataclass(frozen=True)
class LiveField:
    """One setting that may change, as a page shows it.

    key: as in `camera.min_score`. value: now. default: what the configuration file says.
    kind: bool, int, float, choice or text. choices: of a choice. least, most: of a number, None where open.
    """

    key: str
    value: Any
    default: Any
    kind: Literal["bool", "int", "float", "choice", "text"]
    description: str
    bounds: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


class LiveSettings(Generic[Schema]):
    """The settings of a configuration file, with the changes that a page made kept in `state` (JSON).

    Only fields marked LIVE change. A state file that is damaged, or a change in it that is no longer valid, is
    dropped with a warning: the configuration file alone decides then. All methods may be called from any thread.
    ConfigError as from `load_settings`.
    """

    def __init__(self, file: Path, schema: type[Schema], *, state: Path) -> None:
        """Reads both files."""
        self._file = file
        self._schema = schema
        self._state = state
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Schema], None]] = []
        self._raw = read_toml(file)
        self._base = check_settings(self._raw, schema, file=file)
        self._changes: dict[str, Any] = {}
        self.current: Schema = self._base
        """The settings now: an immutable model, replaced as a whole by `change`."""
        self.unsaved = ""
        """Why the last change could not be saved, so that it ends with the service; empty when it was."""
        self._load()

    def change(self, values: Mapping[str, Any]) -> Schema:
        """Set `{"camera.min_score": 0.5, ...}`, all or nothing; text from a form is converted.

        ConfigError names the key and value that is not allowed. When the state file cannot be written (disk
        full, read-only) the change holds until the service ends, and `unsaved` says why.
        """
        with self._lock:
            changes = {**self._changes, **values}
            new = self._apply(changes)
            self._changes = {key: pydantic_core.to_jsonable_python(_get(new, key)) for key in changes}
            self.current = new
            self._save()
        self._tell(new)
        return new

    def reset(self) -> Schema:
        """Back to the configuration file."""
        with self._lock:
            self._changes = {}
            self.current = new = self._base
            self._save()
        self._tell(new)
        return new

    def on_change(self, listener: Callable[[Schema], None]) -> None:
        """`listener(settings)` is called after each change, in the thread that makes it."""
        self._listeners.append(listener)

    def fields(self) -> list[LiveField]:
        """The settings that may change, in the order of the models."""
        return list(_fields(self._schema, self.current, self._base, at=""))

    def _apply(self, changes: Mapping[str, Any]) -> Schema:
        raw = copy.deepcopy(self._raw)
        for key, value in changes.items():
            schema: type[pydantic.BaseModel] | None = self._schema
            *tables, name = key.split(".")
            place = raw
            for part in tables:
                field = schema.model_fields.get(part) if schema else None
                schema = table_schema(field) if field else None
                if schema:
                    place = place.setdefault(part, {})
            field = schema.model_fields.get(name) if schema else None
            if field is None or not is_live(field):
                raise ConfigError(f"{key} = {value!r}: there is no such setting that can change while the service runs")
            place[name] = value
        return check_config(raw, self._schema, file=None)

    def _load(self) -> None:
        try:
            changes = json.loads(self._state.read_text(encoding="utf-8"))
            if not isinstance(changes, dict):
                raise ValueError("not a JSON object")
        except FileNotFoundError:
            return
        except (OSError, ValueError, RecursionError) as error:
            logger.warning("%s is ignored, settings are those of %s: %s", self._state, self._file, error)
            return
        for key, value in changes.items():
            try:
                self.current = self._apply({**self._changes, key: value})
            except ConfigError as error:
                logger.warning("%s: a change made earlier is dropped: %s", self._state, error)
            else:
                self._changes[key] = value

    def _save(self) -> None:
        try:
            write_state(self._state, json.dumps(self._changes, indent=1, sort_keys=True).encode() + b"\n")
            self.unsaved = ""
        except OSError as error:
            self.unsaved = f"{self._state} cannot be written ({error.strerror}): the change ends with the service"
            logger.warning("%s", self.unsaved)

    def _tell(self, new: Schema) -> None:
        for listener in self._listeners:
            listener(new)


def _get(settings: Settings, key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _fields(
    schema: type[pydantic.BaseModel], now: pydantic.BaseModel, base: pydantic.BaseModel, *, at: str
) -> Iterator[LiveField]:
    for name, field in schema.model_fields.items():
        if inner := table_schema(field):
            yield from _fields(inner, getattr(now, name), getattr(base, name), at=f"{at}{name}.")
        elif is_live(field):
            least = most = None
            for mark in marks_of(field):
                least = getattr(mark, "ge", getattr(mark, "gt", least))
                most = getattr(mark, "le", getattr(mark, "lt", most))
            kinds = [kind for kind in alternatives(field.annotation) if kind is not type(None)]
            literal = next((kind for kind in kinds if typing.get_origin(kind) is Literal), None)
            kind: Literal["bool", "int", "float", "choice", "text"] = "text"
            if literal is not None:
                kind = "choice"
            elif kinds in ([bool], [int], [float]):
                kind = {bool: "bool", int: "int", float: "float"}[kinds[0]]  # type: ignore[assignment]
            yield LiveField(
                key=f"{at}{name}",
                value=getattr(now, name),
                default=getattr(base, name),
                kind=kind,
                description=field.description or "",
                bounds=bounds(field),
                choices=tuple(map(str, typing.get_args(literal))) if literal is not None else (),
                least=least,
                most=most,
            )
