"""The face service on a machine that systemd has booted: installed, at work, and after every failure."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.machine.install import install
from tests.machine.machine import Machine, wait_for

Timed = Callable[[str], AbstractContextManager[None]]
SERVICE = "edgebnn-face.service"
TOPIC = "edgebnn/pi/face"
CAMERA = "http://127.0.0.1:8099/clip"
CONFIGURATION = f"""
[camera]
source = "{CAMERA}"
[mqtt]
host = "127.0.0.1"
node = "pi"
"""


def configure(machine: Machine, text: str) -> None:
    machine.path("/etc/edgebnn/face.toml").write_text(text)


def start_clip(machine: Machine) -> None:
    python = "/opt/edgebnn/current/bin/python"
    machine.start_transient("clip", python, "/mnt/machine/stream_clip.py", "/srv/clip.mp4", "8099")


def state(machine: Machine, key: str) -> str | None:
    return machine.retained(f"{TOPIC}/{key}/state").get(f"{TOPIC}/{key}/state")


def wait_for_state(machine: Machine, key: str, value: str, *, timeout_s: float = 40) -> None:
    wait_for(f"{key} to be {value}", lambda: state(machine, key) == value, timeout_s=timeout_s)


def wait_for_restart(machine: Machine, before: int) -> None:
    wait_for("a restart", lambda: machine.main_pid(SERVICE) not in (0, before) and machine.is_active(SERVICE))


@pytest.fixture(scope="module")
def installed(machine: Machine, wheels: Path) -> str:
    """What install.sh printed."""
    return install(machine, wheels, "face")


@pytest.fixture(scope="module")
def watching(machine: Machine, installed: str) -> None:
    """The service looks at the clip, and tells a broker."""
    machine.run("/opt/edgebnn/current/bin/python", "-m", "edgebnn.samples", "--clip", "/srv/clip.mp4")
    start_clip(machine)
    configure(machine, CONFIGURATION)
    machine.run("systemctl", "restart", SERVICE)
    wait_for_state(machine, "person", "ON")


def test_one_command_installs_a_running_service(machine: Machine, installed: str) -> None:
    assert "edgebnn-face.service" in installed
    assert machine.is_active(SERVICE)
    properties = machine.unit(SERVICE, "UnitFileState", "WatchdogUSec", "User", "NRestarts", "StatusText")
    assert properties["UnitFileState"] == "enabled"
    assert (properties["User"], properties["NRestarts"], properties["WatchdogUSec"]) == ("edgebnn", "0", "10s")
    groups = machine.run("id", "--name", "--groups", "edgebnn").split()
    assert {"video", "audio"} <= set(groups)


def test_configuration_is_all_defaults(machine: Machine, installed: str) -> None:
    assert machine.path("/etc/edgebnn/face.toml").read_text() == machine.run("edgebnn-face", "default-config")
    assert machine.run("stat", "-c", "%U %G %a", "/etc/edgebnn/face.toml") == "root edgebnn 640\n"  # camera passwords
    machine.run("edgebnn-face", "run", "--config", "/etc/edgebnn/face.toml", "--check-config")


def test_systemd_of_this_release_accepts_and_scores_the_units(machine: Machine, installed: str) -> None:
    found = machine.try_run("systemd-analyze", "verify", SERVICE)
    assert (found.returncode, found.stderr) == (0, "")
    machine.run("systemd-analyze", "security", "--threshold=20", "--no-pager", SERVICE)


def test_installing_again_changes_nothing(machine: Machine, installed: str, wheels: Path) -> None:
    before = machine.main_pid(SERVICE)
    configure(machine, "# mine\n" + machine.run("edgebnn-face", "default-config"))
    assert "is installed already" in install(machine, wheels, "face")
    assert machine.main_pid(SERVICE) == before
    assert machine.path("/etc/edgebnn/face.toml").read_text().startswith("# mine\n")


def test_without_a_camera_it_stays_up_and_says_so(machine: Machine, installed: str) -> None:
    wait_for("the state", lambda: "camera_lost" in machine.unit(SERVICE, "StatusText")["StatusText"])
    assert machine.unit(SERVICE, "NRestarts")["NRestarts"] == "0"


def test_doctor_names_the_missing_camera(machine: Machine, installed: str) -> None:
    done = machine.try_run("edgebnn", "doctor", "--json")
    findings = {line["check"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert findings["camera"]["level"] == "problem" and findings["camera"]["cure"]
    assert findings["delegate"]["level"] == findings["permissions"]["level"] == findings["units"]["level"] == "ok"


def test_finds_the_faces_of_the_clip_and_announces_them(machine: Machine, watching: None) -> None:
    wait_for_state(machine, "count", "1")
    assert machine.retained(f"{TOPIC}/availability") == {f"{TOPIC}/availability": "online"}
    discovered = machine.retained("homeassistant/#")
    person: dict[str, Any] = json.loads(discovered["homeassistant/binary_sensor/edgebnn_pi_face/person/config"])
    assert person["state_topic"] == f"{TOPIC}/person/state"


def test_page_and_metrics_answer_on_loopback_only(machine: Machine, watching: None) -> None:
    listening = machine.run("/opt/edgebnn/current/bin/python", "/mnt/machine/listening.py").split()
    ours = [address for address in listening if address.endswith(":8080")]
    assert ours == ["127.0.0.1:8080"]


def test_camera_vanishes_and_returns(machine: Machine, watching: None, timed: Timed) -> None:
    before = machine.main_pid(SERVICE)
    machine.run("systemctl", "stop", "clip")
    with timed("camera gone, until MQTT says so"):
        wait_for_state(machine, "camera", "OFF")
    assert "camera_lost" in machine.unit(SERVICE, "StatusText")["StatusText"]
    start_clip(machine)
    with timed("camera back, until somebody is announced"):
        wait_for_state(machine, "camera", "ON")
        wait_for_state(machine, "person", "ON")
    assert machine.main_pid(SERVICE) == before


def test_comes_back_after_kill_9(machine: Machine, watching: None, timed: Timed) -> None:
    before = machine.main_pid(SERVICE)
    with timed("restart after kill -9"):
        machine.run("systemctl", "kill", "--signal=KILL", SERVICE)
        wait_for_restart(machine, before)
    wait_for_state(machine, "person", "ON")
    wait_for_state(machine, "camera", "ON")
    assert machine.retained(f"{TOPIC}/availability") == {f"{TOPIC}/availability": "online"}


def test_watchdog_ends_a_service_that_hangs(machine: Machine, watching: None, timed: Timed) -> None:
    before = machine.main_pid(SERVICE)
    with timed("restart after a hang (SIGSTOP), watchdog of 10 s"):
        machine.run("systemctl", "kill", f"--signal={int(signal.SIGSTOP)}", SERVICE)
        wait_for_restart(machine, before)
    assert "Watchdog timeout" in machine.journal(SERVICE)
    wait_for_state(machine, "camera", "ON")


def test_broker_that_is_away_is_found_again(machine: Machine, watching: None) -> None:
    before = machine.main_pid(SERVICE)
    machine.run("systemctl", "stop", "mosquitto.service")
    machine.run("sh", "-c", "rm -rf /var/lib/mosquitto/*")
    machine.run("systemctl", "start", "mosquitto.service")
    wait_for_state(machine, "person", "ON", timeout_s=60)
    assert "homeassistant/binary_sensor/edgebnn_pi_face/person/config" in machine.retained("homeassistant/#")
    assert machine.main_pid(SERVICE) == before


def test_wrong_configuration_waits_for_a_person(machine: Machine, watching: None) -> None:
    configure(machine, CONFIGURATION + "port = 99999\n")
    machine.try_run("systemctl", "restart", SERVICE)
    wait_for("the failure", lambda: machine.unit(SERVICE, "ActiveState")["ActiveState"] == "failed")
    properties = machine.unit(SERVICE, "ExecMainStatus", "NRestarts", "SubState")
    assert properties == {"ExecMainStatus": "78", "NRestarts": "0", "SubState": "failed"}
    assert "/etc/edgebnn/face.toml: mqtt.port = 99999" in machine.journal(SERVICE)
    findings = map(json.loads, machine.try_run("edgebnn", "doctor", "--json").stdout.splitlines())
    assert any("journalctl" in finding["cure"] for finding in findings if finding["check"] == "units")
    configure(machine, CONFIGURATION)
    machine.run("systemctl", "start", SERVICE)
    wait_for_state(machine, "person", "ON")


def test_secret_opens_the_page_to_the_network(machine: Machine, wheels: Path, watching: None) -> None:
    configure(machine, CONFIGURATION + '[web]\nhost = "0.0.0.0"\n')
    machine.try_run("systemctl", "restart", SERVICE)
    wait_for("the refusal", lambda: machine.unit(SERVICE, "ExecMainStatus")["ExecMainStatus"] == "78")
    machine.run("sh", "-c", "printf '%s' 'sixteen letters and more' >/etc/credstore/edgebnn.web_token")
    machine.run("systemctl", "start", SERVICE)
    assert "0.0.0.0:8080" in machine.run("/opt/edgebnn/current/bin/python", "/mnt/machine/listening.py").split()
    assert "sixteen letters" not in machine.journal(SERVICE)
    install(machine, wheels, "face")  # it checks the settings with the secret
    machine.run("rm", "/etc/credstore/edgebnn.web_token")
    configure(machine, CONFIGURATION)
    machine.run("systemctl", "restart", SERVICE)


def test_full_disk_is_survived(machine: Machine, watching: None) -> None:
    machine.run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/var/lib/edgebnn/face")
    machine.run("chown", "edgebnn:edgebnn", "/var/lib/edgebnn/face")
    machine.try_run("dd", "if=/dev/zero", "of=/var/lib/edgebnn/face/full", "bs=4k", "status=none")
    configure(machine, CONFIGURATION + "[snapshots]\nenabled = true\nmin_free_mb = 0\n")
    machine.run("systemctl", "restart", SERVICE)
    before = machine.main_pid(SERVICE)
    wait_for_state(machine, "person", "ON")
    wait_for_state(machine, "camera", "ON")
    assert machine.main_pid(SERVICE) == before
    machine.run("systemctl", "stop", SERVICE)
    machine.run("umount", "/var/lib/edgebnn/face")
    configure(machine, CONFIGURATION)
    machine.run("systemctl", "start", SERVICE)


def test_stops_cleanly(machine: Machine, watching: None, timed: Timed) -> None:
    with timed("stop (SIGTERM)"):
        machine.run("systemctl", "stop", SERVICE)
    properties = machine.unit(SERVICE, "Result", "ExecMainStatus", "ActiveState")
    assert properties == {"Result": "success", "ExecMainStatus": "0", "ActiveState": "inactive"}
    assert machine.retained(f"{TOPIC}/availability") == {f"{TOPIC}/availability": "offline"}
    with timed("start, until READY"):
        machine.run("systemctl", "start", SERVICE)
