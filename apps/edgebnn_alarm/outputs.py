"""Where sound goes. Each output is one try: it works until it raises OutputError.

PCM outputs are programs that read from a pipe, so that a sound library that hangs or crashes is not the clock's end.
"""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edgebnn.errors import EdgebnnError

STUCK_S = 2.0
"""An output that takes nothing for so long has failed."""
_EVENT = struct.Struct("@llHHi")  # struct input_event
_EV_SYN, _EV_SND, _SND_TONE = 0x00, 0x12, 0x02


class OutputError(EdgebnnError):
    """An output failed: the next one's turn."""


class Output(Protocol):
    """Takes 16-bit mono PCM at the rate it was opened with."""

    def write(self, pcm: bytes, *, loud: bool) -> None:
        """Take the next piece; OutputError when it cannot. `loud`: the second half-second of each second is a pause."""

    def close(self) -> None:
        """Be silent at once."""


class Program:
    """A program that plays raw PCM from its standard input."""

    def __init__(self, command: Sequence[str]) -> None:
        """Starts it; OutputError when there is no such program."""
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise OutputError(f"{command[0]} cannot be started: {error.strerror}") from None
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        os.set_blocking(self._pipe, False)

    def write(self, pcm: bytes, *, loud: bool) -> None:
        """See Output."""
        waited_until = time.monotonic() + STUCK_S
        view = memoryview(pcm)
        while view:
            if self._process.poll() is not None:
                raise OutputError(self._last_words())
            _, writable, _ = select.select([], [self._pipe], [], 0.1)
            if writable:
                try:
                    view = view[os.write(self._pipe, view) :]
                except BlockingIOError:
                    continue
                except OSError:
                    raise OutputError(self._last_words()) from None
            elif time.monotonic() > waited_until:
                raise OutputError(f"it took no sound for {STUCK_S:.0f} s")

    def close(self) -> None:
        """See Output."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # unwritten bytes of a broken pipe
                    continue
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:  # in the kernel, with a device that hangs
            return

    def _last_words(self) -> str:
        self._process.kill()
        try:
            _, said = self._process.communicate(timeout=1.0)
        except (subprocess.TimeoutExpired, ValueError, OSError):
            said = b""
        lines = said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:200] if lines else f"it ended with code {self._process.returncode}"


class Beeper:
    """A pwm-beeper: an input device that makes a tone as long as it is told to."""

    HERTZ = 2500

    def __init__(self, device: str) -> None:
        """Opens /dev/input/...; OutputError when it cannot."""
        try:
            self._file = os.open(device, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise OutputError(f"{device} cannot be opened: {error.strerror}") from None
        self._tone: bool | None = None

    def write(self, pcm: bytes, *, loud: bool) -> None:
        """See Output; the PCM itself is not looked at."""
        if loud != self._tone:
            self._send(self.HERTZ if loud else 0)
            self._tone = loud

    def close(self) -> None:
        """See Output."""
        try:
            self._send(0)
        except OutputError:  # gone: it is silent
            pass
        finally:
            os.close(self._file)

    def _send(self, hertz: int) -> None:
        try:
            os.write(self._file, _EVENT.pack(0, 0, _EV_SND, _SND_TONE, hertz) + _EVENT.pack(0, 0, _EV_SYN, 0, 0))
        except OSError as error:
            raise OutputError(f"the beeper failed: {error.strerror}") from None


class RawFile:
    """Appends what would be played to a file, for tests and recordings."""

    def __init__(self, file: str) -> None:
        """Opens it; OutputError when it cannot."""
        try:
            self._file = Path(file).open("ab", buffering=0)  # noqa: SIM115, closed by close
        except OSError as error:
            raise OutputError(f"{file} cannot be opened: {error.strerror}") from None

    def write(self, pcm: bytes, *, loud: bool) -> None:
        """See Output."""
        try:
            self._file.write(pcm)
        except OSError as error:
            raise OutputError(f"{self._file.name} cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """See Output."""
        self._file.close()


KINDS = ("sounddevice", "aplay", "beeper", "file")


def open_output(spec: str, rate_hz: int) -> Output:
    """The output of `KIND` or `KIND:DEVICE`, like "aplay:plughw:1,0"; OutputError when it cannot be had."""
    kind, _, device = spec.partition(":")
    if kind == "beeper":
        return Beeper(device)
    if kind == "file":
        return RawFile(device)
    if kind == "aplay":
        to = ["-D", device] if device else []
        # A buffer of 0.2 s: the fade is heard as it is meant, and silence comes at once.
        return Program(["aplay", "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(rate_hz), "-B", "200000", *to])
    return Program([sys.executable, "-m", "edgebnn_alarm.sounddevice_output", str(rate_hz), device])
