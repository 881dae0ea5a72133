"""The service: what is started, in which order, and how it ends."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import FrameType

import cv2

from edgebnn.camera.camera import Camera, Status
from edgebnn.camera.open import open_source
from edgebnn.errors import EdgebnnError
from edgebnn.service.board import Board, read_board
from edgebnn.service.live import LiveSettings
from edgebnn.service.metrics import Metrics
from edgebnn.service.notify import Notifier
from edgebnn.service.web.server import Server, serve
from edgebnn_face.announce import announce_figures, announce_presence, make_home
from edgebnn_face.detector import Detector
from edgebnn_face.lines import JsonLines, event_line, frame_line
from edgebnn_face.measures import Measures
from edgebnn_face.page import Page
from edgebnn_face.picture import plain
from edgebnn_face.pipeline import Pipeline, Result
from edgebnn_face.presence import Event
from edgebnn_face.settings import FaceSettings
from edgebnn_face.snapshots import Retention, Snapshots

logger = logging.getLogger("edgebnn.face")

KEPT_EVENTS = 100
FIGURES_S = 10.0
"""Between two announcements of the camera's figures."""
LAST_FRAME_S = 5.0
"""How long a stop waits for the frame at work."""


class Service:
    """All parts of `edgebnn-face`; `run` returns the exit code."""

    def __init__(self, live: LiveSettings[FaceSettings], *, state: Path, notifier: Notifier | None = None) -> None:
        """Load the model and make all parts; nothing runs yet. Errors as of Detector and `serve`."""
        settings = live.current
        cv2.setNumThreads(settings.detection.threads)
        self._live, self._notifier = live, notifier or Notifier()
        self._stop = threading.Event()
        self._failed: BaseException | None = None
        self._known = False
        self.events: deque[tuple[Event, datetime]] = deque(maxlen=KEPT_EVENTS)
        """The last events, with the wall-clock time for people."""
        camera = settings.camera
        source = open_source(camera.source, width=camera.width, height=camera.height, fps=camera.fps)
        self.camera = Camera(source, stuck_s=camera.stuck_s, on_change=self._on_camera)
        self.detector = Detector(settings.detection.model, threads=settings.detection.threads)
        self.pipeline = Pipeline(
            self.camera,
            self.detector,
            settings,
            notifier=self._notifier,
            listeners=[self._on_result],
            away=self._on_away,
        )
        kept = settings.snapshots
        self.snapshots = Snapshots(state / "snapshots", Retention(kept.keep_days, kept.max_mb, kept.min_free_mb))
        self.home = make_home(settings.mqtt, read_board())
        self._lines = None if settings.json_lines == "off" else JsonLines(sys.stdout)
        metrics = Metrics("face")
        self._measures = Measures(metrics)
        self._measures.watch(self.pipeline)
        self.page = Page(self, live, metrics=metrics, state=state)
        live.on_change(self._on_settings)

    def run(self) -> int:
        """Until a signal comes or a part fails: 0, or 1."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        with ExitStack() as running:
            # Stopped in the reverse order: first nothing new comes in, then what is known goes out, the page last.
            server = self._start_page(running)
            self._start_outputs(running)
            self._start_pipeline(running)
            self._notifier.ready(self._status_line())
            logger.info("running")
            self._watch(server)
            self._notifier.stopping("stopping")
            logger.info("stopping")
            began = time.monotonic()
        logger.info("stopped after %.2f s", time.monotonic() - began)
        return 1 if self._failed is not None else 0

    def board(self) -> Board:
        """The board as it is now."""
        return read_board(disk=self.snapshots.folder.parent)

    # Starting and stopping

    def _start_page(self, running: ExitStack) -> Server | None:
        settings = self._live.current.web
        if not settings.enabled:
            return None
        server = serve(self.page.app, settings)
        running.callback(self._close_page, server)
        return server

    def _close_page(self, server: Server) -> None:
        if server.stop():
            logger.info("the page is closed")

    def _start_outputs(self, running: ExitStack) -> None:
        self.home.start()
        running.callback(self._say_goodbye)
        announce_presence(self.home, None)
        self.snapshots.start()
        running.callback(self.snapshots.close)
        if self._lines is not None:
            self._lines.start()
            running.callback(self._lines.close)

    def _say_goodbye(self) -> None:
        self.home.stop()
        if self.home.settings.host:
            logger.info("MQTT is offline")

    def _start_pipeline(self, running: ExitStack) -> None:
        self.camera.start()
        running.callback(self._close_camera)
        thread = threading.Thread(target=self._run_pipeline, name="inference", daemon=True)
        thread.start()

        def stop() -> None:
            self.pipeline.stop()
            thread.join(LAST_FRAME_S)
            logger.info("the last frame is done" if not thread.is_alive() else "the last frame is left behind")

        running.callback(stop)

    def _close_camera(self) -> None:
        logger.info("the camera is closed" if self.camera.close() else "the camera does not answer: left behind")

    def _run_pipeline(self) -> None:
        try:
            self.pipeline.run()
        except BaseException as error:
            self._failed = error
            logger.critical("the pipeline failed", exc_info=error)
            self._stop.set()

    def _watch(self, server: Server | None) -> None:
        """The main thread's life: figures now and then, and when the camera comes or goes, until there is a reason."""
        due, announced = time.monotonic(), None
        while not self._stop.wait(0.5):
            if server is not None and not server.alive:
                self._failed = EdgebnnError("the page has ended")
                logger.critical("the page has ended")
                return
            streaming = self.camera.status.state == "streaming"
            if streaming != announced or time.monotonic() >= due:
                due, announced = time.monotonic() + FIGURES_S, streaming
                announce_figures(self.home, self.pipeline.figures, self.board(), streaming=streaming)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()

    # What happens

    def _on_camera(self, status: Status) -> None:
        name = self.camera.source.name
        if status.state == "streaming":
            logger.info("the camera %s sends pictures", name)
        elif not status.reason:
            logger.info("%s: %s", status.state, name)
        elif status.reason != "closed":
            reason = status.reason if name in status.reason else f"{name}: {status.reason}"
            logger.warning("%s: %s", status.state, reason)
        self._notifier.status(self._status_line())

    def _on_settings(self, settings: FaceSettings) -> None:
        self.pipeline.settings = settings
        logger.info("the settings were changed")

    def _on_result(self, result: Result) -> None:
        settings = self._live.current
        self._measures.count(result)
        self._tell(result.events)
        if not self._known:
            self._known = True
            announce_presence(self.home, result.count)
        if self._lines is not None and settings.json_lines == "frames":
            self._lines.put(frame_line(result))
        came = [event.id for event in result.events if event.kind == "enter"]
        if settings.snapshots.enabled and came:  # one picture shows all who came
            self.snapshots.put(plain(result, width=result.frame.width, blur=settings.picture.blur_faces), came[0])
        self.page.show(result)

    def _on_away(self, events: Sequence[Event]) -> None:
        """The camera is away: who was there has left, who is there is unknown."""
        for event in events:
            self._measures.count_event(event)
        self._tell(events)
        self._known = False
        announce_presence(self.home, None)

    def _tell(self, events: Sequence[Event]) -> None:
        now = datetime.now()
        for event in events:
            self.events.append((event, now))
            if self._lines is not None:
                self._lines.put(event_line(event, now))
            if event.kind == "count":
                announce_presence(self.home, event.count)

    def _status_line(self) -> str:
        status = self.camera.status
        return f"{self.camera.source.name}: {status.state}{f' ({status.reason})' if status.reason else ''}"
