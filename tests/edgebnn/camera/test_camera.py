from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest

from edgebnn.camera.camera import Camera, Status
from edgebnn.camera.clock import SimulatedClock
from edgebnn.camera.files import Folder, Video
from edgebnn.camera.frame import Frame
from edgebnn.camera.record import VideoRecord
from edgebnn.camera.synthetic import Scene, Synthetic


class Watched(Camera):
    """A camera on a simulated clock whose capture runs in the test's own thread, with what it reported."""

    def __init__(self, scene: Scene, **options: object) -> None:
        self.clock = SimulatedClock()
        self.reports: list[Status] = []
        source = Synthetic(scene, clock=self.clock)
        super().__init__(source, on_change=self.reports.append, clock=self.clock, **options)  # type: ignore[arg-type]

    def story(self) -> list[tuple[str, float]]:
        return [(status.state, status.since_ns / 1e9) for status in self.reports]


SMALL = {"width": 64, "height": 48}


def test_it_streams_and_the_newest_frame_wins() -> None:
    camera = Watched(Scene(**SMALL, fps=10, frames=20))
    assert camera.status.state == "starting" and camera.fps == 0
    camera.run()
    assert camera.story() == [("streaming", 0), ("ended", pytest.approx(1.9))]
    assert camera.delivered == 20 and not camera.dropped and camera.losses == 0
    frame = camera.latest(-1)
    assert frame is not None and frame.sequence == 19 and frame.timestamp_ns == pytest.approx(1.9e9)
    assert camera.latest(19, timeout_s=1000) is None  # the end is no reason to wait
    camera.clock.advance(1000)
    assert camera.silence_s == 0


def test_a_lost_camera_is_reported_once_and_tried_with_growing_pauses() -> None:
    camera = Watched(Scene(**SMALL, fps=10, lost_after=20, lost_for=5, frames=30), backoff_s=(1, 4))
    camera.run()
    # The pauses: 1, 2, 4, 4, 4 and 4 seconds.
    assert camera.story() == [
        ("streaming", 0),
        ("camera_lost", pytest.approx(1.9)),
        ("streaming", pytest.approx(1.9 + 19)),
        ("ended", pytest.approx(1.9 + 19 + 0.9)),
    ]
    assert "unplugged" in camera.reports[1].reason and camera.losses == 1 and camera.delivered == 30
    assert isinstance(camera.source, Synthetic) and camera.source.openings == 7


def test_a_camera_that_was_never_there() -> None:
    camera = Watched(Scene(**SMALL, fps=10, missing=3, frames=5), backoff_s=(0.5, 100))
    camera.run()
    assert camera.story()[:2] == [("camera_lost", 0), ("streaming", pytest.approx(0.5 + 1 + 2))]
    assert "missing" in camera.reports[0].reason and camera.losses == 0


def test_steady_streaming_makes_the_next_pauses_short_again() -> None:
    class Losing(Synthetic):
        """Lost after each `lost_after` frames."""

        def __iter__(self) -> Iterator[Frame]:
            self.scene = Scene(**{**vars(self.scene), "lost_after": self.given + lengths.pop(0)})
            return super().__iter__()

    lengths = [20, 20, 20, 150, 20]
    clock = SimulatedClock()
    reports: list[Status] = []
    source = Losing(Scene(**SMALL, fps=10, frames=225), clock=clock)
    Camera(source, backoff_s=(1, 60), on_change=reports.append, clock=clock).run()
    lost = [
        (after.since_ns - before.since_ns) / 1e9
        for before, after in itertools.pairwise(reports)
        if before.state == "camera_lost"
    ]
    assert lost == [pytest.approx(pause) for pause in (1, 2, 4, 1)]


def test_numbers_rise_through_every_loss() -> None:
    seen: list[int] = []

    class Recording(Watched):
        def _deliver(self, frame: Frame) -> None:
            super()._deliver(frame)
            seen.append(frame.sequence)

    Recording(Scene(**SMALL, fps=10, lost_after=4, bad_every=7, frames=12)).run()
    assert seen == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11]


