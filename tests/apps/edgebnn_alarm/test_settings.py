"""The configuration: errors name file, key and value; the default file is the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgebnn_alarm.settings import Settings, default_file, load_settings

from edgebnn.errors import ConfigError


def test_the_default_file_is_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "alarm.toml"
    file.write_text(default_file())
    assert load_settings(file) == Settings()
    lines = default_file().splitlines()
    for i, line in enumerate(lines):
        if " = " in line and not line.startswith("#"):
            assert lines[i - 1].startswith("# "), f"{line} has no comment"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[sound]\noutputs = []", "sound.outputs = []: expected a list"),
        ('[sound]\noutputs = ["alsa"]', "sound.outputs = ['alsa']: expected a list"),
        ('[sound]\noutputs = ["beeper"]', "expected a list"),
        ("[sound]\nring_limit_min = 0", "sound.ring_limit_min = 0: expected an integer of 1 to 180"),
        ("[sound]\nring_limit_min = true", "ring_limit_min = True: expected an integer"),
        ('[time]\nzone = "Mars/Olympus"', "time.zone = 'Mars/Olympus': expected the name of a time zone"),
        ('[time]\nzone = "../../etc/passwd"', "time.zone"),
        ("[time]\nzone = 3", "time.zone = 3"),
        ("[time]\ngrace = 3", "time.grace = 3: there is no such key"),
        ("[tone]\na = 3", "there is no table [tone]; there are service, time"),
        ("sound = 3", "sound = 3: expected a table [sound]"),
        ('[service]\nsocket = "alarm.sock"', "service.socket = 'alarm.sock': expected an absolute path"),
        ('[button]\npress = "ignore"', 'button.press = \'ignore\': expected "stop" or "snooze"'),
        ("[button", "is not TOML"),
        ("\x00", "is not TOML"),
    ],
)
def test_errors_name_file_key_and_value(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "alarm.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    assert str(caught.value).startswith(str(file)) and says in str(caught.value)
    assert caught.value.exit_code == 78


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for file in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            load_settings(file)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_settings(tmp_path / "binary.toml")
