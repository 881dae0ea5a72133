"""A device in Home Assistant over MQTT: discovery, retained states, commands; a broker that is away never blocks.

    commands: queue.Queue[Command] = queue.Queue(maxsize=100)
    entities = (binary_sensor("person", "Person", device_class="occupancy"), button("snooze", "Snooze"))
    with HomeAssistant(settings, Device("face", "Face detection"), entities, commands=commands) as home:
        home.publish("person", True)

Topics, with base = `<topic_prefix>/<node>/<service>`:
    <base>/availability                                       online | offline (also the last will), retained
    <base>/<key>/state, <base>/<key>/attributes               retained
    <base>/<key>/set                                          commands; retained ones are ignored
    <discovery_prefix>/<component>/edgebnn_<node>_<service>/<key>/config   retained
    <discovery_prefix>/status                                 `online` there makes the device announce itself again
"""

from __future__ import annotations

import json
import logging
import os
import queue
import random
import re
import select
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SecretStr

from edgebnn.errors import ConfigError, InputError, MissingExtraError
from edgebnn.service.entities import Command, Device, Entity, State, discovery_payload, read_command, state_payload
from edgebnn.service.settings import Settings, secret_field

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.properties import Properties

logger = logging.getLogger("edgebnn.mqtt")

LARGEST_COMMAND = 4096  # bytes; MQTT 5 brokers hold back what is larger
MOST_MESSAGES = 100  # topics of `send` that wait for a connection
CONNACK_TIMEOUT_S = 10.0
SHORT_S = 5.0  # a connection that lasted less was perhaps taken over
STEADY_S = 30.0  # a connection that lasted so long starts the back-off anew


class MqttSettings(Settings):
    """Where the broker is."""

    host: str = Field("", max_length=253, description="Name or address of the MQTT broker; empty switches MQTT off.")
    port: int = Field(1883, ge=1, le=65535, description="Port of the broker; with TLS usually 8883.")
    username: str = Field("", max_length=200, description="User at the broker; empty for none.")
    password: SecretStr | None = secret_field("mqtt_password", description="Password at the broker.")
    tls: bool = Field(False, description="Encrypt the connection and check the broker's certificate.")
    ca_file: Path | None = Field(
        None,
        description="Certificate authority of the broker (PEM) instead of the system's.",
        examples=["/etc/edgebnn/ca.pem"],
    )
    protocol: Literal["5", "3.1.1"] = Field("5", description="Version of MQTT; 3.1.1 for brokers made before 2019.")
    client_id: str = Field("", max_length=64, description="Client id; empty: made from node and service.")
    node: str = Field(
        "", pattern=r"^[A-Za-z0-9_-]{0,64}$", description="Name of this machine in topics; empty: its host name."
    )
    topic_prefix: str = Field("edgebnn", pattern=r"^[^+#/\x00]{1,64}$", description="First level of the topics.")
    discovery_prefix: str = Field(
        "homeassistant", pattern=r"^[^+#\x00]{1,64}$", description="Discovery prefix of Home Assistant."
    )
    keepalive_s: int = Field(30, ge=5, le=600, description="Seconds after which a silent connection counts as lost.")


