"""The monitor: frames, sound and sensors in, scored epochs and hints out. One loop, which feeds the watchdog."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import process_time

from edgebnn.camera.camera import Camera
from edgebnn.camera.frame import Frame
from edgebnn.service.notify import Notifier
from edgebnn_sleep.environment import Environment
from edgebnn_sleep.epochs import EPOCH_S, Epoch, Gathering
from edgebnn_sleep.hints import Hint, HintSender
from edgebnn_sleep.motion import MotionMeter, thumbnail
from edgebnn_sleep.nights import night_of, state_of
from edgebnn_sleep.presence import RHYTHM_FOUND, Presence, Rhythm
from edgebnn_sleep.scoring import NightScorer, Score
from edgebnn_sleep.sound import Microphone
from edgebnn_sleep.store import Event, Store
from edgebnn_sleep.timekeeping import Time

log = logging.getLogger("edgebnn.sleep")

TURN_S = 0.5
"""The loop turns at least so often, frames or not."""
CAMERA_BLOCKED_S = 10.0
"""A capture thread silent for longer is blocked: the watchdog is not fed, systemd starts the service anew."""
STEP_S = 2.0
"""Wall time that leaps by more than this against the monotonic clock was set."""
BLIND = {"camera_lost": "camera lost", "stuck": "camera stuck", "ended": "the film has ended"}
"""States of a camera in which nothing is seen, in words."""
AWAY_S, GAP_S = 3600.0, 4 * 3600.0


@dataclass(frozen=True)
class Live:
    """The state of this moment, for the page and MQTT."""

    state: str = "unknown"
    since_s: float | None = None
    movement: float = 0.0
    camera: str = "none"
    camera_problem: str = ""
    out_of_bed_s: float = 0.0
    breathing: bool | None = None
    epoch: Epoch | None = None
    p_wake: float | None = None


class Monitor:
    """Measures and scores until `run`'s event is set."""

    def __init__(
        self,
        *,
        time: Time,
        store: Store,
        scorer: NightScorer,
        hints: HintSender,
        environment: Environment,
        camera: Camera | None = None,
        microphone: Microphone | None = None,
        notifier: Notifier | None = None,
        bed: tuple[float, float, float, float] = (0, 0, 1, 1),
        fps: float = 4,
        gap_s: float | None = None,
        keep_days: int = 730,
        on_epoch: Callable[[Epoch, Live], None] = lambda epoch, live: None,
    ) -> None:
        """`on_epoch` is called in the loop after each epoch.

        Of a faster camera only `fps` frames a second are looked at: between nearer ones too little moves. Nothing is
        seen between frames `gap_s` apart, by default somewhat more than four frames.
        """
        self._time, self._store, self._hints = time, store, hints
        self._camera, self._microphone, self._environment = camera, microphone, environment
        self._scorer = scorer
        self._notifier = notifier or Notifier(environ={})
        self._meter = MotionMeter(bed=bed)
        self._presence, self._rhythm = Presence(), Rhythm()
        self._score: Score | None = None
        self._keep_days = keep_days
        self._least_ns = round(0.75e9 / fps)
        self._gap_s = 4 / fps + 1 if gap_s is None else gap_s
        self._looked_ns: int | None = None
        self.looks = 0
        """Frames looked at so far."""
        self._on_epoch = on_epoch
        self._gathering = Gathering(self._epoch_start())
        self._sequence = -1
        self._camera_state = self._blind_since = ""
        self._offset_s = time.offset_s()
        self._night = night_of(time.now_s(), time.zone())
        self._last_epoch_s = time.now_s()
        self._in_bed_s: float | None = None
        self._cpu_s = process_time()
        self.epoch_cpu_s = 0.0
        """Seconds of CPU that the whole process took during the last epoch."""
        self.live = Live()
        """Replaced as a whole; may be read from any thread."""

    # The loop

    def run(self, stop: threading.Event) -> None:
        """Measure until `stop` is set."""
        self.note("service", "the monitor started")
        while not stop.is_set():
            self.turn(stop)
        self.note("service", "the monitor stopped")

    def turn(self, stop: threading.Event) -> None:
        """One turn: the next frame or a pause, then what is due."""
        frame = None
        if self._camera is None:
            stop.wait(TURN_S / self._time.speed)
        else:
            frame = self._camera.latest(self._sequence, timeout_s=TURN_S / min(self._time.speed, 100.0))
            if frame is None and self._camera.status.state == "ended":
                stop.wait(TURN_S / self._time.speed)
        self._watch_camera()
        self._watch_clock_steps()
        if self._epoch_start() != self._gathering.start_s:
            self._finish_epoch()
        if frame is not None:
            self._sequence = frame.sequence
            self._look(frame)
        if self._camera is None or self._camera.silence_s < CAMERA_BLOCKED_S:
            self._notifier.watchdog()

    def note(self, kind: str, text: str) -> None:
        """A line of the night's log."""
        self._store.add_event(Event(self._time.now_s(), kind, text))

    def _epoch_start(self) -> int:
        return int(self._time.now_s() // EPOCH_S) * EPOCH_S

    def _look(self, frame: Frame) -> None:
        if self._looked_ns is not None and 0 <= frame.timestamp_ns - self._looked_ns < self._least_ns:
            return
        self._looked_ns = frame.timestamp_ns
        grey = thumbnail(frame.small)
        self.looks += 1
        motion = self._meter.update(grey, frame.timestamp_ns)
        if motion is None:
            return
        now_s = self._time.monotonic_s()
        self._gathering.saw(motion, gap_s=self._gap_s)
        self._presence.saw(motion, now_s)
        if motion.area > 0 or motion.light_changed:
            self._rhythm.forget()
        self._rhythm.add(grey, frame.timestamp_ns / 1e9)
        self.live = replace(self.live, movement=motion.energy, out_of_bed_s=self._presence.out_for_s(now_s))

    def _watch_camera(self) -> None:
        if self._camera is None:
            return
        status = self._camera.status
        if status.state == self._camera_state:
            return
        before, self._camera_state = self._camera_state, status.state
        if status.state in BLIND:
            self._presence.lost()
            self._rhythm.forget()
            what = BLIND[status.state]
            self._blind_since = dt.datetime.fromtimestamp(self._time.now_s(), self._time.zone()).strftime("%H:%M")
            self.note("camera", f"{what}: {status.reason}" if status.reason else what)
            self._hint(reason="")
        elif status.state == "streaming" and before in ("camera_lost", "stuck"):
            self.note("camera", "camera is back")
        self.live = replace(self.live, camera=status.state, camera_problem=status.reason)

    def _watch_clock_steps(self) -> None:
        offset_s = self._time.offset_s()
        step_s, self._offset_s = offset_s - self._offset_s, offset_s
        if abs(step_s) > STEP_S:
            self.note("clock", f"the time was set {'forward' if step_s > 0 else 'back'} by {abs(step_s):.0f} s")

    # Epochs

    def _finish_epoch(self) -> None:
        gathering, self._gathering = self._gathering, Gathering(self._epoch_start())
        strength = self._rhythm.strength()
        breathing = None if strength is None else strength >= RHYTHM_FOUND
        if breathing:
            self._presence.breathes(self._time.monotonic_s())
        elif breathing is False:
            self._presence.breathless(self._time.monotonic_s())
        sound = self._microphone.levels() if self._microphone is not None else None
        epoch = gathering.finish(self._presence, sound, self._environment.read())
        self._begin_night_if_due()
        self._score = self._scorer.add(epoch.start_s, epoch.activity)
        if self._score is not None:
            epoch = replace(
                epoch,
                p_wake=round(self._score.p_wake, 4),
                asleep=int(self._score.asleep),
                restless=int(self._score.restless),
                stage=self._score.stage,
            )
        self._last_epoch_s = self._time.now_s()
        self._store.add_epoch(epoch)
        state = state_of(epoch)
        since_s = self.live.since_s if state == self.live.state and self.live.since_s else float(epoch.start_s)
        self.live = replace(
            self.live, state=state, since_s=since_s, breathing=breathing, epoch=epoch, p_wake=epoch.p_wake
        )
        # Who is up needs no early ring; whether there is a late one is the clock's affair.
        self._hint(
            reason=self._score.reason if self._score is not None and self._presence.state != "out_of_bed" else ""
        )
        cpu_s = process_time()
        self.epoch_cpu_s, self._cpu_s = cpu_s - self._cpu_s, cpu_s
        self._on_epoch(epoch, self.live)

    def _begin_night_if_due(self) -> None:
        """What is usual in a night is learnt anew after a day, a gap, or an hour in which nobody lay in the bed."""
        now_s = self._time.now_s()
        night = night_of(now_s, self._time.zone())
        in_bed = self._presence.state == "in_bed"
        returned = in_bed and self._in_bed_s is not None and now_s - self._in_bed_s > AWAY_S
        if in_bed:
            self._in_bed_s = now_s
        if night != self._night:
            deleted = self._store.forget_before(now_s - self._keep_days * 86_400)
            if deleted:
                log.info("%d epochs older than %d days were deleted", deleted, self._keep_days)
        if night != self._night or now_s - self._last_epoch_s >= GAP_S or returned:
            self._scorer.begin()
        self._night = night

    def _hint(self, *, reason: str) -> None:
        alive = self._camera is not None and self._camera.status.state == "streaming"
        status = "ok"
        if self._camera is None:
            status = "there is no camera"
        elif self._camera_state in BLIND:
            why = self._camera.status.reason
            status = f"{BLIND[self._camera_state]} at {self._blind_since}" + (f": {why}" if why else "")
        elif not alive:
            status = "the camera has not begun"
        elif self._score is None:
            status = "the camera has not seen enough yet"
        out = {"in_bed": False, "out_of_bed": True}.get(self._presence.state)
        self._hints.offer(Hint(bool(reason) and alive, reason, status, out if alive else None, alive))
