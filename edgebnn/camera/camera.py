"""A camera that runs for months: a capture thread, the newest frame, and a declared state whatever happens."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

import numpy as np

from edgebnn.camera.clock import Clock
from edgebnn.camera.frame import Frame, Image, Source, fault
from edgebnn.errors import EdgebnnError, UnavailableError

State = Literal["starting", "streaming", "camera_lost", "stuck", "ended"]

_STEADY_S = 10.0
"""Having streamed for so long makes the next back-off begin at its start."""
_SIGN_S = 1.0
"""The longest silence of a capture thread that waits on purpose."""


class _StuckError(Exception):
    """The picture has not changed for long enough to open the camera again."""


@dataclass(frozen=True)
class Status:
    """What a camera does, why (empty where there is nothing to say), and since when on its clock."""

    state: State
    reason: str
    since_ns: int


class Camera:
    """The frames of a source, taken by a thread of their own into a slot of size one: the newest wins.

    States: `starting` until the first good frame, then `streaming`; `camera_lost` while a live source gives none, which
    is opened again and again, after `backoff_s[0]` seconds, then twice as long each time up to `backoff_s[1]`; `stuck`
    when a live source has given the very same pixels for `stuck_s` (0: never; a sensor has noise), until they change,
    and opened again meanwhile; `ended` after the last frame of a file, after an error in one, and when closed.

    Frames that are none (empty, of a wrong dtype or shape, of a live source also of another size than its first) are
    dropped and counted in `dropped` by reason; after `bad_frames` of them in a row a live source is lost.
    """

    def __init__(
        self,
        source: Source,
        *,
        backoff_s: tuple[float, float] = (1.0, 30.0),
        stuck_s: float = 30.0,
        bad_frames: int = 30,
        on_change: Callable[[Status], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Nothing runs before `start`. `on_change` is called by the capture thread with each new state."""
        self.source = source
        self.delivered = 0
        """Good frames, also those that nobody took."""
        self.dropped: Counter[str] = Counter()
        """Frames that were none, by reason: "empty", "dtype", "shape", "size"."""
        self.losses = 0
        """How often a camera that had delivered was lost or stuck."""
        self._backoff_s = backoff_s
        self._stuck_s = stuck_s
        self._bad_frames = bad_frames
        self._on_change = on_change
        self._clock = clock or Clock()
        self._status = Status("starting", "", self._clock.now_ns())
        self._sign_ns = self._clock.now_ns()
        self._fresh = threading.Condition()
        self._slot: Frame | None = None
        self._taken = -1
        self._sequence = -1
        self._delay_s = backoff_s[0]
        self._times: deque[int] = deque(maxlen=31)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self.run, name="capture", daemon=True)

    def __enter__(self) -> Camera:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def start(self) -> None:
        """Start the capture thread."""
        self._thread.start()

    def close(self, *, timeout_s: float = 2.0) -> bool:
        """Stop; False when the thread is blocked in the source and was left behind (it dies with the process)."""
        self._closing.set()
        with self._fresh:
            self._fresh.notify_all()
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def status(self) -> Status:
        """The state as the capture thread declared it last."""
        return self._status

    @property
    def silence_s(self) -> float:
        """Seconds since the capture thread last delivered a frame or declared a state; more than 10: it is blocked.

        In `camera_lost`, and while nobody takes the frames of a file, it declares once a second. After the end: 0.
        """
        if self._status.state == "ended":
            return 0.0
        return (self._clock.now_ns() - self._sign_ns) / 1e9

    @property
    def fps(self) -> float:
        """Frames per second by the timestamps of the last 30 good frames; 0 unless streaming."""
        times = list(self._times)
        if self._status.state != "streaming" or len(times) < 2 or times[-1] <= times[0]:
            return 0.0
        return (len(times) - 1) * 1e9 / (times[-1] - times[0])

    def latest(self, after_sequence: int = -1, *, timeout_s: float = 1.0) -> Frame | None:
        """The newest frame, once its number is above `after_sequence`; None after `timeout_s`, or at the end.

        Numbers rise through the camera's whole life; a gap is a frame that was missed. Of a source that is not paced
        each frame waits until it was taken.
        """
        with self._fresh:
            self._fresh.wait_for(lambda: self._has(after_sequence) or self._over(), timeout_s)
            if not self._has(after_sequence):
                return None
            assert self._slot is not None
            self._taken = self._slot.sequence
            self._fresh.notify_all()
            return self._slot

    def run(self) -> None:
        """What the capture thread does; returns when closed, or at the end of a file."""
        watch = _Watch(self._stuck_s if self.source.live else 0.0)
        while not self._closing.is_set():
            try:
                with self.source as source:
                    self._take_all(source, watch)
                reason = "it sends no more frames" if self.source.live else ""
            except _StuckError:
                self._delay_s = self._later(self._delay_s)
                continue
            except EdgebnnError as error:
                reason = str(error)
            except Exception as error:  # a driver's own: said and tried again, never a dead thread
                reason = f"{type(error).__name__}: {error}"
            if self._closing.is_set():
                break
            if not self.source.live:
                self._declare("ended", reason)
                return
            self._lose("camera_lost", reason)
            watch.forget()
            self._wait(self._delay_s)
            self._delay_s = self._later(self._delay_s)
        self._declare("ended", "closed")

    def _take_all(self, source: Source, watch: _Watch) -> None:
        """One session, from opening to the last frame."""
        size: tuple[int, ...] | None = None
        first = self._sequence + 1
        bad = 0
        opened_ns = self._clock.now_ns()
        for frame in source:
            if self._closing.is_set():
                return
            self._sign_ns = now_ns = self._clock.now_ns()
            image = frame.small
            problem = fault(image)
            if problem is None and self.source.live and size not in (None, image.shape):
                problem = "size"
            if problem is not None:
                self.dropped[problem] += 1
                bad += 1
                if self.source.live and bad >= self._bad_frames:
                    raise UnavailableError(f"{bad} bad frames in a row, the last for its {problem}")
                continue
            bad, size = 0, image.shape
            if watch.sees_change(image, now_ns):
                self._declare("streaming", "")
                self._deliver(frame.numbered(max(first + frame.sequence, self._sequence + 1)))
            elif self._status.state != "stuck":
                self._lose("stuck", f"the same picture for {self._stuck_s:g} s")
                opened_ns = now_ns
            elif now_ns - opened_ns >= self._delay_s * 1e9:
                raise _StuckError

    def _later(self, delay_s: float) -> float:
        return min(2 * delay_s, self._backoff_s[1])

    def _deliver(self, frame: Frame) -> None:
        with self._fresh:
            self._await_taking()
            self._sequence = frame.sequence
            self._slot = frame
            self._times.append(frame.timestamp_ns)
            self.delivered += 1
            self._fresh.notify_all()

    def _await_taking(self) -> None:
        """Of a source that is not paced, no frame is replaced before somebody took it."""
        while not (self.source.paced or self._taken >= self._sequence or self._closing.is_set()):
            self._fresh.wait(_SIGN_S)
            self._sign_ns = self._clock.now_ns()

    def _lose(self, state: State, reason: str) -> None:
        if self._status.state == "streaming":
            self.losses += 1
            if self._clock.now_ns() - self._status.since_ns >= _STEADY_S * 1e9:
                self._delay_s = self._backoff_s[0]
        with self._fresh:
            self._await_taking()
            self._slot = None
            self._times.clear()
        self._declare(state, reason)

    def _declare(self, state: State, reason: str) -> None:
        """A state that lasts keeps its time, and is reported once; its reason is the latest."""
        self._sign_ns = self._clock.now_ns()
        before = self._status
        since_ns = before.since_ns if before.state == state else self._sign_ns
        with self._fresh:
            self._status = Status(state, reason, since_ns)
            self._fresh.notify_all()
        if before.state != state and self._on_change is not None:
            self._on_change(self._status)

    def _wait(self, seconds: float) -> None:
        until_ns = self._clock.now_ns() + round(seconds * 1e9)
        while not self._closing.is_set() and (left_ns := until_ns - self._clock.now_ns()) > 0:
            self._clock.wait(self._closing, min(_SIGN_S, left_ns / 1e9))
            self._sign_ns = self._clock.now_ns()

    def _has(self, after_sequence: int) -> bool:
        return self._slot is not None and self._slot.sequence > after_sequence

    def _over(self) -> bool:
        return self._status.state == "ended" or self._closing.is_set()


class _Watch:
    """Whether a camera repeats one picture, through all its sessions."""

    def __init__(self, stuck_s: float) -> None:
        self._stuck_s = stuck_s
        self._last: Image | None = None
        self._since_ns = 0
        self.stuck = False

    def sees_change(self, image: Image, now_ns: int) -> bool:
        """Whether the picture is another than the last, or there is no reason yet to mind; sets `stuck`."""
        if self._last is not None and self._stuck_s > 0 and _same(self._last, image):
            self.stuck = self.stuck or now_ns - self._since_ns >= self._stuck_s * 1e9
            return not self.stuck
        self._last, self._since_ns, self.stuck = image, now_ns, False
        return True

    def forget(self) -> None:
        """Start anew: the camera was away."""
        self._last, self.stuck = None, False


def _same(a: Image, b: Image) -> bool:
    """Equal to the last bit; noise shows in the first rows that are compared."""
    return a.shape == b.shape and np.array_equal(a[::16], b[::16]) and np.array_equal(a, b)
