from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from edgebnn_face.detector import Detector
from edgebnn_face.pipeline import SILENT_S, Pipeline, Rate, Result
from edgebnn_face.presence import Event
from edgebnn_face.settings import FaceSettings

from edgebnn.camera.camera import Camera, State, Status
from edgebnn.camera.clock import SimulatedClock
from edgebnn.camera.frame import Frame
from edgebnn.camera.synthetic import Scene, Synthetic
from edgebnn.errors import ModelError
from edgebnn.runtime.detections import Detections
from edgebnn.service.notify import Notifier
from tests.apps.edgebnn_face.process import until

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 255, (120, 160, 3), np.uint8)


class FakeNotifier(Notifier):
    def __init__(self) -> None:
        super().__init__(environ={})
        self.fed = 0

    def watchdog(self) -> None:
        self.fed += 1


class FakeSource:
    name, live, paced = "fake", True, True


class FakeCamera(Camera):
    """Gives the frames that a test puts in; `take(frame)` and `turn()` run the pipeline's loop once."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.source = FakeSource()  # type: ignore[assignment]
        self.clock = clock
        self.given: list[Frame] = []
        self.silent_since_ns = 0
        self.now = Status("streaming", "", 0)
        self.dropped = Counter()
        self.losses = 0

    @property
    def status(self) -> Status:
        return self.now

    @property
    def silence_s(self) -> float:
        return (self.clock.now_ns() - self.silent_since_ns) / 1e9

    @property
    def fps(self) -> float:
        return 15.0

    def latest(self, after_sequence: int = -1, *, timeout_s: float = 1.0) -> Frame | None:
        if self.given:
            return self.given.pop()
        self.clock.advance(timeout_s)
        return None

    def declare(self, state: State) -> None:
        self.now = Status(state, "unplugged", self.clock.now_ns())


class FakeDetector(Detector):
    """Sees what the test says."""

    def __init__(self) -> None:
        self.boxes: list[tuple[float, ...]] = []
        self.scores: list[float] | None = None
        self.looks = 0
        self.scored: list[float] = []
        self.fail = False
        self.while_looking: Callable[[], None] = lambda: None
        self.path, self.problem, self.loaded, self._file = "fake", "", 1, None

    @property
    def inference_ms(self) -> float:
        return 2.5

    def detect(self, image: np.ndarray, *, min_score: float) -> Detections:
        self.looks += 1
        self.scored.append(min_score)
        self.while_looking()
        if self.fail:
            raise ModelError("the model failed on this input")
        scores = [0.9] * len(self.boxes) if self.scores is None else self.scores
        return Detections(
            np.array(self.boxes, np.float32).reshape(-1, 4),
            np.array(scores, np.float32),
            np.zeros(len(self.boxes), np.int64),
        )


class Bench:
    """A pipeline among fakes."""

    def __init__(self, **settings: dict[str, object]) -> None:
        self.clock = SimulatedClock(10**9)
        self.camera = FakeCamera(self.clock)
        self.detector = FakeDetector()
        self.notifier = FakeNotifier()
        self.results: list[Result] = []
        self.away: list[list[Event]] = []
        self.pipeline = Pipeline(
            self.camera,
            self.detector,
            FaceSettings.model_validate(settings),
            notifier=self.notifier,
            listeners=[self.results.append],
            away=self.away.append,
            clock=self.clock,
        )
        self.number = 0

    def turn(self) -> None:
        """The loop once."""
        latest = self.camera.latest

        def once(after_sequence: int = -1, *, timeout_s: float = 1.0) -> Frame | None:
            self.pipeline.stop()
            return latest(after_sequence, timeout_s=timeout_s)

        self.camera.latest = once  # type: ignore[method-assign]
        self.pipeline._stopping.clear()
        self.pipeline.run()
        self.camera.latest = latest  # type: ignore[method-assign]

    def take(self, image: np.ndarray = PICTURE, *, after_s: float = 0.1, **options: object) -> Result | None:
        """A frame taken now; its result, None when it was left out."""
        self.clock.advance(after_s)
        self.camera.silent_since_ns = self.clock.now_ns()
        self.number += 1
        self.camera.given.append(Frame(image, self.clock.now_ns(), self.number, **options))  # type: ignore[arg-type]
        before = len(self.results)
        self.turn()
        return self.results[-1] if len(self.results) > before else None


def moving(k: int) -> np.ndarray:
    image = PICTURE.copy()
    image[20:60, 3 * k % 100 : 3 * k % 100 + 40] = 255
    return image


def test_a_face_becomes_a_track_an_event_and_a_count() -> None:
    bench = Bench(presence={"enter_after_s": 0.5, "leave_after_s": 2})
    bench.detector.boxes = [(10, 20, 30, 40)]
    results = [bench.take() for _ in range(10)]
    assert [r.count for r in results if r] == [0] * 6 + [1] * 4
    events = [event for r in results if r for event in r.events]
    assert [(e.kind, e.id, e.count) for e in events] == [("enter", 1, 0), ("count", 0, 1)]
    last = results[-1]
    assert last and last.tracks.ids.tolist() == [1] and last.number == 10
    np.testing.assert_allclose(last.tracks.boxes, [[10, 20, 30, 40]], atol=0.01)
    assert bench.notifier.fed == 10
    bench.detector.boxes = []
    later = [bench.take() for _ in range(25)]
    assert [(e.kind, e.id) for r in later if r for e in r.events] == [("leave", 1), ("count", 0)]


def test_boxes_of_the_small_picture_are_scaled_to_the_large_one() -> None:
    bench = Bench()
    bench.detector.boxes = [(10, 20, 30, 40)]
    result = bench.take(np.zeros((480, 800, 3), np.uint8), small=PICTURE)
    assert result and result.found.boxes.tolist() == [[50, 80, 150, 160]]


def test_the_large_picture_is_never_asked_for() -> None:
    def large() -> np.ndarray:
        raise AssertionError("a copy of the full frame that nobody needs")

    bench = Bench()
    bench.clock.advance(0.1)
    bench.camera.given.append(Frame(large, bench.clock.now_ns(), 1, small=PICTURE, size=(640, 480)))
    bench.turn()
    assert len(bench.results) == 1


def test_region_size_and_score_decide_what_counts_but_all_is_found() -> None:
    left = [[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]]
    bench = Bench(detection={"roi": left, "min_size": 20, "min_score": 0.6})
    bench.detector.boxes = [(10, 20, 30, 30), (100, 20, 30, 30), (40, 60, 19, 30), (10, 80, 30, 30)]
    bench.detector.scores = [0.9, 0.9, 0.9, 0.5]
    for _ in range(3):
        result = bench.take()
    assert result and len(result.tracks) == 1 and len(result.found) == 4
    np.testing.assert_allclose(result.tracks.boxes, [[10, 20, 30, 30]], atol=0.01)
    assert bench.detector.scored[-1] == pytest.approx(0.3)


def test_live_settings_hold_from_the_next_frame_on() -> None:
    bench = Bench(presence={"enter_after_s": 0})
    bench.detector.boxes = [(10, 20, 30, 40)]
    bench.detector.scores = [0.6]
    bench.take()
    bench.take()
    bench.pipeline.settings = FaceSettings.model_validate({"detection": {"min_score": 0.7, "min_size": 35}})
    result = bench.take()
    assert result and not result.tracks.seen.any() and bench.detector.scored[-1] == pytest.approx(0.35)


def test_no_more_than_max_fps_are_looked_at_and_the_newest_wins() -> None:
    bench = Bench(detection={"max_fps": 5})
    looked = [k for k in range(60) if bench.take(moving(k), after_s=1 / 30) is not None]
    assert looked == list(range(0, 60, 6))
    assert bench.notifier.fed == 60  # a frame that is left out is a sign of life too


@pytest.mark.parametrize("jitter", [0.0, 0.004])
def test_a_camera_at_the_very_rate_loses_no_frames(jitter: float) -> None:
    rate = Rate()
    times = np.arange(300) / 15 + RNG.uniform(-jitter, jitter, 300)
    assert sum(rate.passes(round(t * 1e9) + 10**10, 15) for t in times) >= 295
    rate = Rate()
    assert 148 <= sum(rate.passes(round(t * 1e9) + 10**10, 7.5) for t in times) <= 152


def test_rate_after_a_pause_and_after_a_jump_back() -> None:
    rate = Rate()
    assert [rate.passes(round(t * 1e9), 1) for t in (100, 100.5, 101, 500, 500.5, 501)] == [
        True, False, True, True, False, True,
    ]  # fmt: skip
    assert rate.passes(0, 1) and not rate.passes(10**8, 1)


def test_the_rate_drops_while_nothing_moves_and_rises_at_once() -> None:
    bench = Bench(detection={"idle_fps": 2, "idle_after_s": 1, "max_fps": 60})
    for _ in range(20):
        bench.take()
    still = sum(bench.take() is not None for _ in range(50))
    assert 10 <= still <= 13  # of 5 s
    assert not bench.pipeline.figures.moving
    assert all(bench.take(moving(k)) is not None for k in range(1, 20))
    assert bench.notifier.fed == 89


def test_latency_is_from_capture_to_result() -> None:
    bench = Bench()
    bench.detector.while_looking = lambda: bench.clock.advance(0.030)
    bench.clock.advance(1)
    taken_ns = bench.clock.now_ns()
    bench.clock.advance(0.020)  # in the camera's pipe
    bench.camera.given.append(Frame(PICTURE, taken_ns, 1))
    bench.turn()
    assert bench.results[0].latency_ms == pytest.approx(50)
    figures = bench.pipeline.figures
    assert figures.latency_ms == figures.worst_latency_ms == pytest.approx(50) and figures.inference_ms == 2.5
    bench.camera.source.live = False  # type: ignore[misc]
    try:
        result = bench.take()
    finally:
        del bench.camera.source.live  # type: ignore[misc]
    assert result and result.latency_ms == pytest.approx(30)


@pytest.mark.parametrize("state", ["camera_lost", "stuck", "ended"])
def test_without_a_camera_everybody_has_left_after_a_while_and_the_watchdog_is_fed(state: State) -> None:
    bench = Bench(presence={"enter_after_s": 0, "leave_after_s": 3})
    bench.detector.boxes = [(10, 20, 30, 40)]
    for _ in range(5):
        bench.take()
    assert bench.results[-1].count == 1
    bench.camera.declare(state)
    fed = bench.notifier.fed
    for turn in range(100):
        bench.camera.silent_since_ns = bench.clock.now_ns()  # it declares, again and again
        bench.turn()
        assert bool(bench.away) == (turn >= 2)
    assert [[(e.kind, e.count) for e in events] for events in bench.away] == [[("leave", 1), ("count", 0)]]
    assert bench.notifier.fed == fed + 100
    bench.camera.declare("streaming")
    ids = [r.tracks.ids.tolist() for r in (bench.take() for _ in range(3)) if r]
    assert ids[-1] == [2]  # somebody else, as far as we know


def test_that_nobody_was_there_is_unknown_too_once_the_camera_is_away() -> None:
    bench = Bench(presence={"leave_after_s": 3})
    bench.take()
    bench.camera.declare("camera_lost")
    for _ in range(10):
        bench.turn()
    assert bench.away == [[]]


def test_a_moment_without_a_camera_changes_nothing() -> None:
    bench = Bench(presence={"enter_after_s": 0, "leave_after_s": 3})
    bench.detector.boxes = [(10, 20, 30, 40)]
    for _ in range(5):
        bench.take()
    bench.camera.declare("camera_lost")
    bench.turn()
    bench.camera.declare("streaming")
    result = bench.take()
    assert not bench.away and result and result.tracks.ids.tolist() == [1] and result.count == 1


def test_a_silent_capture_thread_starves_the_watchdog() -> None:
    bench = Bench()
    bench.take()
    fed = bench.notifier.fed
    for _ in range(30):
        bench.turn()  # a second each, without frame or word
    assert bench.notifier.fed - fed == int(SILENT_S)
    bench.take()
    assert bench.notifier.fed - fed == int(SILENT_S) + 1


def test_frames_that_fail_starve_the_watchdog_and_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.detector.fail = True
    for _ in range(5):
        assert bench.take() is None
    assert bench.notifier.fed == 0
    bench.detector.fail = False
    assert bench.take() is not None and bench.notifier.fed == 1
    assert [r.message for r in caplog.records] == ["a frame failed: the model failed on this input"]


def test_a_real_camera_and_model_in_a_thread() -> None:
    source = Synthetic(Scene(width=320, height=240, fps=0, frames=40, faces=2))
    results: list[Result] = []
    with Camera(source) as camera:
        pipeline = Pipeline(
            camera, Detector("face", threads=1), FaceSettings(), notifier=FakeNotifier(), listeners=[results.append]
        )
        thread = threading.Thread(target=pipeline.run)
        thread.start()
        until(lambda: len(results) == 40)
        pipeline.stop()
        thread.join(30)
        assert not thread.is_alive()
    assert [r.number for r in results] == list(range(1, 41))  # not paced: each waits until it was taken
    for result in results[5:]:
        truth = source.boxes(result.number)
        boxes = result.tracks.boxes[result.tracks.seen]
        assert len(boxes) == 2
        centres = np.sort(boxes[:, 0] + boxes[:, 2] / 2), np.sort(truth[:, 0] + truth[:, 2] / 2)
        np.testing.assert_allclose(*centres, atol=12)
    assert {tuple(r.tracks.ids.tolist()) for r in results[5:]} == {(1, 2)}
