"""The service: what is started, in which order, and how it ends."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

import cv2

from edgebnn.camera.camera import Camera
from edgebnn.camera.frame import Source
from edgebnn.camera.open import open_source
from edgebnn.errors import EdgebnnError
from edgebnn.service.board import read_board
from edgebnn.service.entities import Command
from edgebnn.service.notify import Notifier
from edgebnn_sleep.announce import Announcer
from edgebnn_sleep.clock import Answer, ClockClient, ClockWatch
from edgebnn_sleep.environment import Environment
from edgebnn_sleep.epochs import Epoch
from edgebnn_sleep.hints import HintSender
from edgebnn_sleep.journal import Journal
from edgebnn_sleep.monitor import Live, Monitor
from edgebnn_sleep.scoring import NightScorer
from edgebnn_sleep.settings import SleepSettings
from edgebnn_sleep.sound import Microphone, OpenStream, open_sound_card
from edgebnn_sleep.store import Store
from edgebnn_sleep.timekeeping import MachineTime, Time
from edgebnn_sleep.views import Views

log = logging.getLogger("edgebnn.sleep")

STUCK_S = 60.0
JOURNAL_S = 60.0
"""The clock's journal is looked into so often, and at once when its state changes."""
COMMANDS: dict[str, tuple[str, dict[str, Any]]] = {
    "stop": ("stop", {}),
    "snooze": ("snooze", {}),
    "skip_next": ("skip", {}),
}


