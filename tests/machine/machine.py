"""A Debian that systemd has booted, in a container of this machine: commands inside, states waited for.

Needs root, systemd-nspawn, and a root file system (tests/machine/root.sh makes it), of which it is given a copy in
memory: every machine starts from nothing, and nothing of it stays.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")

ENVIRONMENT = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root", "LANG=C.UTF-8"]
POLL_S = 0.05


def wait_for(what: str, look: Callable[[], Value | None], *, timeout_s: float = 30) -> Value:
    """What `look` returns as soon as that is true; AssertionError saying `what` was waited for, and the last answer."""
    until = time.monotonic() + timeout_s
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < until, f"waited {timeout_s:.0f} s for {what}, last seen: {seen!r}"
        time.sleep(POLL_S)


class Systemd:
    """Commands on a machine that runs systemd."""

    def try_run(self, *command: str | Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root."""
        raise NotImplementedError

    def run(self, *command: str | Path, timeout_s: float = 120) -> str:
        """Standard output of a command that must end with 0."""
        done = self.try_run(*command, timeout_s=timeout_s)
        assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    # systemd

    def unit(self, name: str, *properties: str) -> dict[str, str]:
        """Properties of a unit."""
        lines = self.run("systemctl", "show", *(f"--property={each}" for each in properties), name).splitlines()
        return dict(line.split("=", 1) for line in lines)

    def main_pid(self, name: str) -> int:
        """Process id, inside, of a service's main process; 0 when there is none."""
        return int(self.unit(name, "MainPID")["MainPID"])

    def is_active(self, name: str) -> bool:
        """Whether a service has said that it is ready."""
        return self.unit(name, "ActiveState")["ActiveState"] == "active"

    def journal(self, name: str) -> str:
        """What a service, and systemd of it, have logged."""
        return self.run("journalctl", "--quiet", "--no-pager", "--output=short-monotonic", f"--unit={name}")

    def start_transient(self, name: str, *command: str | Path, properties: Sequence[str] = ()) -> None:
        """A program of the tests as a service of its own."""
        self.run(
            "systemd-run", "--quiet", "--collect", f"--unit={name}", *(f"-p{each}" for each in properties), *command
        )

    # MQTT

    def retained(self, topic: str) -> dict[str, str]:
        """Retained messages below a topic, by their topics."""
        said = self.try_run("mosquitto_sub", "-t", topic, "-v", "-W", "1", "--retained-only")
        return dict(line.split(" ", 1) for line in said.stdout.splitlines() if " " in line)


class Machine(Systemd):
    """A booted machine; a context manager. One at a time: the next waits until the one before is gone.

    Their systemds share the control groups of this machine, so that either would end services of the other that have
    the same name.
    """

    def __init__(self, root: Path, *, shared: Mapping[str, Path]) -> None:
        """`shared`: folders of this machine by where they are to lie in the other, read-only."""
        self._root, self._shared = root, shared
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, closed by __exit__
        self._turn = os.open(Path(tempfile.gettempdir(), "edgebnn-machine.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        self.leader = 0
        """Process id of its systemd, as seen from here."""

    def __enter__(self) -> Machine:
        """Boot, until systemd has started all of multi-user.target."""
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        command = ["systemd-nspawn", "--quiet", f"--directory={self._root}", "--boot", "--volatile=overlay"]
        command += ["--register=no", "--keep-unit", "--private-network", "--console=pipe", "--machine=edgebnn"]
        command += [f"--bind-ro={folder.resolve()}:{at}" for at, folder in self._shared.items()]
        self._nspawn = subprocess.Popen(
            command,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self.leader = wait_for("the machine's first process", self._find_leader)
            wait_for("the machine to boot", self._is_up, timeout_s=60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Cut its power."""
        assert self._nspawn is not None
        if self.leader:  # killing nspawn alone would leave its child
            os.kill(self.leader, signal.SIGKILL)
        else:
            self._nspawn.kill()
        self._nspawn.wait(timeout=30)
        self._log.close()
        os.close(self._turn)
        self.leader = 0

    def _find_leader(self) -> int | None:
        assert self._nspawn is not None
        if self._nspawn.poll() is not None:
            self._log.seek(0)
            raise AssertionError(f"systemd-nspawn ended: {self._log.read().decode()}")
        pid = self._nspawn.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            try:
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":  # not nspawn's own helper
                    return int(child)
            except FileNotFoundError:
                continue  # it has ended meanwhile
        return None

    def _is_up(self) -> bool:
        done = self.try_run("systemctl", "is-system-running")
        return done.stdout.strip() in ("running", "degraded")

    def path(self, path: str) -> Path:
        """A file of the machine, as seen from here."""
        return Path(f"/proc/{self.leader}/root") / path.lstrip("/")

    def try_run(self, *command: str | Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root."""
        inside = ["nsenter", "--target", str(self.leader), "--all", *ENVIRONMENT, *map(str, command)]
        return subprocess.run(
            inside, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def files(self) -> set[str]:
        """All files and folders that stay, without logs, caches, and what systemd and the tests' own programs keep."""
        left_out = (
            "/dev /mnt /proc /run /srv /sys /tmp /var/cache /var/lib/mosquitto /var/lib/systemd /var/log /var/tmp"
        )
        prune = " -o ".join(f"-path {folder}" for folder in left_out.split())
        found = self.run("sh", "-c", f"find / \\( {prune} \\) -prune -o -print").splitlines()
        backups = {f"/etc/{file}-" for file in ("group", "gshadow", "passwd", "shadow", "subgid", "subuid")}
        return set(found) - {"/etc/asound.conf", "/etc/.pwd.lock"} - backups