def test_it_shows_signs_of_life_while_it_waits() -> None:
    silences: list[float] = []

    class Listening(SimulatedClock):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            super().wait(event, seconds)
            silences.append(camera.silence_s)
            return event.is_set()

    clock = Listening()
    camera = Camera(Synthetic(Scene(**SMALL, missing=4, fps=10, frames=3), clock=clock), clock=clock)
    camera.run()
    assert len(silences) > 15 and max(silences) <= 1


@pytest.mark.parametrize("bad", ["empty", "dtype", "shape", "size"])
def test_bad_frames_are_dropped_and_counted(bad: str) -> None:
    camera = Watched(Scene(**SMALL, fps=10, bad_every=4, bad=bad, frames=17))
    camera.run()
    assert camera.dropped == {bad: 4} and camera.delivered == 13
    assert [state for state, _ in camera.story()] == ["streaming", "ended"]


def test_nothing_but_bad_frames_is_a_lost_camera() -> None:
    camera = Watched(Scene(**SMALL, fps=10, bad_every=1, bad="dtype", frames=25), bad_frames=10)
    camera.run()
    assert camera.reports[0].state == "camera_lost" and "10 bad frames in a row, the last for its dtype" in (
        camera.reports[0].reason
    )
    assert camera.dropped == {"dtype": 25} and camera.delivered == 0


def test_a_stuck_camera_is_reported_opened_again_and_recovers() -> None:
    camera = Watched(Scene(**SMALL, fps=10, stuck_after=11, stuck_for=80, frames=120), stuck_s=2, backoff_s=(1, 30))
    camera.run()
    assert camera.story() == [
        ("streaming", 0),
        ("stuck", pytest.approx(3.0)),  # 2 s after the frame that repeats
        ("streaming", pytest.approx(8.9)),  # frame 92; a new opening gives its first frame at once
        ("ended", pytest.approx(11.7)),
    ]
    assert "same picture for 2 s" in camera.reports[1].reason and camera.losses == 1
    assert isinstance(camera.source, Synthetic) and camera.source.openings == 3  # again after 1 s, and after 2 s more
    assert camera.latest(-1) is not None


def test_a_stuck_camera_delivers_nothing_until_it_recovers() -> None:
    camera = Watched(Scene(**SMALL, fps=10, stuck_after=11, frames=100), stuck_s=2)
    camera.run()
    assert camera.delivered == 30 and camera.latest(-1, timeout_s=0) is None


def test_a_stuck_camera_that_vanishes_is_lost() -> None:
    scene = Scene(**SMALL, fps=10, stuck_after=11, lost_after=40, lost_for=2, frames=120)
    camera = Watched(scene, stuck_s=2, backoff_s=(5, 5))
    camera.run()
    assert [state for state, _ in camera.story()] == [
        "streaming",
        "stuck",
        "camera_lost",
        "streaming",
        "stuck",
        "ended",
    ]


@pytest.mark.parametrize("options", [{"stuck_s": 0}, {"stuck_s": 1000}])
def test_a_picture_may_stand_still(options: dict[str, float]) -> None:
    camera = Watched(Scene(**SMALL, fps=10, noise=0, faces=0, frames=100), **options)
    camera.run()
    assert [state for state, _ in camera.story()] == ["streaming", "ended"] and camera.delivered == 100


def test_one_pixel_is_a_change() -> None:
    class Nearly(Synthetic):
        def picture(self, number: int) -> np.ndarray:
            image = np.zeros((48, 64, 3), np.uint8)
            image[7, 5, 1] = number % 2  # outside the rows that are compared first
            return image

        def _image(self, number: int) -> np.ndarray:
            return self.picture(number)

    clock, reports = SimulatedClock(), []
    camera = Camera(
        Nearly(Scene(**SMALL, fps=10, frames=60), clock=clock), stuck_s=1, clock=clock, on_change=reports.append
    )
    camera.run()
    assert [status.state for status in reports] == ["streaming", "ended"]


