"""The real `edgebnn-face` in a process of its own, as systemd would run it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0


class FaceProcess:
    """A running service; its log in `log`, its standard output in `lines`."""

    def __init__(self, process: subprocess.Popen[str], state: Path) -> None:
        self.process, self.state = process, state
        self.log: list[str] = []
        self.lines: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(process.stderr, self.log), daemon=True),
            threading.Thread(target=self._read, args=(process.stdout, self.lines), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def url(self) -> str:
        """Of the page, once it is up."""
        return until(lambda: next(iter(re.findall(r"the page is at (http://\S+)", self.text)), None), self)

    @property
    def text(self) -> str:
        return "\n".join(self.log)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, list(self.lines)) if "event" in line]

    def live(self) -> dict[str, Any]:
        """What /live says."""
        values: dict[str, Any] = httpx.get(f"{self.url}/live", timeout=10).json()["values"]
        return values

    def metric(self, name: str) -> float:
        text = httpx.get(f"{self.url}/metrics", timeout=10).text
        found = re.search(rf"^edgebnn_face_{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, f"no {name} in:\n{text}"
        return float(found[1])

    def rss_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s*(\d+) kB", status)[0])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(10)
        return code

    @staticmethod
    def _read(stream: Any, lines: list[str]) -> None:
        with stream:
            for line in stream:
                lines.append(line.rstrip("\n"))


@contextmanager
def running(
    folder: Path,
    config: str,
    *,
    environ: Mapping[str, str] | None = None,
    wait: bool = True,
    within: Sequence[str] = (),
) -> Iterator[FaceProcess]:
    """`edgebnn-face run` with `config` (TOML), its state below `folder`; killed at the end if it still runs.

    within: a command that runs it, and becomes it.
    """
    file = folder / "face.toml"
    file.write_text(config)
    command = [sys.executable, "-c", "from edgebnn_face.cli import main; main()"]
    process = subprocess.Popen(
        [*within, *command, "run", "--config", str(file), "--state", str(folder / "state")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environ or {})},
    )
    face = FaceProcess(process, folder / "state")
    try:
        if wait:
            until(lambda: "face: running" in face.text, face)
        yield face
    finally:
        if process.poll() is None:
            process.kill()
        face.wait()


def until(condition: Callable[[], Any], face: FaceProcess | None = None, *, patience_s: float = PATIENCE_S) -> Any:
    """Poll until `condition` holds, and return it; AssertionError with the log after `patience_s`."""
    end = time.monotonic() + patience_s
    while not (outcome := condition()):
        log = "" if face is None else f"; log:\n{face.text}"
        assert time.monotonic() < end, f"nothing after {patience_s} s{log}"
        assert face is None or face.process.poll() is None or condition(), f"it ended{log}"
        time.sleep(0.02)
    return outcome
