from __future__ import annotations

import contextlib
import json
import logging
import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgebnn.errors import ConfigError, InputError
from edgebnn.service.entities import Command, Device, binary_sensor, button, number, sensor, switch
from edgebnn.service.mqtt import HomeAssistant, MqttSettings
from edgebnn.service.settings import SecretStr
from tests.edgebnn.service.conftest import MOSQUITTO, Broker, Peer, wait_for

BASE = "edgebnn/pi/face"
DEVICE = Device("face", "Face detection")
ENTITIES = (
    binary_sensor("person", "Person", device_class="occupancy"),
    sensor("count", "People"),
    button("snooze", "Snooze"),
    switch("lamp", "Lamp"),
    number("level", "Level", least=0, most=10),
)


def make(port: int, *, commands: queue.Queue[Command] | None = None, **settings: object) -> HomeAssistant:
    known = MqttSettings.model_validate({"host": "127.0.0.1", "port": port, "node": "pi", **settings})
    return HomeAssistant(known, DEVICE, ENTITIES, commands=commands, backoff_s=(0.02, 0.1))


@pytest.fixture
def commands() -> queue.Queue[Command]:
    return queue.Queue(maxsize=4)


@pytest.fixture
def home(broker: Broker, peer: Peer, commands: queue.Queue[Command]) -> Iterator[HomeAssistant]:
    """A device that the broker has accepted and the peer has seen."""
    with make(broker.port, commands=commands) as device:
        device.publish("person", False)
        wait_for(lambda: peer.latest.get(f"{BASE}/person/state") == "OFF", "the first state")
        yield device


def test_announced_and_retained(home: HomeAssistant, broker: Broker, peer: Peer) -> None:
    assert home.connected and home.problem == ""
    late = Peer(broker.port)  # who comes later sees the same: all is retained
    topics = {f"homeassistant/{entity.component}/edgebnn_pi_face/{entity.key}/config" for entity in ENTITIES} | {
        f"{BASE}/availability",
        f"{BASE}/person/state",
    }
    wait_for(lambda: set(late.latest) == topics, "all retained messages")
    assert late.latest[f"{BASE}/availability"] == "online"
    config = json.loads(late.latest["homeassistant/binary_sensor/edgebnn_pi_face/person/config"])
    assert config["state_topic"] == f"{BASE}/person/state" and config["device_class"] == "occupancy"
    late.close()


def test_states_and_attributes_are_sent_when_they_change(home: HomeAssistant, peer: Peer) -> None:
    peer.forget()
    home.publish("person", True, attributes={"since": "06:40"})
    home.publish("person", True)
    home.publish("count", 2)
    wait_for(lambda: f"{BASE}/count/state" in peer.latest, "the count")
    assert peer.all == [
        (f"{BASE}/person/attributes", '{"since": "06:40"}'),
        (f"{BASE}/person/state", "ON"),
        (f"{BASE}/count/state", "2"),
    ]
    assert home.states == {"person": "ON", "count": "2"}


def test_a_second_device_of_the_same_name(home: HomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="edgebnn.mqtt"), make(home.settings.port):
        wait_for(lambda: "another client may have the same id: set mqtt.node" in caplog.text, "the cure")


def test_going_sends_the_last_states_and_says_offline(home: HomeAssistant, peer: Peer) -> None:
    home.publish("count", 42)
    home.stop()
    wait_for(lambda: peer.latest.get(f"{BASE}/count/state") == "42", "the last state")
    wait_for(lambda: peer.latest[f"{BASE}/availability"] == "offline", "offline")


