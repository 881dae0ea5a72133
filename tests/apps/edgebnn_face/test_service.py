"""The whole service in a process of its own, with real faults."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from tests.apps.edgebnn_face.process import running, until
from tests.edgebnn.service.conftest import Broker, Peer

LITTLE = "width=160&height=120"
BASE = "edgebnn/pi/face"


def config(source: str, **tables: str) -> str:
    """TOML with a source; of each further table the lines."""
    text = tables.pop("top", "") + f'\n[camera]\nsource = "{source}"\n'
    tables = {"web": "port = 0", **tables}
    return text + "".join(f"[{name}]\n{lines}\n" for name, lines in tables.items())


class Systemd:
    """What a service says to systemd."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self.environ = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "15000000"}
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", self.environ["NOTIFY_SOCKET"])
        self._thread.join(10)
        self._socket.close()

    def _listen(self) -> None:
        while message := self._socket.recv(4096):
            self.said.append(message.decode())


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(tmp_path)
    yield listening
    listening.close()


# What it is for


def test_people_are_announced(tmp_path: Path, broker: Broker, peer: Peer) -> None:
    source = f"synthetic:?{LITTLE}&fps=30&shown=30&hidden=30"
    settings = config(
        source,
        top='json_lines = "events"',
        mqtt=f'host = "127.0.0.1"\nport = {broker.port}\nnode = "pi"',
        presence="enter_after_s = 0.2\nleave_after_s = 0.4",
    )

    def heard(topic: str) -> list[str]:
        return [payload for t, payload in list(peer.all) if t == f"{BASE}/{topic}"]

    with running(tmp_path, settings) as face:
        until(lambda: heard("person/state").count("ON") >= 2, face)
        assert heard("availability") == ["online"]
        changes = [payload for payload in heard("person/state") if payload != "None"]
        assert changes[:4] == ["OFF", "ON", "OFF", "ON"]
        assert set(heard("count/state")) <= {"None", "0", "1"}
        until(lambda: heard("camera/state") and heard("camera/state")[-1] == "ON", face)
        announced = json.loads(peer.latest["homeassistant/binary_sensor/edgebnn_pi_face/person/config"])
        assert announced["device_class"] == "occupancy" and announced["availability_topic"] == f"{BASE}/availability"
        kinds = [event["event"] for event in face.events]
        assert {"enter", "leave", "count"} <= set(kinds)
        first = face.events[0]
        assert (
            first["event"] == "enter"
            and first["id"] == 1
            and re.match(r"\d{4}-\d\d-\d\dT.*[+-]\d\d:\d\d", first["time"])
        )

        # the broker goes away and comes back, having forgotten everything
        broker.kill()
        frames = face.metric("frames_total")
        until(lambda: face.metric("frames_total") > frames + 30, face)
        assert face.live()["mqtt_problem"]
        peer.forget()
        broker.start()
        until(lambda: f"{BASE}/person/state" in peer.latest, face)
        assert "homeassistant/binary_sensor/edgebnn_pi_face/person/config" in peer.latest
        assert not face.live()["mqtt_problem"]

        # its last will, when it dies
        face.stop(signal.SIGKILL)
        until(lambda: peer.latest.get(f"{BASE}/availability") == "offline")


def test_it_stops_in_order_in_the_middle_of_a_frame(
    tmp_path: Path, broker: Broker, peer: Peer, systemd: Systemd
) -> None:
    settings = config(
        f"synthetic:?{LITTLE}&fps=0",  # as fast as it can: there is always a frame at work
        top='json_lines = "frames"',
        mqtt=f'host = "127.0.0.1"\nport = {broker.port}\nnode = "pi"',
        picture="stream = true",
    )
    with running(tmp_path, settings, environ=systemd.environ) as face:
        until(lambda: face.metric("frames_total") >= 20, face)
        until(lambda: peer.latest.get(f"{BASE}/availability") == "online", face)
        assert face.stop() == 0
    words = [line.split("face: ")[-1].split(" after ")[0] for line in face.log if " face: " in line]
    assert words[words.index("stopping") :] == [
        "stopping",
        "the last frame is done",
        "the camera is closed",
        "MQTT is offline",
        "the page is closed",
        "stopped",
    ]
    seconds = float(re.findall(r"stopped after ([\d.]+) s", face.text)[0])
    assert seconds < 10
    assert peer.latest[f"{BASE}/availability"] == "offline"
    numbers = [json.loads(line)["frame"] for line in face.lines if '"frame"' in line]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= 20  # whole lines, none lost
    assert systemd.said[0].startswith("STATUS=") or systemd.said[0].startswith("READY=1")
    assert sum(message.startswith("READY=1") for message in systemd.said) == 1
    assert systemd.said.index("WATCHDOG=1") < len(systemd.said) - 1
    assert any(message.startswith("STOPPING=1") for message in systemd.said)


