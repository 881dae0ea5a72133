"""MQTT with a real broker: what Home Assistant hears, and what it may ask of the real clock."""

from __future__ import annotations

import json
from typing import Any

from edgebnn_sleep.simulate import start_clock

from tests.apps.edgebnn_sleep.conftest import House, until
from tests.edgebnn.service.conftest import Broker, Peer


def start(house: House, broker: Broker, peer: Peer, **tables: Any) -> None:
    """Start the monitor; it hears commands from here on: it subscribes before it says online."""
    mqtt = {"host": "127.0.0.1", "port": broker.port, "node": "test"}
    house.start(house.settings(mqtt=mqtt, **tables))
    until(lambda: peer.latest.get("edgebnn/test/sleep/availability") == "online", "going online")


def topic(key: str, what: str = "state") -> str:
    return f"edgebnn/test/sleep/{key}/{what}"


def test_the_clock_in_home_assistant(house, broker, peer):
    start(house, broker, peer)
    assert peer.latest["homeassistant/binary_sensor/edgebnn_test_sleep/ringing/config"]
    house.set_alarm(name="Up")
    until(lambda: peer.latest.get(topic("next_alarm")) == "2026-11-23T21:40:00+00:00", "the next alarm")
    assert json.loads(peer.latest[topic("next_alarm", "attributes")])["name"] == "Up"
    assert peer.latest[topic("ringing")] == "OFF"
    house.pass_time(600)
    until(lambda: peer.latest[topic("ringing")] == "ON", "ringing")
    peer.say(topic("snooze", "set"), "PRESS")
    until(lambda: not house.ringing(), "snoozing")
    until(lambda: peer.latest[topic("ringing")] == "OFF", "quiet")
    house.pass_time(600)
    until(lambda: peer.latest[topic("ringing")] == "ON", "ringing again")
    peer.say(topic("stop", "set"), "PRESS")
    until(lambda: peer.latest[topic("ringing")] == "OFF", "quiet again")
    texts = [(event.kind, event.text) for event in house.service.store.events(0, 1e12)]
    until(lambda: any(e.kind == "stopped" for e in house.service.store.events(0, 1e12)), f"a log of it: {texts}")
    assert any("mqtt" in e.text for e in house.service.store.events(0, 1e12) if e.kind == "stopped")


def test_skip_by_mqtt(house, broker, peer):
    start(house, broker, peer)
    house.set_alarm()
    until(lambda: peer.latest.get(topic("next_alarm"), "").startswith("2026-11-23"), "the next alarm")
    peer.say(topic("skip_next", "set"), "PRESS")
    until(lambda: peer.latest[topic("next_alarm")].startswith("2026-11-24"), "a skip")


def test_what_the_clock_refuses_stands_in_the_log(house, broker, peer):
    start(house, broker, peer)
    peer.say(topic("snooze", "set"), "PRESS")
    until(lambda: any(e.kind == "mqtt" for e in house.service.store.events(0, 1e12)), "a line in the log")


def test_a_clock_that_is_away_is_a_problem(house, broker, peer):
    start(house, broker, peer)
    until(lambda: peer.latest.get(topic("alarm_problem")) == "OFF", "no problem")
    house.stop_clock()
    until(lambda: peer.latest[topic("alarm_problem")] == "ON", "a problem")
    until(lambda: "alarm clock" in peer.latest[topic("alarm_problem", "attributes")], "which one")
    until(lambda: peer.latest[topic("ringing")] == "None", "nobody to know")
    house.start_clock()
    until(lambda: peer.latest[topic("alarm_problem")] == "OFF", "the end of it")


def test_an_alarm_without_sound_is_a_problem(house, broker, peer):
    house.stop_clock()
    house.process = start_clock(house.folder, sound=f"file:{house.folder}/none/sound.pcm")
    start(house, broker, peer)
    house.set_alarm()
    house.pass_time(600)
    until(lambda: peer.latest.get(topic("ringing")) == "ON", "ringing")
    until(lambda: peer.latest[topic("alarm_problem")] == "ON", "a problem")
    until(lambda: "it rings, and no sound comes out" in peer.latest[topic("alarm_problem", "attributes")], "which one")


def test_sunrise_by_mqtt(house, broker, peer):
    start(house, broker, peer, sunrise={"topic": "lamp/set", "off_after_stop": True})
    house.set_alarm(sunrise_min=5)
    house.pass_time(620, speed=120)
    until(house.ringing, "ringing")
    levels = [json.loads(payload) for name, payload in peer.all if name == "lamp/set"]
    until(lambda: json.loads(peer.latest["lamp/set"]).get("brightness") == 254, "full light")
    rising = [level["brightness"] for level in levels]
    assert rising == sorted(rising) and len(rising) > 3
    peer.say(topic("stop", "set"), "PRESS")
    until(lambda: json.loads(peer.latest["lamp/set"]) == {"state": "OFF"}, "light out")