def test_a_device_that_vanishes_is_offline_by_its_will(broker: Broker, peer: Peer) -> None:
    link: list[socket.socket] = []
    device = make(broker.port)
    connect = device._client

    def watched() -> object:
        client = connect()
        client.on_socket_open = lambda client, userdata, opened: link.append(opened)
        return client

    device._client = watched  # type: ignore[method-assign, assignment]
    with device:
        wait_for(lambda: peer.latest.get(f"{BASE}/availability") == "online", "online")
        device._stopping.set()  # so that it does not come back
        link[-1].shutdown(socket.SHUT_RDWR)
        wait_for(lambda: peer.latest[f"{BASE}/availability"] == "offline", "the last will")


def test_home_assistant_starts_and_all_is_announced_again(home: HomeAssistant, peer: Peer) -> None:
    peer.forget()
    peer.say("homeassistant/status", "offline")
    peer.say("homeassistant/status", "online")
    wait_for(lambda: peer.latest.get(f"{BASE}/person/state") == "OFF", "the state again")
    assert len([topic for topic, _ in peer.all if topic.endswith("/config")]) == len(ENTITIES)


def test_commands_come_in_the_queue(home: HomeAssistant, peer: Peer, commands: queue.Queue[Command]) -> None:
    peer.say(f"{BASE}/snooze/set", "PRESS")
    peer.say(f"{BASE}/lamp/set", "OFF")
    peer.say(f"{BASE}/level/set", "7.5")
    received = [commands.get(timeout=20) for _ in range(3)]
    assert received == [Command("snooze", True), Command("lamp", False), Command("level", 7.5)]


def test_hostile_messages_are_ignored_with_one_line_each(
    home: HomeAssistant, peer: Peer, commands: queue.Queue[Command], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="edgebnn.mqtt"):
        peer.say(f"{BASE}/lamp/set", b"\xff\xfe\x00")
        peer.say(f"{BASE}/lamp/set", 5000 * b"x")  # larger than a command, smaller than a packet
        peer.say(f"{BASE}/lamp/set", 5_000_000 * b"x")  # the broker holds it back
        peer.say(f"{BASE}/level/set", "1e999")
        peer.say(f"{BASE}/level/set", "; rm -rf /\n")
        peer.say(f"{BASE}/person/set", "ON")
        peer.say(f"{BASE}/nobody/set", "ON")
        peer.say(f"{BASE}/lamp/set", "ON", retain=True)
        assert commands.get(timeout=20) == Command("lamp", True)  # when it comes it is not retained yet
        peer.say(f"{BASE}/lamp/set", b"", retain=True)
        peer.say("homeassistant/status", 4000 * b"\x80")
        peer.say(f"{BASE}/snooze/set", "PRESS")
        assert commands.get(timeout=20) == Command("snooze", True)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 7 and all("ignored" in message for message in messages)
    assert all(len(message) < 300 and message.isprintable() for message in messages)
    assert home.connected


def test_a_retained_command_is_not_obeyed_again(broker: Broker, peer: Peer, commands: queue.Queue[Command]) -> None:
    peer.say(f"{BASE}/snooze/set", "PRESS", retain=True)
    with make(broker.port, commands=commands):
        wait_for(lambda: f"{BASE}/availability" in peer.latest, "the device")
        peer.say(f"{BASE}/lamp/set", "ON")
        assert commands.get(timeout=20) == Command("lamp", True)
        assert commands.empty()


def test_a_full_queue_drops_commands(
    home: HomeAssistant, peer: Peer, commands: queue.Queue[Command], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="edgebnn.mqtt"):
        for _ in range(6):
            peer.say(f"{BASE}/snooze/set", "PRESS")
        wait_for(lambda: len(caplog.records) == 2, "two dropped commands")
    assert commands.full() and "dropped" in caplog.text


def test_a_broker_killed_and_started_again(home: HomeAssistant, broker: Broker, peer: Peer) -> None:
    for value in (1, 2):
        broker.kill()
        wait_for(lambda: not home.connected, "the loss")
        home.publish("count", 10 * value)
        home.publish("count", value)  # the latest value wins
        wait_for(lambda: home.problem != "", "the reason")
        peer.forget()
        broker.start()  # it has forgotten everything
        wait_for(lambda: f"{BASE}/count/state" in peer.latest, "the count")
        wait_for(lambda: peer.latest.get(f"{BASE}/availability") == "online", "online")
        assert [text for topic, text in peer.all if topic.endswith("count/state")] == [str(value)]
        assert len([topic for topic in peer.latest if topic.endswith("/config")]) == len(ENTITIES)
    assert home.problem == ""


