from __future__ import annotations

import re
from datetime import time
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebnn.config import read_toml
from edgebnn.errors import ConfigError
from edgebnn.service.default_file import default_file
from edgebnn.service.fields import toml
from edgebnn.service.mqtt import MqttSettings
from edgebnn.service.settings import LIVE, Field, SecretStr, Settings, load_settings, secret_field, table
from edgebnn.service.web_settings import WebSettings


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Zone(Settings):
    name: str = Field("door", max_length=20, description="Its name.")


class Inner(Settings):
    zones: tuple[Zone, ...] = Field((), max_length=4, description="Zones.")
    level: float = Field(1e-5, ge=0, le=1, description="A level.")


class Everything(Settings):
    number: Annotated[int, LIVE] = Field(3, ge=-5, lt=10, description="A number")
    text: str = Field('quo"te\\ \x7f é\n', max_length=80, description="A text.")
    flag: bool = Field(True, description="A flag.")
    colour: Colour = Field(Colour.RED, description="A colour.")
    mode: Literal["day", "night"] = Field("day", description="A mode.")
    folder: Path = Field(Path("/var/lib"), description="A folder. " + 20 * "Long text. ")
    at: time = Field(time(7, 30), description="A time.")
    pair: tuple[float, ...] = Field((0.5, 1.0), max_length=2, description="A pair.")
    nothing: float | None = Field(None, gt=0, le=1, description="Not there.", examples=[0.5])
    token: SecretStr | None = secret_field("some_token", description="A token.")
    inner: Inner = table(Inner, description="A table.")
    web: WebSettings = table(WebSettings, description="The page.")
    mqtt: MqttSettings = table(MqttSettings, description="The broker.")


class Required(Settings):
    name: str = Field(max_length=20, description="A name.")


def test_the_file_parses_to_the_defaults_also_uncommented(tmp_path: Path) -> None:
    file = tmp_path / "default.toml"
    text = default_file(Everything, title="All of it")
    file.write_text(text)
    assert load_settings(file, Everything) == Everything()
    uncommented = re.sub(r"^#(?=[a-z])", "", text, flags=re.M)
    assert uncommented != text
    file.write_text(uncommented)
    assert load_settings(file, Everything) == Everything()
    values = read_toml(file)
    assert values["inner"]["level"] == 1e-5 and values["web"]["port"] == 8080  # not by default: they stand there


def test_every_key_stands_there_with_description_and_bounds() -> None:
    text = default_file(Everything, title="All of it")
    joined = re.sub(r"\n# ", " ", text)
    for name, field in Everything.model_fields.items():
        assert re.search(rf"^(# ?|\[)?{name}\b", text, flags=re.M), name
        assert (field.description or "").strip().rstrip(".") in joined, name
    assert "# A number. From -5, below 10. Can be changed while the service runs.\n#number = 3\n" in text
    assert '# A colour. One of "red", "green".\n#colour = "red"\n' in text
    assert "# Not there. Above 0, to 1. Not set by default. Example:\n# nothing = 0.5\n" in text
    assert "#  [[inner.zones]]\n#  # Its name." in text and "at most 4 items" in text
    assert "systemd credential some_token or EDGEBNN_SOME_TOKEN" in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_required_key_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "default.toml"
    file.write_text(default_file(Required, title="Required"))
    with pytest.raises(ConfigError, match=r"default\.toml is not TOML"):
        load_settings(file, Required)
    file.write_text(file.read_text().replace("name =", 'name = "me"'))
    assert load_settings(file, Required).name == "me"


@given(st.text(max_size=50))
def test_any_text_is_toml(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "text.toml"
    try:
        encoded = f"a = {toml(text)}".encode()
    except UnicodeEncodeError:  # a lone surrogate is no text
        return
    file.write_bytes(encoded)
    assert read_toml(file) == {"a": text}


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**63 - 1))
def test_any_number_is_toml(tmp_path_factory: pytest.TempPathFactory, real: float, whole: int) -> None:
    file = tmp_path_factory.getbasetemp() / "number.toml"
    file.write_text(f"a = {toml({'b c': [real, whole]})}")
    assert read_toml(file) == {"a": {"b c": [real, whole]}}


def test_what_toml_does_not_know() -> None:
    with pytest.raises(TypeError, match="expected a value that TOML knows, got bytes"):
        toml(b"")
