"""What a service tells systemd (Type=notify, WatchdogSec=). Standard library only; nothing happens outside systemd."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends sd_notify(3) messages to $NOTIFY_SOCKET; without one every call does nothing.

    A message that cannot be delivered is dropped: a service must not stop because systemd does not listen, and
    systemd's watchdog notices what is missing. Safe to use from several threads.
    """

    def __init__(self, *, environ: Mapping[str, str] = os.environ, timeout_s: float = 0.5) -> None:
        """Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; a message waits at most `timeout_s` for its place."""
        self._timeout_s = timeout_s
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # abstract namespace
            self._address = "\0" + self._address[1:]
        self.watchdog_s = _watchdog_s(environ) if self._address else None
        """Seconds after which systemd gives up on the service; None without a watchdog for this process."""

    @property
    def enabled(self) -> bool:
        """Whether systemd listens."""
        return bool(self._address)

    def ready(self, status: str = "") -> None:
        """The service is up: systemctl start returns now. `status` is the line that systemctl status shows."""
        self._send("READY=1", status)

    def status(self, text: str) -> None:
        """The line that systemctl status shows."""
        self._send("", text)

    def watchdog(self) -> None:
        """The service works. To be called at least twice in every `watchdog_s`, by the loop that does the work."""
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def stopping(self, status: str = "") -> None:
        """The service is on its way out: systemd waits for TimeoutStopSec=, not for the watchdog."""
        self._send("STOPPING=1", status)

    def _send(self, message: str, status: str = "") -> None:
        if not self._address:
            return
        lines = [message] if message else []
        if status:
            lines.append("STATUS=" + " ".join(status.split()))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(self._timeout_s)
            try:
                sender.sendto("\n".join(lines).encode("utf-8", "replace"), self._address)
            except OSError:
                return


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    usec = environ.get("WATCHDOG_USEC", "")
    return int(usec) / 1e6 if usec.isascii() and usec.isdigit() and int(usec) > 0 else None
