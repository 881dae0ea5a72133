"""Settings of a service: typed models, secrets, and checks that name file, key and value.

    class CameraSettings(Settings):
        source: str = Field("picamera:0", max_length=500, description="Where frames come from.")
        min_score: Annotated[float, LIVE] = Field(0.6, ge=0, le=1, description="Lowest score that counts.")

    class FaceSettings(Settings):
        camera: CameraSettings = table(CameraSettings, description="The camera.")

Every field has a description; every number has both bounds, every string and list a longest length: a model
without them is refused when its class is made. Fields marked LIVE may change while the service runs (`live.py`);
`default_file.py` writes the commented file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from pydantic import Field, SecretStr

from edgebnn.config import check_config, read_toml
from edgebnn.errors import ConfigError
from edgebnn.service import log
from edgebnn.service.fields import LIVE, is_bounded, list_schema, secret_name, table_schema

__all__ = [
    "LIVE",
    "Field",
    "SecretStr",
    "Settings",
    "check_file",
    "check_settings",
    "load_settings",
    "secret",
    "secret_field",
    "table",
]

SECRET_KEY = re.compile(r"pass|token|secret|credential", re.IGNORECASE)


class Settings(pydantic.BaseModel):
    """One table of a configuration file: unknown keys are errors, values are bounded and never change."""

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, hide_input_in_errors=True
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """TypeError for a model whose fields are not described and bounded."""
        for name, field in cls.model_fields.items():
            if not field.description:
                raise TypeError(f"{cls.__name__}.{name} has no description")
            if not is_bounded(field):
                raise TypeError(
                    f"{cls.__name__}.{name} is not bounded: a number needs ge and le (or gt, lt), "
                    "a string or list max_length (or a pattern)"
                )


Schema = TypeVar("Schema", bound=Settings)


def table(schema: type[Settings], *, description: str) -> Any:
    """A field that is a table of its own, `[name]` in the file, with the defaults of `schema`."""
    return Field(default_factory=schema, description=description)


def load_settings(file: Path, schema: type[Schema]) -> Schema:
    """The settings in a TOML file; ConfigError names file, key and value (never the value of a secret)."""
    return check_settings(read_toml(file), schema, file=file)


def check_settings(raw: dict[str, Any], schema: type[Schema], *, file: Path) -> Schema:
    """`raw` as `schema`; ConfigError names file, key and value (never the value of a secret)."""
    _refuse_secrets(raw, schema, file=file)
    return check_config(raw, schema, file=file)


def check_file(file: Path, schema: type[Settings]) -> str:
    """What `--check-config` prints: one sentence when the file is good; else ConfigError (exit code 78)."""
    load_settings(file, schema)
    return f"{file} is a good configuration"


# Secrets


def secret(name: str, *, environ: Mapping[str, str] | None = None) -> SecretStr | None:
    """A secret by name: the file $CREDENTIALS_DIRECTORY/<name> of systemd, else $EDGEBNN_<NAME>, else None.

    Names are as in `web_token`. The line end is dropped; log lines mask the secret from now on. ConfigError when
    it cannot be read or is not 1 to 4096 characters of UTF-8.
    """
    environ = os.environ if environ is None else environ
    where = f"the environment variable EDGEBNN_{name.upper()}"
    value = environ.get(f"EDGEBNN_{name.upper()}")
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory and (file := Path(directory) / name).exists():
        where = str(file)
        try:
            value = file.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{where} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{where} must be UTF-8 text") from None
    if value is None:
        return None
    value = value.rstrip("\r\n")
    if not 0 < len(value) <= 4096:
        raise ConfigError(f"{where} must hold 1 to 4096 characters, got {len(value)}")
    log.mask(value)
    return SecretStr(value)


def secret_field(name: str, *, description: str) -> Any:
    """A field `SecretStr | None` that takes its value from `secret(name)`, never from the configuration file."""
    return Field(
        default_factory=lambda: secret(name), description=description, json_schema_extra={"secret": name}, repr=False
    )


def _refuse_secrets(raw: Mapping[str, Any], schema: type[pydantic.BaseModel], *, file: Path, at: str = "") -> None:
    for key, value in raw.items():
        field = schema.model_fields.get(key)
        if field is None:
            if SECRET_KEY.search(key):
                raise ConfigError(f"{file}: {at}{key}: there is no such key, and secrets do not belong into this file")
        elif name := secret_name(field):
            raise ConfigError(
                f"{file}: {at}{key}: secrets do not belong into this file: "
                f"put it into the systemd credential {name} or the environment variable EDGEBNN_{name.upper()}"
            )
        elif isinstance(value, dict) and (inner := table_schema(field)):
            _refuse_secrets(value, inner, file=file, at=f"{at}{key}.")
        elif isinstance(value, list) and (inner := list_schema(field)):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    _refuse_secrets(item, inner, file=file, at=f"{at}{key}.{index}.")
