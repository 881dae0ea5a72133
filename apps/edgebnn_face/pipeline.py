"""From frames to who is there: one thread, the newest frame wins, nothing queues."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from edgebnn.camera.camera import Camera
from edgebnn.camera.clock import Clock
from edgebnn.camera.frame import Frame
from edgebnn.errors import EdgebnnError
from edgebnn.runtime.detections import Detections
from edgebnn.runtime.tracker import Tracker, Tracks
from edgebnn.service.notify import Notifier
from edgebnn_face.detector import Detector
from edgebnn_face.motion import GRID, MotionGate
from edgebnn_face.presence import Event, Presence
from edgebnn_face.region import cells, inside
from edgebnn_face.settings import FaceSettings

logger = logging.getLogger("edgebnn.pipeline")

SILENT_S = 10.0
"""A capture thread that neither delivers nor declares for so long is blocked: the watchdog is fed no more."""
LOW_SCORE = 0.5
"""Least score that keeps a track alive, as a share of `min_score`."""
LOOK_AGAIN_S = 2.0
"""Between two looks at the model's file."""
TURN_S = 1.0
"""Longest wait for a frame."""
LATELY = 60
"""Frames over which times are averaged."""


@dataclass(frozen=True)
class Result:
    """What a frame showed.

    number: 1, 2, ...; found: every detection from the least score that keeps a track alive, also outside of the region
    of interest, in pixels of frame.image; tracks: in the same pixels; latency_ms: from capture to this result (of a
    file, from when the frame was taken up); inference_ms: the network's share.
    """

    number: int
    frame: Frame
    found: Detections
    tracks: Tracks
    events: tuple[Event, ...]
    count: int
    moving: bool
    latency_ms: float
    inference_ms: float


@dataclass(frozen=True)
class Figures:
    """How the pipeline does, over its last frames; times in ms, nan before the first."""

    frames: int
    fps: float
    camera_fps: float
    latency_ms: float
    worst_latency_ms: float
    inference_ms: float
    moving: bool
    count: int


