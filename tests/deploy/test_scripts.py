"""install.sh and uninstall.sh without root: what they refuse, and what a dry run says. tests/machine runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.units import DEPLOY

MACHINE = os.uname().machine


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(DEPLOY / script), *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["faces"], "expected --wheel FILE, --wheels FOLDER, --dry-run, face or sleep, got 'faces'"),
        (["--wheel", "/nowhere/edgebnn.whl", "face"], "expected a wheel, /nowhere/edgebnn.whl is no file"),
        (["--wheel"], "install.sh: --wheel needs a file"),
        (["--wheels", "/nowhere", "face"], "expected a folder of wheels, /nowhere is none"),
        (["--wheels", "/tmp", "face"], "use --wheel FILE too"),
        ([], "expected face, sleep or both: say what to install"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refuses_in_one_sentence(arguments: list[str], sentence: str) -> None:
    done = run("install.sh", "--dry-run", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("install.sh: ") and sentence in done.stderr
    assert done.stderr.count("\n") == 1


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


# remove_tree of a folder in a mount namespace of its own, where `kept` is mounted into it.
REMOVE = """
die() { echo "$*" >&2; exit 1; }
. "$1"
mount --bind "$2" "$3"
remove_tree "$4" "${3%/*}"
"""


def test_trees_that_something_is_mounted_in_stay(tmp_path: Path) -> None:
    namespace = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*namespace, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine gives us no mount namespace")
    kept, tree, other = tmp_path / "kept", tmp_path / "a tree", tmp_path / "other"
    for folder in (kept, tree / "m", other):
        folder.mkdir(parents=True)
    (kept / "file").touch()
    command = [*namespace, "bash", "-euc", REMOVE, "bash", DEPLOY / "trees.sh", kept, tree / "m", other]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        f"expected nothing mounted below {tree}, {tree}/m is: unmount it\n",
    )
    assert (kept / "file").exists() and other.exists()  # one device: --one-file-system alone would have emptied it


def test_trees_without_mounts_go(tmp_path: Path) -> None:
    (tmp_path / "tree/below").mkdir(parents=True)
    (tmp_path / "tree2").mkdir()
    script = f". {DEPLOY / 'trees.sh'}; remove_tree {tmp_path / 'tree'} {tmp_path / 'absent'}"
    subprocess.run(["bash", "-euc", script], check=True)
    assert [each.name for each in tmp_path.iterdir()] == ["tree2"]
