"""Entities of Home Assistant: what they are called on the wire, their states and commands as payloads."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from edgebnn.errors import InputError

KEY = re.compile(r"[a-z0-9_]{1,64}")

State: TypeAlias = "bool | float | str | None"


@dataclass(frozen=True)
class Device:
    """The device that the entities belong to. `service` is a part of topics, as in `face`."""

    service: str
    name: str
    model: str = ""
    version: str = ""


@dataclass(frozen=True)
class Entity:
    """One entity of the device; made by the functions below."""

    component: Literal["binary_sensor", "sensor", "button", "switch", "number"]
    key: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """InputError for a key that does not fit into topics."""
        if not KEY.fullmatch(self.key):
            raise InputError(f"expected an entity key of 1 to 64 of a-z, 0-9, _, got {self.key!r}")

    @property
    def has_state(self) -> bool:
        """Whether `publish` takes it."""
        return self.component != "button"

    @property
    def has_command(self) -> bool:
        """Whether commands may come for it."""
        return self.component in ("button", "switch", "number")


def binary_sensor(key: str, name: str, **config: Any) -> Entity:
    """A bool. `config`: Home Assistant's discovery keys, as `device_class="occupancy"`."""
    return Entity("binary_sensor", key, name, config)


def sensor(key: str, name: str, **config: Any) -> Entity:
    """A number or text. `config` as `unit_of_measurement="°C", device_class="temperature"`."""
    return Entity("sensor", key, name, config)


def button(key: str, name: str, **config: Any) -> Entity:
    """A button; pressing it gives a Command with the value True."""
    return Entity("button", key, name, config)


def switch(key: str, name: str, **config: Any) -> Entity:
    """A bool that can be commanded; publish the new state when it holds."""
    return Entity("switch", key, name, config)


def number(key: str, name: str, *, least: float, most: float, step: float = 1, **config: Any) -> Entity:
    """A number that can be commanded, from `least` to `most`."""
    return Entity("number", key, name, {"min": least, "max": most, "step": step, **config})


@dataclass(frozen=True)
class Command:
    """What someone asked for over MQTT: True for a button, bool for a switch, float for a number."""

    key: str
    value: bool | float


def discovery_payload(entity: Entity, device: Device, *, device_id: str, base: str) -> bytes:
    """What announces an entity to Home Assistant (JSON); `base` as in the topics of mqtt.py."""
    own = f"{base}/{entity.key}"
    about = {"identifiers": [device_id], "name": device.name, "manufacturer": "edgebnn"}
    if device.model:
        about["model"] = device.model
    if device.version:
        about["sw_version"] = device.version
    config: dict[str, Any] = {
        "name": entity.name,
        "unique_id": f"{device_id}_{entity.key}",
        "availability_topic": f"{base}/availability",
        "device": about,
        **entity.config,
    }
    if entity.has_state:
        config |= {"state_topic": f"{own}/state", "json_attributes_topic": f"{own}/attributes"}
    if entity.has_command:
        config["command_topic"] = f"{own}/set"
    return json.dumps(config, ensure_ascii=False).encode()


def state_payload(value: State) -> bytes:
    """As Home Assistant reads it: ON, OFF, a number, text of at most 255 characters; None and NaN are unknown."""
    if isinstance(value, bool):
        return b"ON" if value else b"OFF"
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return b"None"
    if isinstance(value, float):
        return f"{value:.6g}".encode()
    return str(value)[:255].encode("utf-8", "replace")


def read_command(entity: Entity, payload: bytes) -> Command | None:
    """The command in a payload; None when it is not what the entity takes."""
    try:
        text = payload.decode("utf-8")
        if entity.component == "number":
            asked = float(text)
            return Command(entity.key, asked) if entity.config["min"] <= asked <= entity.config["max"] else None
    except ValueError:  # not a number, not UTF-8
        return None
    known = {"switch": {"ON": True, "OFF": False}, "button": {"PRESS": True}}.get(entity.component, {})
    return Command(entity.key, known[text]) if text in known else None