class Service:
    """All parts of `edgebnn-sleep run`; `run` returns the exit code."""

    def __init__(
        self,
        settings: SleepSettings,
        *,
        state: Path,
        time: Time | None = None,
        source: Source | None = None,
        fps: float | None = None,
        gap_s: float | None = None,
        open_microphone: OpenStream | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        """Make all parts; nothing runs yet.

        `time`, `source` (with its `fps` and `gap_s`, see Monitor) and `open_microphone` may be simulated ones.
        """
        cv2.setNumThreads(1)
        self.settings, self.state = settings, state
        self.time = time or MachineTime(ZoneInfo(settings.zone) if settings.zone else None)
        self._notifier = notifier or Notifier()
        self.stopping = threading.Event()
        self._failed: BaseException | None = None
        self.store = Store(settings.store.path)
        client = ClockClient(settings.clock.socket)
        self.journal = Journal(client, self.store)
        self._look_into_journal = threading.Event()
        self.watch = ClockWatch(client, on_change=self._on_clock)
        self.hints = HintSender(client, monotonic_s=self.time.monotonic_s)
        self._client = client
        self._commands: queue.Queue[Command] = queue.Queue(maxsize=20)
        self.announcer = Announcer(settings.mqtt, settings.sunrise, board=read_board(), commands=self._commands)
        camera = settings.camera
        if source is None and camera.source:
            source = open_source(camera.source, width=camera.width, height=camera.height, fps=camera.fps)
        self.camera = None if source is None else Camera(source, stuck_s=STUCK_S)
        if open_microphone is None and settings.microphone.enabled:
            open_microphone = open_sound_card(settings.microphone.device)
        self.microphone = (
            None if open_microphone is None else Microphone(open_microphone, offset_db=settings.microphone.offset_db)
        )
        self.scorer = NightScorer(rule=settings.clock.rule, window_left=self._window_left)
        self.monitor = Monitor(
            time=self.time,
            store=self.store,
            scorer=self.scorer,
            hints=self.hints,
            environment=Environment(
                settings.environment.root,
                {str(quantity): name for quantity, name in settings.environment.devices.items()},
            ),
            camera=self.camera,
            microphone=self.microphone,
            notifier=self._notifier,
            bed=camera.bed,
            fps=fps or camera.fps,
            gap_s=gap_s,
            keep_days=settings.store.keep_days,
            on_epoch=self._on_epoch,
        )
        self.views = Views(
            live=lambda: self.monitor.live,
            store=self.store,
            client=client,
            watch=self.watch,
            time=self.time,
            more_problems=self._problems,
        )

    def run(self, *, on_ready: Callable[[str], None] = lambda url: None) -> int:
        """Until a signal comes, `stop` is called or a part fails: 0, or 1. `on_ready` gets the page's address."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
        with ExitStack() as running:
            # Stopped in the reverse order: nothing new comes in, what is known is written, the page goes last.
            url = self._start_page(running)
            running.callback(self.store.close)
            self.announcer.home.start()
            running.callback(self.announcer.home.stop)
            self.announcer.clock(None, self.watch.problem)
            self.announcer.night(self.monitor.live)
            self.watch.start()
            running.callback(self.watch.close)
            self.hints.start()
            running.callback(self.hints.close)
            for name, work in (("journal", self._keep_journal), ("commands", self._obey)):
                thread = threading.Thread(target=work, name=name, daemon=True)
                thread.start()
                running.callback(thread.join, 3.0)
            running.callback(self.stopping.set)
            if self.microphone is not None:
                running.callback(self.microphone.close)
            if self.camera is not None:
                self.camera.start()
                running.callback(self.camera.close)
            self._notifier.ready("measuring")
            on_ready(url)
            try:
                self.monitor.run(self.stopping)
            except Exception as error:
                self._failed = error
                log.exception("the monitor failed, and the service ends to be started anew")
            self._notifier.stopping("stopping")
        log.info("stopped")
        return 1 if self._failed is not None else 0

    def stop(self) -> None:
        """Let `run` end."""
        self.stopping.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()

    def _start_page(self, running: ExitStack) -> str:
        if not self.settings.web.enabled:
            return ""
        # Imported here: without a page the extra [service] is not needed.
        from edgebnn.service.metrics import Metrics
        from edgebnn.service.web.server import serve
        from edgebnn_sleep.page import Page

        page = Page(
            views=self.views,
            clock=self._client,
            store=self.store,
            time=self.time,
            settings=self.settings.web,
            metrics=self._measure(Metrics("sleep")),
            sessions=self.state / "sessions.json",
            on_journal=self.journal.collect,
        )
        server = serve(page.app, self.settings.web)
        running.callback(server.stop)
        return server.url

    def _measure(self, metrics: Any) -> Any:
        for name, text, read in (
            ("movement", "Movement energy of the last frame.", lambda: self.monitor.live.movement),
            ("asleep", "1 asleep, 0 awake.", lambda: float(self.monitor.live.state in ("asleep", "restless"))),
            (
                "camera_streaming",
                "1 while the camera delivers.",
                lambda: float(self.monitor.live.camera == "streaming"),
            ),
            ("clock_answers", "1 while the alarm clock answers.", lambda: float(self.watch.status is not None)),
            ("store_problem", "1 while nights are kept in memory.", lambda: float(bool(self.store.problem))),
        ):
            metrics.gauge(name, text).set_function(read)
        metrics.gauge("epoch_cpu_seconds", "CPU time of the last epoch.").set_function(lambda: self.monitor.epoch_cpu_s)
        return metrics

    # What the parts tell each other

    def _window_left(self) -> float:
        """Of the wake window that is open, what is left, 1 to 0; 1 while none is."""
        status = self.watch.status
        following = status["next"] if status is not None else None
        if not following or following["deadline_s"] <= following["window_start_s"]:
            return 1.0
        left_s = following["deadline_s"] - self.time.now_s()
        return float(min(1.0, max(0.0, left_s / (following["deadline_s"] - following["window_start_s"]))))

    def _on_epoch(self, epoch: Epoch, live: Live) -> None:
        self.announcer.night(live)

    def _on_clock(self, status: Answer | None, problem: str) -> None:
        before, self._clock_problem = getattr(self, "_clock_problem", None), problem
        if before != problem and (problem or before):
            self.monitor.note("alarm", problem or "the alarm clock answers again")
        self.announcer.clock(status, problem)
        self._look_into_journal.set()

    def _keep_journal(self) -> None:
        while not self.stopping.is_set():
            self.journal.collect()
            self._look_into_journal.wait(JOURNAL_S / self.time.speed)
            self._look_into_journal.clear()

    def _obey(self) -> None:
        """Do what MQTT asks for; what the clock refuses stands in the night's log."""
        while not self.stopping.is_set():
            try:
                asked = self._commands.get(timeout=0.5)
            except queue.Empty:
                continue
            command, keys = COMMANDS[asked.key]
            try:
                self._client.ask(command, by="mqtt", **keys)
            except EdgebnnError as error:
                log.warning("MQTT asked for %s: %s", command, error)
                self.monitor.note("mqtt", f"{command} by MQTT: {error}")
            self._look_into_journal.set()

    def _problems(self) -> list[str]:
        found = [f"hints do not reach the alarm clock ({self.hints.problem})"] if self.hints.problem else []
        if self.watch.status is None:
            found = []  # said already
        if self.scorer.problem:
            found.append(self.scorer.problem)
        if self.microphone is not None and self.microphone.problem:
            found.append(self.microphone.problem)
        if self.announcer.home.problem:
            found.append(f"no MQTT broker: {self.announcer.home.problem}")
        return found
