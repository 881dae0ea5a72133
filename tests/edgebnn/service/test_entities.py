from __future__ import annotations

import json
import math

import pytest

from edgebnn.errors import InputError
from edgebnn.service.entities import (
    Command,
    Device,
    Entity,
    State,
    binary_sensor,
    button,
    discovery_payload,
    number,
    read_command,
    sensor,
    state_payload,
    switch,
)

SNOOZE = button("snooze", "Snooze")
LAMP = switch("lamp", "Lamp")
LEVEL = number("level", "Level", least=0, most=10, step=0.5)


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        (True, b"ON"),
        (False, b"OFF"),
        (None, b"None"),
        (math.nan, b"None"),
        (math.inf, b"None"),
        (3, b"3"),
        (9.8765432109, b"9.87654"),
        ("awake", b"awake"),
        ("é", "é".encode()),
        (300 * "a", 255 * b"a"),
    ],
)
def test_states(value: State, payload: bytes) -> None:
    assert state_payload(value) == payload


@pytest.mark.parametrize(
    ("entity", "payload", "value"),
    [
        (SNOOZE, b"PRESS", True),
        (SNOOZE, b"press", None),
        (SNOOZE, b"", None),
        (LAMP, b"ON", True),
        (LAMP, b"OFF", False),
        (LAMP, b"on\x00", None),
        (LAMP, b"\xff\xfe", None),
        (LEVEL, b"2.5", 2.5),
        (LEVEL, b"0", 0.0),
        (LEVEL, b"10", 10.0),
        (LEVEL, b"10.1", None),
        (LEVEL, b"-1", None),
        (LEVEL, b"nan", None),
        (LEVEL, b"inf", None),
        (LEVEL, b"1e400", None),
        (LEVEL, b"ten", None),
        (LEVEL, b"\xff", None),
        (LEVEL, 4000 * b"1", None),
        (sensor("a", "A"), b"ON", None),
        (binary_sensor("a", "A"), b"ON", None),
    ],
)
def test_commands(entity: Entity, payload: bytes, value: bool | float | None) -> None:
    assert read_command(entity, payload) == (None if value is None else Command(entity.key, value))


@pytest.mark.parametrize("key", ["", "A", "a/b", "a+", "#", 65 * "a", "a b", "é", "a\n"])
def test_keys_that_do_not_fit_into_topics(key: str) -> None:
    with pytest.raises(InputError, match="expected an entity key of"):
        sensor(key, "A")


def test_discovery() -> None:
    device = Device("face", "Face detection", model="Raspberry Pi 5", version="0.1.0")

    def announced(entity: Entity) -> dict[str, object]:
        payload = discovery_payload(entity, device, device_id="edgebnn_pi_face", base="edgebnn/pi/face")
        config = json.loads(payload)
        assert isinstance(config, dict)
        return config

    assert announced(binary_sensor("person", "Person", device_class="occupancy")) == {
        "name": "Person",
        "unique_id": "edgebnn_pi_face_person",
        "availability_topic": "edgebnn/pi/face/availability",
        "state_topic": "edgebnn/pi/face/person/state",
        "json_attributes_topic": "edgebnn/pi/face/person/attributes",
        "device_class": "occupancy",
        "device": {
            "identifiers": ["edgebnn_pi_face"],
            "name": "Face detection",
            "manufacturer": "edgebnn",
            "model": "Raspberry Pi 5",
            "sw_version": "0.1.0",
        },
    }
    assert announced(SNOOZE)["command_topic"] == "edgebnn/pi/face/snooze/set"
    assert "state_topic" not in announced(SNOOZE) and "command_topic" not in announced(sensor("a", "A"))
    level = announced(LEVEL)
    assert (level["min"], level["max"], level["step"]) == (0, 10, 0.5)
    assert level["state_topic"] and level["command_topic"]
