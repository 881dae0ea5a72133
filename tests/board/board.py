"""A whole arm64 machine: its kernel, its systemd, emulated by qemu; its power can be cut.

What tests/board/image.sh made: a disk, a kernel, an initial RAM disk.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.machine.machine import Systemd, wait_for

BOOT_S = 900
"""Emulation is tens of times slower than a board, on a busy machine still more."""


class Board(Systemd):
    """A board with its own copy of the disk."""

    def __init__(self, made: Path, folder: Path) -> None:
        """`made`: what image.sh made; the disk and what the board prints (console.log) go into `folder`."""
        self._made, self._folder = made, folder
        self._disk = folder / "disk.img"
        subprocess.run(["cp", "--sparse=always", made / "disk.img", self._disk], check=True)
        self._qemu: subprocess.Popen[bytes] | None = None
        self._agent: socket.socket | None = None
        self._unread = b""

    def power_on(self) -> float:
        """Boot; seconds until commands are taken and multi-user.target is reached."""
        began = time.monotonic()
        port = self._folder / "agent.sock"
        port.unlink(missing_ok=True)
        command = ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi"]
        command += ["-smp", "2", "-m", "1024", "-display", "none", "-nic", "none", "-no-reboot"]
        command += ["-kernel", str(self._made / "vmlinuz"), "-initrd", str(self._made / "initrd")]
        command += ["-append", "console=ttyAMA0 panic=5", "-serial", f"file:{self._folder / 'console.log'}"]
        command += ["-drive", f"file={self._disk},if=none,id=disk,format=raw", "-device", "virtio-blk-pci,drive=disk"]
        command += ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
        command += ["-chardev", f"socket,id=agent,path={port},server=on,wait=off"]
        command += ["-device", "virtserialport,chardev=agent,name=edgebnn.agent"]
        self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        wait_for("qemu", port.exists)
        self._agent, self._unread = socket.socket(socket.AF_UNIX), b""
        self._agent.connect(str(port))
        assert "hello" in self._answer(BOOT_S)
        wait_for("the board to boot", self._is_up, timeout_s=BOOT_S)
        return time.monotonic() - began

    def cut_power(self) -> None:
        """SIGKILL to qemu: what the board had not written is lost."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
        if self._agent is not None:
            self._agent.close()
        self._qemu = self._agent = None

    def throw_away(self) -> None:
        """Cut its power and forget its disk."""
        self.cut_power()
        shutil.rmtree(self._folder)

    def _is_up(self) -> bool:
        return self.try_run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def try_run(self, *command: str | Path, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root."""
        assert self._agent is not None
        words = list(map(str, command))
        self._agent.settimeout(30)
        self._agent.sendall(json.dumps({"command": words, "timeout_s": timeout_s}).encode() + b"\n")
        done = self._answer(timeout_s + 60)
        return subprocess.CompletedProcess(words, int(str(done["code"])), str(done["out"]), str(done["err"]))

    def _answer(self, timeout_s: float) -> dict[str, object]:
        assert self._agent is not None and self._qemu is not None
        until = time.monotonic() + timeout_s
        self._agent.settimeout(5)
        while b"\n" not in self._unread:
            assert self._qemu.poll() is None, f"qemu ended: {self._console()}"
            assert time.monotonic() < until, f"no answer within {timeout_s:.0f} s: {self._console()}"
            try:
                self._unread += self._agent.recv(65536)
            except TimeoutError:
                continue
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, object] = json.loads(line)
        return answer

    def _console(self) -> str:
        return (self._folder / "console.log").read_text(errors="replace")[-3000:]
