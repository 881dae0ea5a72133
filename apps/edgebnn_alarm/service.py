"""`edgebnn-alarm run`: clockwork, socket, button and systemd in one loop that never waits for anybody."""

from __future__ import annotations

import collections
import fcntl
import logging
import os
import select
import signal
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from edgebnn.errors import InputError, UnavailableError
from edgebnn.service.notify import Notifier
from edgebnn_alarm.button import Button
from edgebnn_alarm.clock import Clock, SystemClock
from edgebnn_alarm.clockwork import Clockwork
from edgebnn_alarm.commands import Commands
from edgebnn_alarm.guard_memory import GuardMemory
from edgebnn_alarm.light import Light, NoLight, PwmLight
from edgebnn_alarm.server import Server
from edgebnn_alarm.settings import Settings
from edgebnn_alarm.speaker import Speaker
from edgebnn_alarm.store import Store

LOG = logging.getLogger("edgebnn.alarm")
LOOK_S = 0.5
"""The clock is looked at so often: a step is seen within it. What is due is waited for exactly."""
SOCKET_RETRY_S = 10.0


class Service:
    """One running clock."""

    def __init__(self, settings: Settings, clock: Clock, *, notifier: Notifier | None = None) -> None:
        """Takes the state folder (UnavailableError when another clock has it), reads it, and rings what is due."""
        self._settings, self._clock, self._notifier = settings, clock, notifier or Notifier()
        self._lock = _lock(settings)
        self._speaker = Speaker(settings.sound.outputs, settings.sounds)
        light: Light = PwmLight(settings.light.pin) if settings.light.pin >= 0 else NoLight()
        store = Store(settings.state_dir)
        self.clockwork = Clockwork(clock=clock, store=store, speaker=self._speaker, light=light, rules=settings.rules)
        self.clockwork.take(GuardMemory(settings.state_dir).read())
        self.clockwork.tick()
        self._commands = Commands(self.clockwork)
        self._wake_out, self._wake_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._presses: collections.deque[str] = collections.deque(maxlen=16)
        self._stopping = False
        self._server: Server | None = None
        self._server_retry_s = 0.0
        self._server_error = ""
        self._said: dict[str, Any] = {}
        self._headline = ""
        self._button = self._make_button()
        self._speaker.prepare()

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self.clockwork.write("service", "the clock started")
        self._listen()
        self._notifier.ready()
        try:
            more = False
            while not self._stopping:
                idle_s = self.clockwork.tick() / self._clock.speed
                self._notifier.watchdog()
                self._press()
                self._end_test()
                self._listen()
                self._publish()
                more = self._wait(0.0 if more else min(LOOK_S, idle_s))
        finally:
            self._notifier.stopping()
            self.close()

    def close(self) -> None:
        """Save the time, close everything; what rings goes on at the next start."""
        self.clockwork.write("service", "the clock stopped")
        self.clockwork.save()
        self._speaker.silence()
        self._speaker.join(1.0)
        if self._server is not None:
            self._server.close()
        if self._button is not None:
            self._button.close()
        self.clockwork.store.close()
        for number in (self._wake_in, self._wake_out, self._lock):
            if number is not None:
                os.close(number)

    def _wait(self, timeout_s: float) -> bool:
        if self._server is not None:
            return self._server.turn(timeout_s)
        if select.select([self._wake_out], [], [], timeout_s)[0]:
            os.read(self._wake_out, 4096)
        return False

    def _listen(self) -> None:
        """Without a socket the clock rings all the same, and tries again."""
        if self._server is not None or time.monotonic() < self._server_retry_s:
            return
        try:
            self._server = Server(self._settings.socket, self._commands.answer, wake_fd=self._wake_out)
        except UnavailableError as error:
            self._server_retry_s = time.monotonic() + SOCKET_RETRY_S
            if str(error) != self._server_error:
                self._server_error = str(error)
                LOG.error("%s", error)
                self.clockwork.note("service", str(error))

    def _publish(self) -> None:
        clockwork = self.clockwork
        self._wake_words()
        if self._server is None or not self._server.watched:
            self._said = {}
            return
        status = self._commands.status()
        said = {key: value for key, value in status.items() if key not in ("now", "now_s")}
        if said != self._said:
            if self._said or clockwork.sounding:
                self._server.publish({"event": "status", "status": status})
            self._said = said

    def _wake_words(self) -> None:
        """The line of `systemctl status`."""
        following = None if self.clockwork.ringing else self.clockwork.plan.next
        headline = (
            "rings" if self.clockwork.ringing else f"next alarm {following.key.time:%H:%M}" if following else "no alarm"
        )
        headline += f", clock {self.clockwork.now.status}"
        if headline != self._headline:
            self._headline = headline
            self._notifier.status(headline)

    # -- the button

    def _make_button(self) -> Button | None:
        if self._settings.button.pin < 0:
            return None
        try:
            button = Button(self._settings.button.pin, pressed=self._pressed, held=self._held)
        except Exception as error:  # gpiozero raises many kinds; the socket still stops it
            self._commands.button = f"the button on pin {self._settings.button.pin} cannot be used: {error}"
            self.clockwork.note("button", self._commands.button)
            return None
        self._commands.button = "ok"
        return button

    def _pressed(self) -> None:
        """In gpiozero's thread."""
        if self._settings.button.press == "stop":
            self._speaker.silence()  # at once, whatever the loop waits for
        self._presses.append(self._settings.button.press)
        self._wake()

    def _held(self) -> None:
        self._speaker.silence()
        self._presses.append("stop")
        self._wake()

    def _press(self) -> None:
        while self._presses:
            press = self._presses.popleft()
            if press == "stop":
                self.clockwork.stop(by="button")
            else:
                try:
                    self.clockwork.snooze(by="button")
                except InputError as error:
                    LOG.info("button: %s", error)

    # -- small things

    def _end_test(self) -> None:
        ends_s = self._commands.test_ends_boot_s
        if ends_s is not None and (self.clockwork.now.boot_s >= ends_s or self.clockwork.sounding):
            self._commands.test_ends_boot_s = None
            if not self.clockwork.sounding:
                self._speaker.silence()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._wake_in, b"\0")


def _lock(settings: Settings) -> int | None:
    """One clock per state folder; None where the folder cannot be written, which must not keep it from ringing."""
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        number = os.open(settings.state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        LOG.error("%s cannot be written: %s", settings.state_dir, error.strerror)
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        raise UnavailableError(
            f"another edgebnn-alarm has {settings.state_dir}: stop it, or give this one another service.state_dir"
        ) from None
    return number


def system_clock(settings: Settings) -> SystemClock:
    """The machine's clock in the zone of the settings."""
    return SystemClock(settings.time.zone)
