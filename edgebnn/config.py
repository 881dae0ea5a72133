"""Typed configuration from TOML files: an error names the file, the key and the value."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from edgebnn.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Schema = TypeVar("Schema", bound=pydantic.BaseModel)


def masked(text: str) -> str:
    """`text` with the passwords of URLs replaced, as it may be printed."""
    text = re.sub(r"(?<=://)([^/?#\s]*|[^\s]*:[^\s]*)@", "***@", text)  # the second: an unescaped / in a password
    return re.sub(r"(?i)([?&][^=&#\s]*(?:pass|pwd|token|secret|key|auth|sig)[^=&#\s]*=)[^&#\s]*", r"\1***", text)


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of a TOML file; ConfigError when it cannot be read or is no TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from None


SENTENCES = {
    "extra_forbidden": "there is no such key, check its name",
    "model_type": "expected a table",
    "tuple_type": "expected a list",
}
LONGEST = 100  # characters of a value in a message


def check_config(raw: dict[str, Any], schema: type[Schema], *, file: Path | None) -> Schema:
    """`raw` as `schema`; ConfigError names the file, if it is from one, the first wrong key and its value."""
    try:
        return schema.model_validate(raw)
    except pydantic.ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(map(str, problem["loc"])) or "(the whole file)"
        where = f"{file}: {key}" if file else key
        if problem["type"] == "missing":
            raise ConfigError(f"{where} is missing: give it a value") from None
        sentence = SENTENCES.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
        if isinstance(problem["input"], pydantic.SecretStr):
            raise ConfigError(f"{where}: {sentence}") from None
        value = masked(repr(problem["input"]))
        value = value if len(value) <= LONGEST else f"{value[:LONGEST]}..."
        raise ConfigError(f"{where} = {value}: {sentence}") from None