def test_a_broker_away_blocks_nobody_and_fills_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, nobody listens
        device = make(closed.getsockname()[1])
        with caplog.at_level(logging.WARNING, logger="edgebnn.mqtt"), device:
            cpu = time.thread_time()
            for value in range(20_000):  # hours of states
                device.publish("count", value)
                device.send(f"light/{value}", "ON")
            cpu = time.thread_time() - cpu
            wait_for(lambda: device.problem == "Connection refused", "the reason")
            assert device.states["count"] == "19999"
            assert len(device._retained) == len(ENTITIES) + 2 and len(device._messages) == 100
            assert len(device._changed) <= len(device._retained)
    assert cpu < 5
    assert len({record.getMessage() for record in caplog.records}) == len(caplog.records) == 1  # not one a try


def test_a_broker_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        device = make(silent.getsockname()[1])
        with device:
            accepted, _ = silent.accept()
            device.publish("count", 1)
            with accepted:
                assert accepted.recv(10)[:1] == b"\x10"  # CONNECT
            wait_for(lambda: device.problem, "a reason")
        assert device._thread is not None and not device._thread.is_alive()


NONSENSE = {
    "endless length": b"\x20\xff\xff\xff\xff\xff",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "cut": b"\x20\x03\x00\x00",
    "bad property": b"\x20\x04\x00\x00\x01\xff",
    "zeros": 90 * b"\x00",
    "a message before CONNACK": b"\x30\x05\x00\x01a\x00x",
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_a_broker_that_talks_nonsense(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hostile, make(hostile.getsockname()[1]) as device:
        for _ in range(3):  # it comes back each time
            accepted, _ = hostile.accept()
            with accepted, contextlib.suppress(OSError):  # it may hang up at any time
                accepted.recv(1000)
                accepted.sendall(answer)
                accepted.shutdown(socket.SHUT_WR)
                while accepted.recv(1000):
                    pass
        assert not device.connected and device.problem


def test_a_wrong_password_says_so(tmp_path: Path) -> None:
    if MOSQUITTO is None or not Path("/usr/bin/mosquitto_passwd").exists():
        pytest.skip("mosquitto is not installed")
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    command = ["/usr/bin/mosquitto_passwd", "-b", str(passwords), "me", "right"]
    subprocess.run(command, check=True, capture_output=True)
    passwords.chmod(0o644)
    broker = Broker(tmp_path, password_file=passwords)
    broker.start()
    try:
        with make(broker.port, username="me", password=SecretStr("wrong")) as device:
            wait_for(lambda: device.problem, "a refusal")
            assert "check mqtt.username and the secret mqtt_password" in device.problem
        with make(broker.port, username="me", password=SecretStr("right")) as device:
            wait_for(lambda: device.connected, "a connection")
    finally:
        broker.kill()


def certificates(folder: Path) -> None:
    """ca.pem, and server.pem with its key for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    (folder / "san.txt").write_text("subjectAltName=IP:127.0.0.1")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san.txt"]
    for arguments in (
        ["req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test", "-days", "2"],
        ["req", *new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=broker"],
        ["x509", "-req", "-in", "server.csr", *sign, "-out", "server.pem", "-days", "2"],
    ):
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)


# paho leaves the socket of a failed handshake to the garbage collection.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls(tmp_path: Path, commands: queue.Queue[Command]) -> None:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    certificates(tmp_path)
    broker = Broker(tmp_path, more=f"certfile {tmp_path / 'server.pem'}\nkeyfile {tmp_path / 'server.key'}\n")
    broker.start()
    try:
        with make(broker.port, tls=True, ca_file=tmp_path / "ca.pem", commands=commands) as device:
            wait_for(lambda: device.connected, "a connection")
            for number in range(50):  # more than one record
                device.send(f"{BASE}/level/set", str(number % 10))
                assert commands.get(timeout=20) == Command("level", number % 10)
        with make(broker.port, tls=True) as device:  # the system does not know this authority
            wait_for(lambda: "certificate verify failed" in device.problem, "a refusal")
        with make(broker.port) as device:
            wait_for(lambda: device.problem, "a refusal of plain MQTT")
            assert not device.connected
    finally:
        broker.kill()


def test_hours_without_a_broker(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    device = HomeAssistant(MqttSettings(host="nowhere", node="pi"), DEVICE, ENTITIES)
    delays: list[float] = []

    def refuse() -> str:
        raise OSError("Connection refused" if len(delays) % 2 else "No route to host")

    def wait(delay: float) -> bool:
        delays.append(delay)
        device.publish("count", len(delays))
        if len(delays) == 500:
            device._stopping.set()
        return True

    monkeypatch.setattr(device, "_session", refuse)
    monkeypatch.setattr(device._stopping, "wait", wait)
    with caplog.at_level(logging.INFO, logger="edgebnn.mqtt"):
        device._try_on()
    assert delays[0] < 1.3 and all(0.8 * 2**index <= delays[index] <= 1.2 * 2**index for index in range(5))
    assert all(48 <= delay <= 72 for delay in delays[6:]) and len(set(delays)) > 400  # not all devices at once
    assert 7 < sum(delays) / 3600 < 9 and device.states == {"count": "500"}
    assert len(caplog.records) == 2  # one a reason, not one a try


def test_messages_to_others(home: HomeAssistant, peer: Peer) -> None:
    home.send("lights/bed/set", "ON")
    wait_for(lambda: peer.latest.get("lights/bed/set") == "ON", "the message")
    late = Peer(home.settings.port)
    wait_for(lambda: f"{BASE}/person/state" in late.latest, "what is retained")
    assert "lights/bed/set" not in late.latest
    late.close()


def test_a_message_too_old_is_not_sent(broker: Broker, peer: Peer) -> None:
    device = make(broker.port)
    device.send("lights/old", "ON", within_s=-1)
    device.send("lights/new", "ON")
    with device:
        wait_for(lambda: peer.latest.get("lights/new") == "ON", "the new message")
    assert "lights/old" not in peer.latest


def test_mqtt_3_1_1(broker: Broker, peer: Peer) -> None:
    with make(broker.port, protocol="3.1.1") as device:
        device.publish("count", 1)
        wait_for(lambda: peer.latest.get(f"{BASE}/count/state") == "1", "the state")


def test_many_threads_publish(home: HomeAssistant, peer: Peer) -> None:
    def work(start: int) -> None:
        for value in range(start, start + 200):
            home.publish("count", value)

    threads = [threading.Thread(target=work, args=(1000 * index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: peer.latest.get(f"{BASE}/count/state") == home.states["count"], "the last value")


def test_switched_off_it_only_remembers() -> None:
    with HomeAssistant(MqttSettings(), DEVICE, ENTITIES) as device:
        device.publish("count", 3)
        assert device.states == {"count": "3"} and not device.connected and device._thread is None


def test_unknown_entities_are_errors() -> None:
    device = HomeAssistant(MqttSettings(), DEVICE, ENTITIES)
    known = r"expected an entity with a state \(person, count, lamp, level\)"
    for key in ("nobody", "snooze"):
        with pytest.raises(InputError, match=rf"{known}, got '{key}'"):
            device.publish(key, True)


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in (tmp_path / "ca.pem", tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match=r"mqtt\.ca_file = .*: not a certificate"):
            make(1883, tls=True, ca_file=file).start()
