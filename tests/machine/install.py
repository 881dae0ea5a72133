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

    Root has the strictest umask: what the services need they must be able to read nevertheless. The working directory
    has an `edgebnn`, as a checkout has, which is not the one that is installed.
    """
    chosen = wheel or f"/mnt/wheels/{find_wheel(wheels).name}"
    command = ["/mnt/deploy/install.sh", "--wheel", chosen, "--wheels", "/mnt/wheels", *components]
    checkout = (
        'umask 077 && mkdir -p /tmp/checkout/edgebnn && cd /tmp/checkout && touch edgebnn/__init__.py && exec "$@"'
    )
    return machine.run("sh", "-c", checkout, "sh", *command, timeout_s=300)