class HomeAssistant:
    """One device at one broker; `with` starts and stops it. No method blocks for the broker or raises because of it.

    Only the latest value of each entity is kept and sent. After each connection, and when Home Assistant starts,
    everything is announced again. With `settings.host` empty nothing is sent, all else works (`states`).
    """

    def __init__(
        self,
        settings: MqttSettings,
        device: Device,
        entities: Iterable[Entity],
        *,
        commands: queue.Queue[Command] | None = None,
        backoff_s: tuple[float, float] = (1.0, 60.0),
    ) -> None:
        """`commands` receives what is asked for; when it is full a command is dropped. `backoff_s`: first, longest."""
        self.settings = settings
        self.device = device
        self.entities = {entity.key: entity for entity in entities}
        self.node = settings.node or re.sub(r"[^A-Za-z0-9_-]", "_", socket.gethostname())[:64] or "unnamed"
        self.base = f"{settings.topic_prefix}/{self.node}/{device.service}"
        self.connected = False
        """Whether the broker has accepted the connection."""
        self.problem = ""
        """Why there is no connection, in one sentence; empty while there is one."""
        self._commands = commands
        self._backoff_s = backoff_s
        self._lock = threading.Lock()
        self._retained: dict[str, bytes] = {}  # topic -> latest payload
        self._changed: dict[str, None] = {}  # topics of _retained that are to be sent, in order
        self._messages: dict[str, tuple[bytes, float]] = {}  # topic -> payload that is not retained, last time to send
        self._accepted = False  # whether the broker took the connection of this turn
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = -1, -1  # a pipe while the thread runs
        self._thread: threading.Thread | None = None
        self._announce()

    def start(self) -> None:
        """Begin to connect, in a thread. MissingExtraError without paho-mqtt; ConfigError when `ca_file` is no CA."""
        if not self.settings.host or self._thread is not None:
            return
        try:
            import paho.mqtt.client  # noqa: F401
        except ImportError:
            raise MissingExtraError("MQTT needs paho-mqtt: run `pip install 'edgebnn[service]'`") from None
        self._client()  # certificates
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    def stop(self, *, timeout_s: float = 3.0) -> None:
        """Announce `offline`, disconnect, end the thread; returns after `timeout_s` at the latest."""
        self._stopping.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                logger.warning("MQTT did not stop within %.0f s", timeout_s)

    def __enter__(self) -> HomeAssistant:
        """Starts."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops."""
        self.stop()

    def publish(self, key: str, value: State, *, attributes: Mapping[str, Any] | None = None) -> None:
        """The state of an entity, kept by the broker; None is unknown. Sent only when it changed.

        `attributes`: JSON values shown beside the state; sent before it, so that who acts on a state finds them there.
        InputError for an unknown key or a button.
        """
        entity = self.entities.get(key)
        if entity is None or not entity.has_state:
            known = ", ".join(name for name, entity in self.entities.items() if entity.has_state)
            raise InputError(f"expected an entity with a state ({known}), got {key!r}")
        if attributes is not None:
            self._retain(f"{self.base}/{key}/attributes", json.dumps(dict(attributes)).encode())
        self._retain(f"{self.base}/{key}/state", state_payload(value))
        self._wake()

    def send(self, topic: str, payload: str, *, within_s: float = 60.0) -> None:
        """A message for another device, not retained: sent once, or dropped when there is no connection `within_s`."""
        with self._lock:
            self._messages.pop(topic, None)
            self._messages[topic] = (payload.encode(), time.monotonic() + within_s)
            while len(self._messages) > MOST_MESSAGES:
                del self._messages[next(iter(self._messages))]
        self._wake()

    @property
    def states(self) -> dict[str, str]:
        """The latest state of each entity by key, as it is sent."""
        prefix, suffix = f"{self.base}/", "/state"
        with self._lock:
            return {
                topic[len(prefix) : -len(suffix)]: payload.decode()
                for topic, payload in self._retained.items()
                if topic.startswith(prefix) and topic.endswith(suffix)
            }

    # What there is to send

    def _retain(self, topic: str, payload: bytes) -> None:
        with self._lock:
            if self._retained.get(topic) != payload:
                self._retained[topic] = payload
                self._changed.pop(topic, None)
                self._changed[topic] = None

    def _announce(self) -> None:
        """Put discovery, availability and all states in line."""
        for entity in self.entities.values():
            device_id = f"edgebnn_{self.node}_{self.device.service}"
            topic = f"{self.settings.discovery_prefix}/{entity.component}/{device_id}/{entity.key}/config"
            self._retain(topic, discovery_payload(entity, self.device, device_id=device_id, base=self.base))
        self._retain(f"{self.base}/availability", b"online")
        with self._lock:
            self._changed = dict.fromkeys(self._retained)

    def _next(self) -> tuple[str, bytes, bool] | None:
        """Topic, payload, retain of what to send next."""
        with self._lock:
            if self._changed:
                topic = next(iter(self._changed))
                del self._changed[topic]
                return topic, self._retained[topic], True
            while self._messages:
                topic = next(iter(self._messages))
                payload, until = self._messages.pop(topic)
                if time.monotonic() <= until:
                    return topic, payload, False
        return None

    # The connection, all in one thread. A new client for each: nothing of the last one, stale messages in flight
    # above all, outlives it. QoS 0 is enough, since after a loss everything is sent again.

    def _run(self) -> None:
        try:
            self._try_on()
        finally:
            with self._lock:
                pipe, self._wake_read, self._wake_write = (self._wake_read, self._wake_write), -1, -1
            for end in pipe:
                os.close(end)

    def _try_on(self) -> None:
        delay = self._backoff_s[0]
        said: set[str] = set()
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                problem = self._session()
            except Exception as error:  # whatever a broker makes paho raise: say it, try again
                if isinstance(error, OSError):
                    problem = error.strerror or str(error)
                else:
                    problem = f"{type(error).__name__}: {error}"
            if self._stopping.is_set():
                return
            if self._accepted and time.monotonic() - started < SHORT_S:
                problem += "; if that goes on, another client may have the same id: set mqtt.node"
            self.problem = problem
            if self._accepted:
                said.clear()
            if problem not in said:
                said.add(problem)
                logger.warning(
                    "no MQTT broker at %s:%d, trying on: %s", self.settings.host, self.settings.port, problem
                )
            if time.monotonic() - started > STEADY_S:
                delay = self._backoff_s[0]
            self._stopping.wait(delay * random.uniform(0.8, 1.2))
            delay = min(2 * delay, self._backoff_s[1])

    def _session(self) -> str:
        """Connect and serve until the connection is lost; returns why."""
        self._accepted = False
        client = self._client()
        answers: list[str] = []

        def on_connect(client: Client, userdata: object, flags: object, reason: Any, properties: object) -> None:
            answers.append(_refusal(reason) if reason.is_failure else "")

        def on_disconnect(client: Client, userdata: object, flags: object, reason: Any, properties: object) -> None:
            answers.append(f"the connection was lost ({reason})")

        client.on_connect = on_connect
        client.on_message = lambda client, userdata, message: self._receive(message)
        client.on_disconnect = on_disconnect
        try:
            client.connect(
                self.settings.host, self.settings.port, self.settings.keepalive_s, properties=self._properties()
            )
            connack_deadline = time.monotonic() + CONNACK_TIMEOUT_S
            while (link := client.socket()) is not None:
                if answers and answers[-1]:
                    break
                if answers and not self.connected:
                    self._on_connected(client)
                if not self.connected and time.monotonic() > connack_deadline:
                    return f"no answer to CONNECT within {CONNACK_TIMEOUT_S:.0f} s"
                if self._stopping.is_set():
                    if self.connected:
                        self._say_goodbye(client)
                    return "stopped"
                while self.connected and not client.want_write() and (message := self._next()):
                    topic, payload, retain = message
                    client.publish(topic, payload, qos=0, retain=retain)
                self._wait(client, link)
                if client.loop_misc():
                    break
        finally:
            self.connected = False
            if (link := client.socket()) is not None:  # without a goodbye, so that the last will holds meanwhile
                link.close()
        return next(filter(None, answers), "the connection was lost")

    def _client(self) -> Client:
        from paho.mqtt.client import Client, MQTTv5, MQTTv311
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.settings.client_id or f"edgebnn_{self.node}_{self.device.service}",
            protocol=MQTTv5 if self.settings.protocol == "5" else MQTTv311,
        )
        if self.settings.username:
            password = self.settings.password
            client.username_pw_set(self.settings.username, password.get_secret_value() if password else None)
        if self.settings.tls:
            try:
                client.tls_set(ca_certs=str(self.settings.ca_file) if self.settings.ca_file else None)
            except (OSError, ValueError) as error:
                raise ConfigError(f"mqtt.ca_file = {self.settings.ca_file}: not a certificate (PEM): {error}") from None
        client.will_set(f"{self.base}/availability", b"offline", qos=1, retain=True)
        return client

    def _properties(self) -> Properties | None:
        """What a broker of MQTT 5 must hold back."""
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        if self.settings.protocol != "5":
            return None
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = 2 * LARGEST_COMMAND
        return properties

    def _on_connected(self, client: Client) -> None:
        self.connected = self._accepted = True
        self.problem = ""
        logger.info("connected with the MQTT broker at %s:%d", self.settings.host, self.settings.port)
        client.subscribe([(f"{self.base}/+/set", 1), (f"{self.settings.discovery_prefix}/status", 1)])
        self._announce()

    def _wait(self, client: Client, link: Any) -> None:
        """Until the broker says something, takes something, or somebody here wakes us."""
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        poll.register(link, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        pending = link.pending() if hasattr(link, "pending") else 0
        ready = dict(poll.poll(0 if pending else 1000))
        if ready.pop(self._wake_read, 0):
            os.read(self._wake_read, 4096)
        events = next(iter(ready.values()), 0)
        if pending or events & ~select.POLLOUT:
            client.loop_read()
        if events & select.POLLOUT and client.socket() is not None:
            client.loop_write()

    def _say_goodbye(self, client: Client) -> None:
        while message := self._next():
            client.publish(message[0], message[1], qos=0, retain=message[2])
        client.publish(f"{self.base}/availability", b"offline", qos=0, retain=True)
        client.disconnect()
        deadline = time.monotonic() + 1.0
        while client.socket() is not None and client.want_write() and time.monotonic() < deadline:
            self._wait(client, client.socket())

    def _wake(self) -> None:
        with self._lock:
            if self._wake_write >= 0:
                try:
                    os.write(self._wake_write, b"\0")
                except BlockingIOError:  # full: it wakes anyway
                    return

    # What comes in

    def _receive(self, message: Any) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            logger.warning("a message with a topic that is not UTF-8 is ignored")
            return
        if topic == f"{self.settings.discovery_prefix}/status":
            if message.payload == b"online" and not message.retain:
                logger.info("Home Assistant has started: announcing again")
                self._announce()
            return
        key = topic.removeprefix(f"{self.base}/").removesuffix("/set")
        entity = self.entities.get(key)
        if entity is None or not entity.has_command:
            logger.warning("a command for %.80r is ignored: there is no such entity", key)
        elif message.retain:
            logger.warning("a retained command for %s is ignored: commands must not be retained", key)
        elif len(message.payload) > LARGEST_COMMAND:
            logger.warning(
                "a command of %d bytes for %s is ignored: at most %d", len(message.payload), key, LARGEST_COMMAND
            )
        else:
            self._command(entity, message.payload)

    def _command(self, entity: Entity, payload: bytes) -> None:
        command = read_command(entity, payload)
        if command is None:
            logger.warning("%.80r for %s is ignored: not what a %s takes", payload, entity.key, entity.component)
        elif self._commands is not None:
            try:
                self._commands.put_nowait(command)
            except queue.Full:
                logger.warning("a command for %s is dropped: too many wait", entity.key)


def _refusal(reason: Any) -> str:
    text = str(reason)
    if "rotocol" in text:
        return f'the broker refuses ({text}): set mqtt.protocol = "3.1.1"'
    if "uthori" in text or "ser name" in text:
        return f"the broker refuses ({text}): check mqtt.username and the secret mqtt_password"
    return f"the broker refuses ({text})"