def test_whatever_a_driver_raises_is_a_declared_loss() -> None:
    class Broken(Synthetic):
        def __iter__(self) -> Iterator[Frame]:
            if self.openings == 0:
                self.openings += 1
                raise RuntimeError("ioctl failed")
            return super().__iter__()

    clock, reports = SimulatedClock(), []
    Camera(Broken(Scene(**SMALL, frames=3), clock=clock), clock=clock, on_change=reports.append).run()
    assert [status.state for status in reports] == ["camera_lost", "streaming", "ended"]
    assert reports[0].reason == "RuntimeError: ioctl failed"


def test_a_blocked_camera_is_seen_and_does_not_keep_close_waiting() -> None:
    clock = SimulatedClock()
    source = Synthetic(Scene(**SMALL, hang_after=5), clock=clock)
    camera = Camera(source, clock=clock)
    camera.start()
    frame = camera.latest(3, timeout_s=60)
    assert frame is not None and frame.sequence == 4
    assert camera.latest(4, timeout_s=0) is None and camera.status.state == "streaming"
    clock.advance(11)
    assert camera.silence_s > 10
    assert camera.close(timeout_s=0.01) is False
    source.woken.set()
    assert camera.close(timeout_s=60) is True and camera.status.state == "ended"


def test_every_frame_of_an_unpaced_source_is_taken_in_order() -> None:
    with Camera(Synthetic(Scene(**SMALL, fps=0, frames=300))) as camera:
        numbers = []
        while (frame := camera.latest(numbers[-1] if numbers else -1, timeout_s=60)) is not None:
            numbers.append(frame.sequence)
    assert numbers == list(range(300))


def test_nobody_takes_the_frames_of_a_file_and_it_closes() -> None:
    camera = Camera(Synthetic(Scene(**SMALL, fps=0)))
    camera.start()
    assert camera.latest(timeout_s=60) is not None
    assert camera.close(timeout_s=60) and camera.status.state == "ended"
    assert camera.latest(10**9, timeout_s=1000) is None


def test_closing_before_the_start_and_while_it_waits_for_a_camera() -> None:
    assert Camera(Synthetic(Scene(**SMALL))).close()
    reported = threading.Event()
    camera = Camera(
        Synthetic(Scene(**SMALL, missing=10**9)), backoff_s=(1000, 1000), on_change=lambda status: reported.set()
    )
    with camera:
        assert reported.wait(60) and camera.status.state == "camera_lost"
    assert camera.status.state == "ended"


def test_a_video_ends_and_a_damaged_file_says_why(tmp_path: Path, square: np.ndarray) -> None:
    record = VideoRecord(tmp_path / "a.mp4", fps=10)
    for shift in range(12):
        record.write(np.roll(square, 8 * shift, axis=1))
    record.close()
    clock = SimulatedClock()
    camera = Camera(Video(tmp_path / "a.mp4", paced=True, clock=clock), clock=clock)
    camera.run()
    assert camera.status == Status("ended", "", pytest.approx(1.1e9)) and camera.delivered == 12  # type: ignore[arg-type]
    (tmp_path / "b.mp4").write_bytes(b"no video")
    camera = Camera(Video(tmp_path / "b.mp4"))
    camera.run()
    assert camera.status.state == "ended" and "cannot be opened" in camera.status.reason


def test_a_folder_of_pictures_of_any_size(pictures: Path, square: np.ndarray) -> None:
    with Camera(Folder(pictures)) as camera:
        numbers = []
        while (frame := camera.latest(numbers[-1] if numbers else -1, timeout_s=60)) is not None:
            numbers.append(frame.sequence)
            assert frame.image.shape == square.shape
    assert numbers == [0, 2] and camera.dropped == {"empty": 1}


def test_pictures_for_the_eye_are_not_fetched_by_the_capture() -> None:
    class Lending:
        name, live, paced = "lending", True, True

        def __enter__(self) -> Lending:
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None: ...

        def __iter__(self) -> Iterator[Frame]:
            for number in range(5):
                small = np.full((4, 6, 3), number, np.uint8)
                yield Frame(lambda: pytest.fail("fetched"), clock.now_ns(), number, small=small, size=(60, 40))
            camera._closing.set()

    clock = SimulatedClock()
    camera = Camera(Lending(), clock=clock)
    camera.run()
    assert camera.delivered == 5 and camera.status == Status("ended", "closed", 0)
