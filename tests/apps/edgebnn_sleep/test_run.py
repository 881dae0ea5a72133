"""`edgebnn-sleep run` as systemd runs it: ready, watchdog, a clean stop; nothing that it needs is there."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

COMMAND = [sys.executable, "-m", "edgebnn_sleep.cli", "run"]


def test_run_without_camera_clock_and_sensors(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "sleep.toml"
    config.write_text(
        f'[camera]\nsource = "v4l2:/dev/video77"\n[store]\npath = "{tmp_path}/nights.sqlite3"\n'
        f'[clock]\nsocket = "{tmp_path}/alarm.sock"\n[environment]\nroot = "{tmp_path}/iio"\n[web]\nport = {port}\n'
    )
    options = ["--config", str(config), "--state", str(tmp_path)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(60)
        environ = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "10000000"}
        service = subprocess.Popen([*COMMAND, *options], env=environ, stderr=subprocess.DEVNULL)
        try:
            said = [notify.recv(1000).decode() for _ in range(6)]
            assert said[0].startswith("READY=1")
            assert said.count("WATCHDOG=1") == 5, "also in the declared state of a lost camera"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=30) as answer:
                values = json.load(answer)["values"]
            assert values["camera"] == "camera_lost"
            assert "alarm clock" in values["problems"] and "/dev/video77" in values["problems"]
            second = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=60)
            assert second.returncode == 69 and "is in use" in second.stderr
            service.send_signal(signal.SIGTERM)
            assert service.wait(30) == 0
        finally:
            service.kill()
            service.wait()
        notify.settimeout(0.1)
        rest = []
        try:
            while True:
                rest.append(notify.recv(1000).decode())
        except TimeoutError:
            pass
    assert any(message.startswith("STOPPING=1") for message in rest)


def test_a_bad_configuration_ends_with_78(tmp_path):
    config = tmp_path / "sleep.toml"
    config.write_text("[camera]\nfps = 0\n")
    for extra in ([], ["--check-config"]):
        done = subprocess.run([*COMMAND, "--config", str(config), *extra], capture_output=True, text=True, timeout=60)
        assert done.returncode == 78
        assert "camera.fps" in done.stderr and "sleep.toml" in done.stderr and "Traceback" not in done.stderr
