"""A real broker and a second client that plays Home Assistant."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def wait_for(condition: Callable[[], object], what: str, *, timeout_s: float = 20.0) -> None:
    """Until `condition()` holds; fails, with `what` was awaited, after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout_s} s"
        time.sleep(0.01)


class Broker:
    """mosquitto on a port of its own that stays the same when it starts again; it keeps nothing over a restart."""

    def __init__(self, folder: Path, *, password_file: Path | None = None, more: str = "") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        access = f"password_file {password_file}" if password_file else "allow_anonymous true"
        self._config.write_text(f"listener {self.port} 127.0.0.1\n{access}\npersistence false\nuser root\n{more}")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO
        command = [MOSQUITTO, "-c", str(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(self._answers, "a start of mosquitto")
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Peer:
    """Another client: what it has received by topic, and in order."""

    def __init__(self, port: int, *, will: str = "", user: tuple[str, str] | None = None) -> None:
        self.latest: dict[str, str] = {}
        self.all: list[tuple[str, str]] = []
        self._subscribed = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2)
        if user:
            self.client.username_pw_set(*user)
        self.client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda client, userdata, message: self._receive(message)
        self.client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._subscribed.wait(20)

    def say(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(20)

    def forget(self) -> None:
        self.latest.clear()
        self.all.clear()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _receive(self, message: MQTTMessage) -> None:
        text = message.payload.decode("utf-8", "replace")
        self.all.append((message.topic, text))
        self.latest[message.topic] = text


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that runs."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    running = Broker(tmp_path)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def peer(broker: Broker) -> Iterator[Peer]:
    """A second client at the broker."""
    client = Peer(broker.port)
    yield client
    client.close()
