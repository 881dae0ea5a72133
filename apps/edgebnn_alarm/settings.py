"""`/etc/edgebnn/alarm.toml`: a dataclass per table, each field with bounds and a sentence; standard library only."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from edgebnn.errors import ConfigError
from edgebnn_alarm.clock import find_zone
from edgebnn_alarm.outputs import KINDS
from edgebnn_alarm.planner import Rules

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DEFAULT_FILE = Path("/etc/edgebnn/alarm.toml")
Check = Callable[[Any], str | None]
"""What was expected, when the value is wrong; else None."""


def _setting(default: Any, doc: str, check: Check) -> Any:
    metadata = {"doc": doc, "check": check}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def _integer(low: int, high: int) -> Check:
    def check(value: Any) -> str | None:
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if good else f"an integer of {low} to {high}"

    return check


def _absolute(value: Any) -> str | None:
    return None if isinstance(value, str) and value.startswith("/") and "\0" not in value else "an absolute path"


def _absolute_or_empty(value: Any) -> str | None:
    return None if value == "" else _absolute(value) and 'an absolute path or ""'


def _zone(value: Any) -> str | None:
    if value == "":
        return None
    try:
        find_zone(value)
    except (ConfigError, TypeError):
        return 'the name of a time zone like "Europe/Berlin" or ""'
    return None


def _one_of(*names: str) -> Check:
    return lambda value: None if value in names else " or ".join(f'"{name}"' for name in names)


def _outputs(value: Any) -> str | None:
    def good(spec: Any) -> bool:
        if not isinstance(spec, str):
            return False
        kind, _, device = spec.partition(":")
        return kind in KINDS and (kind in ("sounddevice", "aplay") or device.startswith("/"))

    if isinstance(value, list) and 1 <= len(value) <= 10 and all(map(good, value)):
        return None
    return 'a list of "sounddevice", "aplay", "aplay:DEVICE", "beeper:/dev/input/...", "file:/..."'


@dataclass(frozen=True)
class Service:
    """Where the clock keeps its things."""

    state_dir: str = _setting("/var/lib/edgebnn/alarm", "database and last good copy", _absolute)
    socket: str = _setting("/run/edgebnn/alarm.sock", "the only way in; mode 0660", _absolute)


@dataclass(frozen=True)
class Time:
    """Time and zone."""

    zone: str = _setting("", 'time zone like "Europe/Berlin"; "" is the machine\'s, /etc/localtime', _zone)
    grace_min: int = _setting(
        30, "an alarm that could not ring at its deadline rings at once for so long, then is reported", _integer(1, 180)
    )


@dataclass(frozen=True)
class SoundSettings:
    """Where sound goes."""

    outputs: list[str] = _setting(  # noqa: RUF009, it is a field
        ["sounddevice", "aplay"],
        'tried in this order until one works, again and again: "sounddevice", "sounddevice:DEVICE", "aplay", '
        '"aplay:DEVICE" (`aplay -L` lists them), "beeper:/dev/input/event3" (a pwm-beeper), "file:/PATH" (raw PCM)',
        _outputs,
    )
    folder: str = _setting(
        "", "a folder of WAV files that alarms may name; built in: bell, chime, beep", _absolute_or_empty
    )
    ring_limit_min: int = _setting(30, "when nobody comes, ringing ends after so long", _integer(1, 180))


@dataclass(frozen=True)
class ButtonSettings:
    """A button between a GPIO pin and ground."""

    pin: int = _setting(-1, "BCM number; -1: no button", _integer(-1, 53))
    press: str = _setting("stop", "what a press does; held for 3 s it always stops", _one_of("stop", "snooze"))


@dataclass(frozen=True)
class LightSettings:
    """A lamp for the sunrise."""

    pin: int = _setting(-1, "BCM number of a PWM pin; -1: none (the monitor can drive an MQTT light)", _integer(-1, 53))


@dataclass(frozen=True)
class GuardSettings:
    """`edgebnn-alarm guard`, run by a timer."""

    after_s: int = _setting(60, "rings what is so long past its deadline without a decision", _integer(10, 600))
    ring_min: int = _setting(10, "rings for so long when nobody comes", _integer(1, 60))


@dataclass(frozen=True)
class Settings:
    """The whole file."""

    service: Service = field(default_factory=Service)
    time: Time = field(default_factory=Time)
    sound: SoundSettings = field(default_factory=SoundSettings)
    button: ButtonSettings = field(default_factory=ButtonSettings)
    light: LightSettings = field(default_factory=LightSettings)
    guard: GuardSettings = field(default_factory=GuardSettings)

    @property
    def state_dir(self) -> Path:
        """Folder of database and copy."""
        return Path(self.service.state_dir)

    @property
    def socket(self) -> Path:
        """The Unix socket."""
        return Path(self.service.socket)

    @property
    def sounds(self) -> Path | None:
        """Folder of WAV files."""
        return Path(self.sound.folder) if self.sound.folder else None

    @property
    def rules(self) -> Rules:
        """What the planner goes by."""
        return Rules(grace_s=60.0 * self.time.grace_min, ring_limit_s=60.0 * self.sound.ring_limit_min)


TABLES: dict[str, type[Any]] = get_type_hints(Settings)


def load_settings(file: Path) -> Settings:
    """Settings of a TOML file; ConfigError names file, key and value. A file that is not there is an error too."""
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from None
    read = {}
    for name, values in raw.items():
        schema = TABLES.get(name)
        if schema is None:
            raise ConfigError(f"{file}: there is no table [{name}]; there are {', '.join(TABLES)}")
        if not isinstance(values, dict):
            raise ConfigError(f"{file}: {name} = {values!r:.80}: expected a table [{name}]")
        known = {each.name: each for each in fields(schema)}
        for key, value in values.items():
            if key not in known:
                raise ConfigError(f"{file}: {name}.{key} = {value!r:.80}: there is no such key, check its name")
            expected = known[key].metadata["check"](value)
            if expected is not None:
                raise ConfigError(f"{file}: {name}.{key} = {value!r:.80}: expected {expected}")
        read[name] = schema(**values)
    return Settings(**read)


def default_file() -> str:
    """The commented file with every default."""
    lines = ["# edgebnn-alarm. Every value is the default; see docs/alarm.md."]
    for name, schema in TABLES.items():
        lines += ["", f"# {schema.__doc__}", f"[{name}]"]
        for each in fields(schema):
            lines += [f"# {each.metadata['doc']}", f"{each.name} = {_toml(getattr(schema(), each.name))}"]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)
