from __future__ import annotations

import logging
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import annotated_types
import pytest

from edgebnn.errors import ConfigError
from edgebnn.service.log import masked
from edgebnn.service.settings import (
    LIVE,
    Field,
    SecretStr,
    Settings,
    check_file,
    load_settings,
    secret,
    secret_field,
    table,
)


class Zone(Settings):
    name: str = Field(max_length=20, description="Its name.")
    password: SecretStr | None = secret_field("zone_password", description="Its password.")


class Camera(Settings):
    source: str = Field("picamera:0", max_length=100, description="Where frames come from.")
    fps: Annotated[float, LIVE] = Field(10.0, gt=0, le=60, description="Frames per second.")
    mode: Literal["day", "night"] = Field("day", description="The mode.")


class Service(Settings):
    camera: Camera = table(Camera, description="The camera.")
    zones: tuple[Zone, ...] = Field((), max_length=3, description="Zones.")
    token: SecretStr | None = secret_field("test_token", description="The token.")


def load(tmp_path: Path, text: str) -> Service:
    file = tmp_path / "service.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, Service)


def test_defaults_and_values(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Service()
    settings = load(tmp_path, '[camera]\nfps = 5\n[[zones]]\nname = "door"\n')
    assert settings.camera.fps == 5.0 and settings.zones[0].name == "door"
    assert check_file(tmp_path / "service.toml", Service).endswith("service.toml is a good configuration")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[camera]\nfps = 0", "service.toml: camera.fps = 0: Input should be greater than 0"),
        ("[camera]\nfps = 61", "service.toml: camera.fps = 61: "),
        ("[camera]\nfps = nan", "service.toml: camera.fps = nan: "),
        ("[camera]\nfpss = 5", "service.toml: camera.fpss = 5: there is no such key, check its name"),
        ('[camera]\nmode = "dusk"', "camera.mode = 'dusk': Input should be 'day' or 'night'"),
        ("camera = 3", "camera = 3: "),
        ("[[zones]]", "zones.0.name is missing"),
        ("[camera", "service.toml is not TOML"),
        ("camera.source = 'a\xff'", None),
    ],
)
def test_errors_name_file_key_and_value(tmp_path: Path, text: str, message: str | None) -> None:
    if message is None:
        assert load(tmp_path, text).camera.source == "a\xff"
        return
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value) and caught.value.exit_code == 78


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file"):
        load_settings(tmp_path / "none.toml", Service)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bytes\.toml is not TOML"):
        load_settings(tmp_path / "bytes.toml", Service)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Service().camera.fps = 3  # type: ignore[misc]


class Colour(Enum):
    RED = "red"


BOUNDED: list[tuple[Any, dict[str, Any]]] = [
    (int, {"ge": 0, "le": 1}),
    (float | None, {"gt": 0, "lt": 1}),
    (str, {"max_length": 3}),
    (str, {"pattern": "^a$"}),
    (bool, {}),
    (Path, {}),
    (Colour, {}),
    (Literal["a", "b"], {}),
    (tuple[int, int], {}),
    (tuple[int, ...], {"max_length": 2}),
    (dict[str, int], {"max_length": 2}),
    (Annotated[float, Field(ge=0, le=1)] | None, {}),
    (Annotated[int, annotated_types.Interval(ge=0, le=1)], {}),
]
UNBOUNDED: list[tuple[Any, dict[str, Any]]] = [
    (int, {}),
    (int, {"ge": 0}),
    (float | None, {"le": 0}),
    (str, {}),
    (str | None, {"min_length": 1}),
    (list[int], {}),
    (tuple[int, ...], {}),
    (dict[str, int], {}),
    (bytes, {}),
    (Any, {}),
]


@pytest.mark.parametrize(("kind", "limits"), BOUNDED)
def test_bounded_fields_are_taken(kind: Any, limits: dict[str, Any]) -> None:
    made = type("Made", (Settings,), {"__annotations__": {"field": kind}, "field": Field(description="d", **limits)})
    assert "field" in made.model_fields  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "limits"), UNBOUNDED)
def test_fields_without_bounds_are_refused(kind: Any, limits: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"Made\.field is not bounded"):
        type("Made", (Settings,), {"__annotations__": {"field": kind}, "field": Field(description="d", **limits)})


def test_fields_without_description_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Made\.field has no description"):
        type("Made", (Settings,), {"__annotations__": {"field": bool}, "field": True})


# Secrets


def test_a_secret_comes_from_systemd_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "test_token").write_text("from systemd\n")
    environ = {"EDGEBNN_TEST_TOKEN": "from the environment", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    found = secret("test_token", environ=environ)
    assert found is not None and found.get_secret_value() == "from systemd"
    del environ["CREDENTIALS_DIRECTORY"]
    found = secret("test_token", environ=environ)
    assert found is not None and found.get_secret_value() == "from the environment"
    assert secret("test_token", environ={}) is None
    assert secret("test_token", environ={"CREDENTIALS_DIRECTORY": "/nowhere"}) is None


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", 5000 * b"a"])
def test_a_secret_that_cannot_be_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test_token").write_bytes(content)
    with pytest.raises(ConfigError, match="test_token must"):
        secret("test_token", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_secret_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "test_token").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        secret("test_token", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_secrets_are_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("EDGEBNN_TEST_TOKEN", "open sesame")
    settings = load(tmp_path, "")
    assert settings.token is not None and settings.token.get_secret_value() == "open sesame"
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {settings.token!r}"
    assert "sesame" not in shown
    assert masked("the token open sesame") == "the token ***"
    with caplog.at_level(logging.DEBUG):
        load(tmp_path, "")
    assert "sesame" not in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        'token = "open sesame"',
        'tokn_secret = "open sesame"',
        '[camera]\npassword = "open sesame"',
        '[[zones]]\nname = "a"\npassword = "open sesame"',
        '[camera.password]\na = "open sesame"',
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"service\.toml: .*secrets do not belong into this file") as caught:
        load(tmp_path, text)
    assert "sesame" not in str(caught.value)


def test_a_secret_of_code_is_taken() -> None:
    assert Service(token=SecretStr("by a test")).token == SecretStr("by a test")