def test_a_camera_that_is_lost_comes_back(tmp_path: Path, systemd: Systemd) -> None:
    source = f"synthetic:?{LITTLE}&fps=30&lost_after=40&lost_for=1"  # back after 1 s and 2 s
    settings = config(source, top='json_lines = "events"', presence="leave_after_s = 0.3\nenter_after_s = 0.1")
    with running(tmp_path, settings, environ=systemd.environ) as face:
        live = until(lambda: (now := face.live())["state"] == "camera_lost" and now["count"] is None and now, face)
        assert live["away"] and live["latency"] is None
        until(lambda: face.live()["state"] == "streaming" and face.live()["count"] == 1, face)
        assert face.metric("camera_losses") == 1
        assert face.stop() == 0
    (lost,) = [k for k, line in enumerate(systemd.said) if line.startswith("STATUS=") and "camera_lost" in line]
    assert "unplugged" in systemd.said[lost]
    back = next(k for k, line in enumerate(systemd.said) if k > lost and "streaming" in line)
    assert systemd.said[lost:back].count("WATCHDOG=1") >= 2  # it lives, also without a camera
    assert [(e["event"], e.get("id")) for e in face.events][:5] == [
        ("enter", 1), ("count", None), ("leave", 1), ("count", None), ("enter", 2),
    ]  # fmt: skip
    assert len([line for line in face.log if "camera_lost:" in line]) == 1


def test_without_any_camera_it_is_up_and_waits(tmp_path: Path, systemd: Systemd) -> None:
    settings = config("synthetic:?missing=100000")
    with running(tmp_path, settings, environ=systemd.environ) as face:
        until(lambda: face.live()["state"] == "camera_lost", face)
        assert face.live()["count"] is None and face.live()["away"]
        until(lambda: systemd.said.count("WATCHDOG=1") >= 2, face)
        assert any(message.startswith("READY=1") for message in systemd.said)
        assert face.stop() == 0


def test_a_stuck_camera_is_reported(tmp_path: Path) -> None:
    source = f"synthetic:?{LITTLE}&fps=30&stuck_after=20"
    with running(tmp_path, config(source).replace("[web]", "stuck_s = 0.5\n[web]")) as face:
        until(lambda: face.live()["state"] == "stuck", face)
        assert face.live()["reason"] == "the same picture for 0.5 s"
        assert face.stop() == 0


def test_it_stops_while_the_camera_hangs(tmp_path: Path) -> None:
    with running(tmp_path, config(f"synthetic:?{LITTLE}&fps=0&hang_after=10")) as face:
        until(lambda: face.metric("frames_total") >= 8, face)
        assert face.stop() == 0
    assert "the camera does not answer: left behind" in face.text and "stopped after" in face.text


def test_bad_frames_are_left_out(tmp_path: Path) -> None:
    with running(tmp_path, config(f"synthetic:?{LITTLE}&fps=60&bad_every=3&bad=size")) as face:
        until(lambda: face.metric("frames_total") > 15, face)
        assert face.metric('camera_bad_frames{reason="size"}') > 5
        assert face.live()["state"] == "streaming"
        assert face.stop() == 0


def test_a_film_ends_and_the_service_stays(tmp_path: Path) -> None:
    from edgebnn.samples.__main__ import write_clip

    clip = tmp_path / "clip.mp4"
    write_clip(clip)
    with running(tmp_path, config(str(clip), top='json_lines = "events"', presence="leave_after_s = 0.2")) as face:
        until(lambda: face.live()["state"] == "ended" and face.live()["count"] is None, face)
        assert [event["event"] for event in face.events] == ["enter", "count", "leave", "count"]
        assert face.stop() == 0