class Pipeline:
    """Looks at the newest frame of `camera`, again and again, until `stop`.

    `listeners` get each Result in the pipeline's thread: what they do costs frames. After each frame, and after each
    turn in which the camera has declared why there is none, the watchdog is fed; after a frame that failed it is not.
    """

    def __init__(
        self,
        camera: Camera,
        detector: Detector,
        settings: FaceSettings,
        *,
        notifier: Notifier,
        listeners: Sequence[Callable[[Result], None]] = (),
        away: Callable[[list[Event]], None] = lambda events: None,
        clock: Clock | None = None,
    ) -> None:
        """`away` gets the events, perhaps none, when the camera is away so long that nobody knows who is there."""
        self.settings = settings
        """May be replaced at any time; of those that are not LIVE the first ones hold."""
        self.camera, self.detector = camera, detector
        self._notifier, self._listeners, self._away = notifier, listeners, away
        self._clock = clock or Clock()
        self._roi = settings.detection.roi
        self._gate = MotionGate(hold_s=settings.detection.idle_after_s, mask=cells(self._roi, *GRID))
        score = settings.detection.min_score
        self._tracker = Tracker(min_score=score, low_score=LOW_SCORE * score)
        self._presence = Presence(enter_after_s=0, leave_after_s=0)
        self._rate = Rate()
        self._moving = True
        self._sequence = -1
        self._frames = 0
        self._failure = ""
        self._looked_ns = self._clock.now_ns()
        self._inferred_ns: int | None = None
        self._times: deque[tuple[int, float, float]] = deque(maxlen=LATELY)  # timestamp, latency, inference
        self._stopping = threading.Event()
        self._present = False

    def run(self) -> None:
        """What the inference thread does; returns after `stop`."""
        while not self._stopping.is_set():
            frame = self.camera.latest(self._sequence, timeout_s=TURN_S)
            if frame is not None:
                self._sequence = frame.sequence
                fine = self._take(frame)
            else:
                fine = self._go_without()
            if fine:
                self._notifier.watchdog()
            if self._clock.now_ns() - self._looked_ns >= LOOK_AGAIN_S * 1e9:
                self._looked_ns = self._clock.now_ns()
                self.detector.look_again()

    def stop(self) -> None:
        """Let `run` return after the frame that it is at."""
        self._stopping.set()

    @property
    def figures(self) -> Figures:
        """How it does."""
        times = list(self._times)
        seconds = (times[-1][0] - times[0][0]) / 1e9 if len(times) > 1 else 0.0
        streaming = self.camera.status.state == "streaming"
        return Figures(
            frames=self._frames,
            fps=(len(times) - 1) / seconds if seconds > 0 and streaming else 0.0,
            camera_fps=self.camera.fps,
            latency_ms=median(t[1] for t in times) if times else float("nan"),
            worst_latency_ms=max((t[1] for t in times), default=float("nan")),
            inference_ms=median(t[2] for t in times) if times else float("nan"),
            moving=self._moving,
            count=self._presence.count,
        )

    def _take(self, frame: Frame) -> bool:
        """Look at a frame, or leave it out; whether all is well."""
        taken_ns = self._clock.now_ns()
        wanted = self.settings.detection
        if self.camera.source.paced and not self._rate.passes(frame.timestamp_ns, wanted.max_fps):
            return True
        try:
            self._moving = self._gate.update(frame.small, frame.timestamp_ns)
            if self._moving or self._is_due(frame.timestamp_ns):
                self._inferred_ns = frame.timestamp_ns
                self._look(frame, taken_ns)
        except EdgebnnError as error:
            if self._failure != str(error):
                logger.error("a frame failed: %s", error)
            self._failure = str(error)
            return False
        self._failure = ""
        return True

    def _is_due(self, timestamp_ns: int) -> bool:
        """Whether it is time to look again although nothing moves."""
        since_s = (timestamp_ns - self._inferred_ns) / 1e9 if self._inferred_ns is not None else -1.0
        return not 0 <= since_s * self.settings.detection.idle_fps < 1 - Rate.SLACK

    def _look(self, frame: Frame, taken_ns: int) -> None:
        wanted, presence = self.settings.detection, self.settings.presence
        tracker = self._tracker
        tracker.min_score, tracker.low_score = wanted.min_score, LOW_SCORE * wanted.min_score
        tracker.max_unseen_s = self._presence.leave_after_s = presence.leave_after_s
        self._presence.enter_after_s = presence.enter_after_s
        small = frame.small
        found = self.detector.detect(small, min_score=tracker.low_score)
        size = np.array([frame.width, frame.height], np.float32)
        scale = size / np.array([small.shape[1], small.shape[0]], np.float32)
        found = Detections(found.boxes * np.tile(scale, 2), found.scores, found.classes)
        middle = (found.boxes[:, :2] + found.boxes[:, 2:] / 2) / size
        counts = inside(self._roi, middle.astype(np.float64)) & (found.boxes[:, 2:] >= wanted.min_size).all(axis=1)
        inferred = Detections(found.boxes[counts], found.scores[counts], found.classes[counts])
        tracks = tracker.update(inferred, frame.timestamp_ns)
        events = tuple(self._presence.update(tracks, frame.timestamp_ns))
        since_ns = frame.timestamp_ns if self.camera.source.live else taken_ns
        latency_ms = max(0, self._clock.now_ns() - since_ns) / 1e6
        self._frames += 1
        inference_ms = self.detector.inference_ms
        self._times.append((frame.timestamp_ns, latency_ms, inference_ms))
        result = Result(
            self._frames, frame, found, tracks, events, self._presence.count, self._moving, latency_ms, inference_ms
        )
        self._present = True
        for listener in self._listeners:
            listener(result)

    def _go_without(self) -> bool:
        """A turn without a frame; whether the camera has said why."""
        status = self.camera.status
        if status.state in ("camera_lost", "stuck", "ended"):
            now_ns = self._clock.now_ns()
            self._gate.forget()
            if self._present and now_ns - status.since_ns >= self.settings.presence.leave_after_s * 1e9:
                self._present = False
                nothing = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
                self._tracker.update(nothing, now_ns)
                self._away(self._presence.clear(now_ns))
        if status.state == "ended":  # no frame will be waited for
            self._stopping.wait(TURN_S)
        return self.camera.silence_s <= SILENT_S


class Rate:
    """Lets through so many frames per second, by their timestamps, and the first one after a pause."""

    SLACK = 0.1
    """Of a period: how early a frame may come, since cameras are not on the dot."""

    def __init__(self) -> None:
        """The first frame passes."""
        self._due_ns: float | None = None

    def passes(self, timestamp_ns: int, fps: float) -> bool:
        """Whether a frame taken at `timestamp_ns` is looked at; on average no more than `fps` a second are."""
        period = 1e9 / fps
        due = self._due_ns
        if due is not None and due - 2 * period <= timestamp_ns < due - self.SLACK * period:
            return False
        if due is None or not timestamp_ns - period <= due <= timestamp_ns + period:
            due = float(timestamp_ns)  # a pause, or another clock
        self._due_ns = due + period
        return True
