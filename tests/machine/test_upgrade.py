"""A new version, a broken one, and the end: what install.sh and uninstall.sh do to services that run."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.machine.install import find_wheel, install
from tests.machine.machine import Machine
from tests.machine.rewheel import rewrite_wheel

Timed = Callable[[str], AbstractContextManager[None]]
SERVICE = "edgebnn-face.service"
MARK = "/var/lib/edgebnn/face/mark.sqlite3"
# Good until systemd starts it: then it changes a database, and ends.
ENDS = f"""
import os
if "NOTIFY_SOCKET" in os.environ:
    import sqlite3
    with sqlite3.connect({MARK!r}) as database:
        database.execute("CREATE TABLE newer (x)")
    raise SystemExit("ends on purpose")
"""
# Says that it is ready, and is gone for good.
STOPS = """
import os
if "NOTIFY_SOCKET" in os.environ:
    import socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    raise SystemExit(78)
"""
BREAKS = 'raise SystemExit("breaks on purpose")\n'


@dataclass
class Wheels:
    """Later versions, as the machine sees them."""

    good: str
    ends: str
    stops: str
    breaks: str


@pytest.fixture(scope="module")
def later(machine: Machine, wheels: Path, more: Path) -> Wheels:
    """All services run, and later versions are there."""
    install(machine, wheels, "face", "sleep")
    made = f"import sqlite3; sqlite3.connect('{MARK}').execute('PRAGMA user_version = 7')"
    machine.run("/opt/edgebnn/current/bin/python", "-c", made)
    machine.run("chown", "edgebnn:edgebnn", MARK)
    wheel = find_wheel(wheels)
    names = {}
    for number, (name, text) in enumerate(
        {"good": "", "ends": ENDS, "stops": STOPS, "breaks": BREAKS}.items(), start=1
    ):
        files = {"edgebnn_face/__init__.py": text.encode()}
        names[name] = f"/mnt/more/{rewrite_wheel(wheel, more, version=f'0.1.{90 + number}', changes=files).name}"
    return Wheels(**names)


def version(machine: Machine) -> str:
    return machine.run("readlink", "/opt/edgebnn/current").strip().removeprefix("versions/")


def versions(machine: Machine) -> list[str]:
    return sorted(machine.run("ls", "/opt/edgebnn/versions").split())


def test_upgrade_keeps_configuration_and_state(machine: Machine, wheels: Path, later: Wheels, timed: Timed) -> None:
    before, old = machine.main_pid(SERVICE), version(machine)
    configuration = machine.path("/etc/edgebnn/face.toml").read_text() + "# mine\n"
    machine.path("/etc/edgebnn/face.toml").write_text(configuration)
    with timed("upgrade"):
        install(machine, wheels, wheel=later.good)
    assert re.fullmatch(r"0\.1\.91-[0-9a-f]{8}", version(machine))
    assert machine.is_active(SERVICE) and machine.main_pid(SERVICE) != before
    assert machine.path("/etc/edgebnn/face.toml").read_text() == configuration
    assert machine.path(MARK).exists()
    assert versions(machine) == sorted([old, version(machine)])  # the version before stays at hand


def test_version_that_does_not_stay_up_is_rolled_back(
    machine: Machine, wheels: Path, later: Wheels, timed: Timed
) -> None:
    good = version(machine)
    owner = machine.run("stat", "-c", "%U %a", MARK)
    with timed("upgrade to a version that does not come up, and back"):
        done = machine.try_run(
            "/mnt/deploy/install.sh", "--wheel", later.ends, "--wheels", "/mnt/wheels", timeout_s=300
        )
    assert done.returncode == 1
    assert "ends on purpose" in done.stderr
    assert done.stderr.splitlines()[-1].endswith(f"was not installed; {good} runs as before")
    assert version(machine) == good and machine.is_active(SERVICE)
    tables = (
        "import sqlite3; print(sqlite3.connect('" + MARK + "').execute('SELECT name FROM sqlite_schema').fetchall())"
    )
    assert machine.run("/opt/edgebnn/current/bin/python", "-c", tables).strip() == "[]"
    assert machine.run("stat", "-c", "%U %a", MARK) == owner
    assert not [name for name in versions(machine) if name.startswith("0.1.92")]
    assert sorted(path.name for path in machine.path("/opt/edgebnn").iterdir()) == ["current", "versions"]


def test_one_service_that_stops_is_enough_and_databases_that_cannot_be_put_back_are_kept(
    machine: Machine, later: Wheels
) -> None:
    good = version(machine)
    tools = machine.run("mktemp", "--directory").strip()
    full = '#!/bin/sh\ncase "$*" in *--extract*) echo "no space left" >&2; exit 2 ;; esac\nexec /usr/bin/tar "$@"\n'
    machine.path(f"{tools}/tar").write_text(full)
    machine.path(f"{tools}/tar").chmod(0o755)
    command = f"PATH={tools}:$PATH /mnt/deploy/install.sh --wheel {later.stops} --wheels /mnt/wheels"
    done = machine.try_run("sh", "-c", command, timeout_s=300)
    copy = f"/opt/edgebnn/databases-of-{good}.tar"
    assert done.returncode == 1
    assert f"unpack {copy} in /var/lib/edgebnn" in done.stderr
    assert version(machine) == good and machine.is_active(SERVICE)
    assert machine.run("stat", "-c", "%U %a", copy) == "root 600\n"
    assert machine.run("tar", "--list", "--file", copy).count("./face/mark.sqlite3\n") == 1
    machine.run("tar", "--extract", "--same-owner", "--file", copy, "--directory", "/var/lib/edgebnn")
    machine.run("rm", "-r", copy, tools)


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
def test_one_at_a_time(machine: Machine, later: Wheels, script: str) -> None:
    before = machine.main_pid(SERVICE)
    arguments = ["--wheel", later.good, "--wheels", "/mnt/wheels"] if script == "install.sh" else []
    done = machine.try_run("flock", "/run/edgebnn-install.lock", f"/mnt/deploy/{script}", *arguments)
    assert done.returncode == 1
    assert done.stderr == f"{script}: another install.sh or uninstall.sh is at work: wait for it\n"
    assert machine.main_pid(SERVICE) == before


def test_purge_stops_before_what_is_mounted(machine: Machine, later: Wheels) -> None:
    before = machine.main_pid(SERVICE)
    machine.run("mkdir", "-p", "/srv/pictures", "/var/lib/edgebnn/face/mounted")
    machine.run("touch", "/srv/pictures/mine")
    machine.run("mount", "--bind", "/srv/pictures", "/var/lib/edgebnn/face/mounted")
    done = machine.try_run("/mnt/deploy/uninstall.sh", "--purge")
    machine.run("umount", "/var/lib/edgebnn/face/mounted")
    assert done.returncode == 1
    assert done.stderr.endswith("/var/lib/edgebnn/face/mounted is: unmount it\n")
    assert machine.path("/srv/pictures/mine").exists()
    assert machine.main_pid(SERVICE) == before


def test_version_that_does_not_even_start_changes_nothing(machine: Machine, later: Wheels) -> None:
    before, good, kept = machine.main_pid(SERVICE), version(machine), versions(machine)
    done = machine.try_run("/mnt/deploy/install.sh", "--wheel", later.breaks, "--wheels", "/mnt/wheels", timeout_s=300)
    assert done.returncode == 1
    assert "refuses its configuration; nothing was changed" in done.stderr.splitlines()[-1]
    assert (machine.main_pid(SERVICE), version(machine), versions(machine)) == (before, good, kept)


def test_missing_wheels_are_one_sentence(machine: Machine, later: Wheels) -> None:
    before = machine.main_pid(SERVICE)
    machine.run("cp", later.breaks, "/mnt/edgebnn-0.1.99-py3-none-manylinux_2_28_x86_64.whl")
    done = machine.try_run(
        "/mnt/deploy/install.sh",
        "--wheel",
        "/mnt/edgebnn-0.1.99-py3-none-manylinux_2_28_x86_64.whl",
        "--wheels",
        "/srv",
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("install.sh: pip could not install edgebnn-0.1.99")
    assert machine.main_pid(SERVICE) == before
    machine.run("rm", "/mnt/edgebnn-0.1.99-py3-none-manylinux_2_28_x86_64.whl")


def test_uninstall_keeps_configuration_and_state(machine: Machine, later: Wheels) -> None:
    said = machine.run("/opt/edgebnn/current/deploy/uninstall.sh")
    assert "kept: /etc/edgebnn, /var/lib/edgebnn" in said
    assert machine.path("/etc/edgebnn/face.toml").exists() and machine.path(MARK).exists()
    assert not machine.path("/opt/edgebnn").exists()
    assert machine.try_run("systemctl", "cat", SERVICE).returncode == 1
    assert machine.try_run("systemctl", "list-units", "--all", "--no-legend", "edgebnn-*").stdout.strip() == ""


def test_purge_leaves_nothing(machine: Machine, later: Wheels, pristine: set[str]) -> None:
    machine.run("mkdir", "-p", "/etc/systemd/system/edgebnn-face.service.d")
    machine.run("sh", "-c", "echo 'a secret' >/etc/credstore/edgebnn.web_token")
    machine.run("/mnt/deploy/uninstall.sh", "--purge")
    assert machine.files() - pristine == set()
    for file in ("passwd", "group", "shadow", "gshadow"):
        assert "edgebnn" not in machine.path(f"/etc/{file}").read_text()