def test_a_damaged_film_is_said_in_one_line(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\0\0\0\x20ftypisom" + bytes(5000))
    with running(tmp_path, config(str(film))) as face:
        until(lambda: face.live()["state"] == "ended", face)
        assert face.live()["reason"].startswith("the video cannot be opened")
        assert face.stop() == 0
    ours = [line for line in face.log if re.match(r"\d{4}-\d\d-\d\dT\S+ (info|warning) ", line)]
    assert [line for line in face.log if line not in ours and "TensorFlow Lite" not in line] == []
    assert len([line for line in ours if f"warning face: ended: {film}: the video cannot be opened" in line]) == 1


# What goes wrong around it


def test_a_port_in_use_is_exit_code_69_with_the_cure(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with running(tmp_path, config("synthetic:", web=f"port = {port}"), wait=False) as face:
            assert face.wait() == 69
    assert "is in use: stop the program that has it" in face.log[-1] and "Traceback" not in face.text


def test_a_model_that_is_replaced_while_it_runs(tmp_path: Path) -> None:
    model = tmp_path / "my.tflite"
    content = (files("edgebnn") / "weights" / "face.tflite").read_bytes()
    model.write_bytes(content)
    settings = config(f"synthetic:?{LITTLE}&fps=30", detection=f'model = "{model}"')
    with running(tmp_path, settings) as face:
        until(lambda: face.live()["count"] == 1, face)
        model.write_bytes(content[:100_000])
        until(lambda: face.live()["model_problem"], face)
        assert "the model loaded before runs on" in face.live()["model_problem"]
        frames = face.metric("frames_total")
        until(lambda: face.metric("frames_total") > frames + 10, face)
        model.write_bytes(content)
        until(lambda: "the new model runs" in face.text, face)
        assert not face.live()["model_problem"] and face.live()["count"] == 1
        assert face.stop() == 0


def in_namespace(mount: str) -> list[str]:
    """A command that runs another behind a mount of its own; skips where that is not allowed."""
    for unshare in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        if subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0:
            return [*unshare, "sh", "-c", f'{mount} && exec "$@"', "sh"]
    pytest.skip("mounting is not allowed here, with or without a user namespace")


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_that_takes_nothing(tmp_path: Path, fault: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    options = {"full": "size=16k", "read-only": "ro"}[fault]
    settings = config(
        f"synthetic:?{LITTLE}&fps=30&shown=12&hidden=15",
        top='json_lines = "events"',
        snapshots="enabled = true\nmin_free_mb = 0",
        presence="enter_after_s = 0.1\nleave_after_s = 0.2",
    )
    with running(tmp_path, settings, within=in_namespace(f"mount -t tmpfs -o {options} none {state}")) as face:
        until(lambda: sum(event["event"] == "enter" for event in face.events) >= 3, face)
        problem = until(lambda: face.live()["snapshot_problem"], face)
        assert {"full": "No space left", "read-only": "Read-only"}[fault] in problem
        assert face.live()["state"] == "streaming"
        assert face.stop() == 0
    assert len([line for line in face.log if "snapshots are not written" in line]) == 1


def test_a_reader_who_goes_away_stops_nothing(tmp_path: Path) -> None:
    settings = config(f"synthetic:?{LITTLE}&fps=60", top='json_lines = "frames"')
    fifo = tmp_path / "lines"
    subprocess.run(["mkfifo", str(fifo)], check=True)
    reader = subprocess.Popen(["head", "-n", "3", str(fifo)], stdout=subprocess.DEVNULL)
    with running(tmp_path, settings, within=["sh", "-c", f'exec "$@" >{fifo}', "sh"]) as face:
        reader.wait(60)
        until(lambda: "no more lines of JSON: " in face.text, face)
        frames = face.metric("frames_total")
        until(lambda: face.metric("frames_total") > frames + 20, face)
        assert face.stop() == 0


def test_a_reader_who_takes_nothing_stops_nothing(tmp_path: Path) -> None:
    settings = config(f"synthetic:?{LITTLE}&fps=0", top='json_lines = "frames"')
    fifo = tmp_path / "lines"
    subprocess.run(["mkfifo", str(fifo)], check=True)
    reader = os.open(fifo, os.O_RDWR)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    try:
        with running(tmp_path, settings, within=["sh", "-c", f'exec "$@" >{fifo}', "sh"]) as face:
            until(lambda: face.metric("frames_total") > 600, face)  # the pipe's 4 KB and 500 lines are full by then
            assert face.stop() == 0
    finally:
        os.close(reader)


def test_two_signals_are_one_stop(tmp_path: Path) -> None:
    with running(tmp_path, config(f"synthetic:?{LITTLE}&fps=30", web="enabled = false")) as face:
        for _ in range(3):
            face.process.send_signal(signal.SIGINT)
        assert face.stop() == 0
    assert face.text.count("face: stopping") == 1
