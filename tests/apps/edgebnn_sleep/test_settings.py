"""The configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import typer
from edgebnn_sleep.cli import app
from edgebnn_sleep.settings import ClockSettings, SleepSettings

from edgebnn.errors import ConfigError
from edgebnn.evaluation.sleep.rules import DEFAULT_RULE, RULES
from edgebnn.service.default_file import default_file
from edgebnn.service.settings import load_settings


def test_the_default_file_holds_the_defaults(tmp_path):
    file = tmp_path / "sleep.toml"
    file.write_text(default_file(SleepSettings, title="x"))
    assert load_settings(file, SleepSettings) == SleepSettings()


def test_without_a_camera(tmp_path):
    file = tmp_path / "sleep.toml"
    file.write_text('[camera]\nsource = ""')
    assert load_settings(file, SleepSettings).camera.source == ""


def test_a_whole_file(tmp_path):
    file = tmp_path / "sleep.toml"
    file.write_text(
        'zone = "Europe/Berlin"\n[camera]\nsource = "v4l2:/dev/video0"\nbed = [0.1, 0.2, 0.5, 0.6]\n'
        '[environment]\ndevices = {temperature_c = "bme280"}\n[clock]\nrule = "network"\n'
    )
    settings = load_settings(file, SleepSettings)
    assert settings.camera.bed == (0.1, 0.2, 0.5, 0.6)
    assert settings.environment.devices == {"temperature_c": "bme280"}
    assert settings.clock.socket == Path("/run/edgebnn/alarm.sock")


def test_everything_has_the_rules_and_their_default():
    rule = ClockSettings.model_fields["rule"]
    assert set(get_args(rule.annotation)) == set(RULES) and rule.default == DEFAULT_RULE
    for command in ("replay", "simulate"):
        options = typer.main.get_command(app).commands[command].params
        assert [option.default for option in options if option.name == "rule"] == [DEFAULT_RULE]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('zone = "Berlin"', "zone"),
        ("[camera]\nbed = [0.5, 0.0, 0.6, 1.0]", "camera"),
        ("[camera]\nbed = [0.5, 0.0]", "camera.bed"),
        ("[camera]\nfps = 0", "camera.fps"),
        ('[camera]\nsource = "v4l2:bedroom"', "camera.source = 'v4l2:bedroom': expected v4l2:N"),
        ('[camera]\nsource = "/no/film.mp4"', "camera.source"),
        ('[clock]\nrule = "best"', "clock.rule"),
        ('[environment]\ndevices = {noise = "x"}', "environment.devices"),
        ('[sunrise]\ntopic = "lamp/#"', "sunrise.topic"),
        ("[store]\nkeep_days = 0", "store.keep_days"),
        ("[strore]\n", "strore"),
        ('[mqtt]\npassword = "x"', "mqtt.password"),
    ],
)
def test_an_error_names_the_key(tmp_path, text, key):
    file = tmp_path / "sleep.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
        load_settings(file, SleepSettings)
