"""The units without a machine: systemd accepts them, finds them hardened, and they say what the design asks for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.units import DEPLOY, SERVICES, UNITS, read_unit

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
NOTIFYING = ["edgebnn-alarm", "edgebnn-face", "edgebnn-sleep"]
EXPOSURE = 20  # in tenths, of systemd-analyze security


def service(name: str) -> dict[str, list[str]]:
    return read_unit(DEPLOY / "systemd" / f"{name}.service")["Service"]


@needs_systemd
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for unit in UNITS:  # verify looks for the programs, which nobody has installed here
        (tmp_path / unit.name).write_text(re.sub(r"/opt/edgebnn/current/bin/\S+", "/bin/true", unit.read_text()))
    found = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / unit.name) for unit in UNITS)], capture_output=True, text=True
    )
    # Unknown keys end with 0 and a line on stderr. Other units of this machine are not ours to judge.
    assert not [line for line in found.stderr.splitlines() if "edgebnn" in line], found.stderr
    assert found.returncode == 0


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_services_are_hardened(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", str(unit)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    assert "Overall exposure level" in found.stdout


@pytest.mark.parametrize("name", NOTIFYING)
def test_services_come_back(name: str) -> None:
    unit = read_unit(DEPLOY / "systemd" / f"{name}.service")
    assert unit["Unit"]["StartLimitIntervalSec"] == ["0"]
    expected = {"Type": "notify", "Restart": "always", "RestartSec": "2", "RestartPreventExitStatus": "78"}
    assert {key: unit["Service"][key][0] for key in expected} == expected
    assert int(unit["Service"]["WatchdogSec"][0]) <= 15
    assert unit["Install"]["WantedBy"] == ["multi-user.target"]


def test_alarm_needs_nothing_but_local_file_systems() -> None:
    for name in ("edgebnn-alarm.service", "edgebnn-alarm-guard.service", "edgebnn-alarm-guard.timer"):
        unit = read_unit(DEPLOY / "systemd" / name)
        assert not {"After", "Wants", "Requires", "BindsTo", "Requisite", "PartOf"} & set(unit["Unit"])
        assert not [device for device in unit.get("Service", {}).get("DeviceAllow", []) if "video" in device]


def test_alarm_is_killed_last_and_served_first() -> None:
    adjustment = {name: int(service(name)["OOMScoreAdjust"][0]) for name in NOTIFYING}
    weight = {name: int(service(name)["CPUWeight"][0]) for name in NOTIFYING}
    assert adjustment["edgebnn-alarm"] == -900
    assert min(adjustment["edgebnn-face"], adjustment["edgebnn-sleep"]) > 0
    assert weight["edgebnn-alarm"] > 5 * max(weight["edgebnn-face"], weight["edgebnn-sleep"])


def test_guard_looks_four_times_a_minute() -> None:
    timer = read_unit(DEPLOY / "systemd" / "edgebnn-alarm-guard.timer")
    assert timer["Timer"] == {"OnCalendar": ["*:*:0/15"], "AccuracySec": ["1s"]}
    guard = read_unit(DEPLOY / "systemd" / "edgebnn-alarm-guard.service")
    assert guard["Service"]["Type"] == ["oneshot"]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_every_service_has_a_ceiling_and_few_devices(unit: Path) -> None:
    settings = read_unit(unit)["Service"]
    assert re.fullmatch(r"\d+M", settings["MemoryMax"][0])
    assert settings["DevicePolicy"] == ["closed"]
    assert settings["User"] == ["edgebnn"]
    for device in settings["DeviceAllow"]:  # systemd expands no globs
        assert re.fullmatch(r"char-[a-z0-9_]+ rw", device)


def test_installer_knows_every_unit() -> None:
    text = (DEPLOY / "install.sh").read_text()
    body = text[text.index("units_of() {") : text.index("# What systemctl starts")]
    assert sorted(re.findall(r"edgebnn-[a-z-]+\.(?:service|timer)", body)) == [unit.name for unit in UNITS]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_units_start_commands_that_the_wheel_has(unit: Path) -> None:
    (command,) = read_unit(unit)["Service"]["ExecStart"]
    program, subcommand, *options = command.removeprefix("/opt/edgebnn/current/bin/").split()
    scripts = re.findall(r'^(edgebnn-\w+) = "', (DEPLOY.parent / "pyproject.toml").read_text(), re.MULTILINE)
    assert program in scripts and unit.stem.startswith(program)
    assert subcommand == ("guard" if "guard" in unit.stem else "run")
    assert options == ["--config", f"/etc/edgebnn/{program.removeprefix('edgebnn-')}.toml"]
