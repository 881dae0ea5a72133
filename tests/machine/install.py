"""install.sh inside the machine."""

from __future__ import annotations

from pathlib import Path

from tests.machine.machine import Machine


def find_wheel(folder: Path) -> Path:
    """The one wheel of ours in a folder."""
    (wheel,) = folder.glob("edgebnn-*.whl")
    return wheel


def install(machine: Machine, wheels: Path, *components: str, wheel: str | None = None) -> str:
    """What install.sh printed, which must end well; `wheel`: another than ours in `wheels`, as the machine sees it.

    Root has the strictest umask: what the services need they must be able to read nevertheless.
    """
    chosen = wheel or f"/mnt/wheels/{find_wheel(wheels).name}"
    command = ["/mnt/deploy/install.sh", "--wheel", chosen, "--wheels", "/mnt/wheels", *components]
    return machine.run("sh", "-c", 'umask 077 && exec "$@"', "sh", *command, timeout_s=300)
