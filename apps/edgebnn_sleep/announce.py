"""What MQTT and Home Assistant hear of the night, and what they may ask for."""

from __future__ import annotations

import datetime as dt
import json
import queue
from typing import Any

from edgebnn.service.board import Board
from edgebnn.service.entities import Command, Device, binary_sensor, button, sensor
from edgebnn.service.mqtt import HomeAssistant, MqttSettings
from edgebnn_sleep.clock import Answer
from edgebnn_sleep.monitor import Live
from edgebnn_sleep.settings import SunriseSettings

ENTITIES = (
    binary_sensor("asleep", "Asleep", icon="mdi:sleep"),
    binary_sensor("in_bed", "In bed", device_class="occupancy"),
    sensor("state", "Sleep state", icon="mdi:bed"),
    sensor("movement", "Movement", icon="mdi:motion", state_class="measurement"),
    sensor("next_alarm", "Next alarm", device_class="timestamp"),
    binary_sensor("ringing", "Ringing", icon="mdi:alarm-bell"),
    binary_sensor("alarm_problem", "Alarm problem", device_class="problem"),
    binary_sensor("camera", "Camera", device_class="connectivity", entity_category="diagnostic"),
    sensor("sound", "Sound", unit_of_measurement="dB", state_class="measurement"),
    sensor("light", "Light", device_class="illuminance", unit_of_measurement="lx", state_class="measurement"),
    sensor("temperature", "Temperature", device_class="temperature", unit_of_measurement="°C"),
    sensor("humidity", "Humidity", device_class="humidity", unit_of_measurement="%"),
    sensor("co2", "CO2", device_class="carbon_dioxide", unit_of_measurement="ppm"),
    button("stop", "Stop the alarm", icon="mdi:alarm-off"),
    button("snooze", "Snooze", icon="mdi:alarm-snooze"),
    button("skip_next", "Skip the next alarm", icon="mdi:skip-next"),
)
MEASURED = {
    "sound": "sound_db",
    "light": "light_lux",
    "temperature": "temperature_c",
    "humidity": "humidity_percent",
    "co2": "co2_ppm",
}


class Announcer:
    """Turns the state of monitor and clock into entities; every method may be called from any thread."""

    def __init__(
        self, settings: MqttSettings, sunrise: SunriseSettings, *, board: Board, commands: queue.Queue[Command]
    ) -> None:
        """Nothing is sent before `home.start`."""
        device = Device("sleep", "Sleep monitor", model=board.model or "")
        self.home = HomeAssistant(settings, device, ENTITIES, commands=commands)
        self._sunrise = sunrise
        self._light = 0.0
        self._rang = False

    def night(self, live: Live) -> None:
        """The state after an epoch."""
        state = live.state
        self.home.publish("state", state.replace("_", " "))
        self.home.publish("asleep", None if state == "unknown" else state in ("asleep", "restless"))
        epoch = live.epoch
        self.home.publish("in_bed", None if epoch is None or epoch.presence is None else bool(epoch.presence))
        self.home.publish("movement", None if epoch is None else epoch.activity)
        self.home.publish("camera", live.camera == "streaming", attributes={"problem": live.camera_problem})
        for key, field in MEASURED.items():
            self.home.publish(key, None if epoch is None else getattr(epoch, field))

    def clock(self, status: Answer | None, problem: str) -> None:
        """The state of the alarm clock; None with the reason while it is away."""
        problems = [problem] if problem else []
        if status is not None:
            problems += clock_problems(status)
        self.home.publish("alarm_problem", bool(problems), attributes={"problems": problems})
        if status is None:
            self.home.publish("next_alarm", None)
            self.home.publish("ringing", None)
            return
        following = status.get("next")
        when = dt.datetime.fromtimestamp(following["deadline_s"], dt.timezone.utc).isoformat() if following else None
        self.home.publish("next_alarm", when, attributes=following or {})
        ringing = bool(status.get("ringing"))
        self.home.publish("ringing", ringing, attributes={"since_s": status.get("ringing_since_s")})
        self._shine(float(status.get("light") or 0.0), ringing=ringing)

    def _shine(self, light: float, *, ringing: bool) -> None:
        """Pass the sunrise on to a light; what a person switched by hand is left alone between its steps."""
        level = round(light * self._sunrise.brightness)
        before, self._light = self._light, level
        stopped, self._rang = self._rang and not ringing, ringing
        if not self._sunrise.topic:
            return
        if level > 0 and level != before:
            self.home.send(self._sunrise.topic, json.dumps({"state": "ON", "brightness": level}))
        elif stopped and self._sunrise.off_after_stop:
            self.home.send(self._sunrise.topic, json.dumps({"state": "OFF"}))


def clock_problems(status: dict[str, Any]) -> list[str]:
    """What a person should know of the clock, one sentence each."""
    problems = [str(notice) for notice in status.get("notices", [])]
    sound = status.get("sound") or {}
    if sound.get("silent"):
        problems.append("it rings, and no sound comes out")
    problems += [f"sound: {failure}" for failure in sound.get("failures", [])]
    for key in ("storage", "button"):
        if status.get(key) not in ("ok", "none", None):
            problems.append(str(status[key]))
    if status.get("clock") in ("unverified", "waiting"):
        problems.append(f"the time of day is not verified ({status['clock']})")
    return problems
