"""The monitor on drawn frames: a whole night, cameras that fail, clocks that are set, what is and is not kept."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from edgebnn_sleep.environment import Environment
from edgebnn_sleep.hints import Hint
from edgebnn_sleep.monitor import Monitor
from edgebnn_sleep.nights import night_of, summarize
from edgebnn_sleep.scoring import MovementScorer, NightScorer
from edgebnn_sleep.simulate import HEIGHT, WIDTH, Bed, Sleeper
from edgebnn_sleep.sound import Sound
from edgebnn_sleep.store import Store

from edgebnn.camera.camera import Camera
from edgebnn.camera.frame import Frame
from tests.apps.edgebnn_sleep.nights import BERLIN, EVENING
from tests.apps.edgebnn_sleep.test_environment import device


class ManualTime:
    """Passes only when somebody waits, or by `pass_s`; may be set."""

    speed = 1e9

    def __init__(self) -> None:
        self._passed_s = 0.0
        self.set_by_s = 0.0

    def now_s(self) -> float:
        return EVENING.timestamp() + self.set_by_s + self._passed_s

    def monotonic_s(self) -> float:
        return self._passed_s

    def offset_s(self) -> float:
        return EVENING.timestamp() + self.set_by_s

    def zone(self):
        return BERLIN

    def wait_until(self, monotonic_s: float) -> bool:
        self._passed_s = max(self._passed_s, monotonic_s)
        return True


class Hints:
    """Keeps what would be told to the clock."""

    problem = ""

    def __init__(self) -> None:
        self.offered: list[Hint] = []

    def offer(self, hint: Hint) -> None:
        self.offered.append(hint)


class Eyes:
    """A camera whose state the test sets; gives a still picture every half second unless it is lost."""

    def __init__(self, time: ManualTime) -> None:
        self._time = time
        self._random = np.random.default_rng(0)
        self.state, self.reason, self.silence_s, self.sequence = "streaming", "", 0.0, 0
        self.picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)

    @property
    def status(self):
        return SimpleNamespace(state=self.state, reason=self.reason)

    def latest(self, after: int, *, timeout_s: float) -> Frame | None:
        self._time.wait_until(self._time.monotonic_s() + 0.5)
        if self.state != "streaming":
            return None
        self.sequence += 1
        noisy = self.picture + self._random.integers(-2, 3, self.picture.shape)
        image = np.clip(noisy, 0, 255).astype(np.uint8)
        return Frame(image, round(self._time.monotonic_s() * 1e9), self.sequence)


class Room:
    """A monitor with its parts."""

    def __init__(self, folder: Path, **parts) -> None:
        self.time, self.hints = ManualTime(), Hints()
        self.eyes = Eyes(self.time)
        self.store = Store(folder / "nights.sqlite3")
        self.fed = 0
        self.stop = threading.Event()
        notifier = SimpleNamespace(watchdog=self._feed)
        self.monitor = Monitor(
            time=self.time, store=self.store, hints=self.hints, environment=Environment(folder / "iio"),
            scorer=NightScorer(make_network=MovementScorer), notifier=notifier,
            **{"camera": self.eyes, "fps": 2} | parts,
        )  # fmt: skip

    def _feed(self) -> None:
        self.fed += 1

    def turn(self, seconds: float) -> None:
        until_s = self.time.monotonic_s() + seconds
        while self.time.monotonic_s() < until_s:
            self.monitor.turn(self.stop)

    def texts(self) -> list[str]:
        return [event.text for event in self.store.events(0, 1e12)]


@pytest.fixture
def room(tmp_path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.store.close()


def test_epochs_lie_on_the_clock(room, tmp_path):
    (tmp_path / "iio").mkdir()
    device(tmp_path / "iio", 0, "bme280", in_temp_input="21000")
    room.turn(301)
    epochs = room.store.epochs(0, 1e12)
    assert [e.start_s for e in epochs] == [int(EVENING.timestamp()) + 30 * n for n in range(10)]
    assert all(e.activity == pytest.approx(0, abs=0.5) and e.seen_s == pytest.approx(30, abs=1.1) for e in epochs)
    assert all(e.temperature_c == 21 for e in epochs)
    assert room.monitor.live.epoch == epochs[-1]


def test_movement_is_activity(room):
    room.turn(31)
    for step in range(60):
        room.eyes.picture[10:40, step : step + 20] = 160
        room.monitor.turn(room.stop)
        room.eyes.picture[10:40, step : step + 20] = 90
    room.turn(31)
    still, moved, *_ = room.store.epochs(0, 1e12)
    assert moved.activity > 100 * max(still.activity, 0.1) and moved.moved_s > 20
    assert moved.presence == 1


def test_a_lost_camera_is_said_hinted_and_a_gap(room):
    room.turn(40)
    room.eyes.state, room.eyes.reason = "camera_lost", "unplugged"
    fed = room.fed
    room.turn(60)
    assert "camera lost: unplugged" in room.texts()
    assert room.hints.offered[-1] == Hint(False, "", "camera lost at 22:30: unplugged", None, False)
    assert room.store.epochs(0, 1e12)[-1].activity is None
    assert room.monitor.live.state == "unknown" and room.monitor.live.camera == "camera_lost"
    assert room.fed - fed >= 100, "a declared loss feeds the watchdog"
    room.eyes.state, room.eyes.reason = "streaming", ""
    room.turn(62)
    assert room.texts()[-1] == "camera is back"
    assert room.store.epochs(0, 1e12)[-1].activity is not None
    assert room.hints.offered[-1].camera is True


def test_a_blocked_camera_starves_the_watchdog(room):
    room.turn(10)
    room.eyes.silence_s = 11.0
    fed = room.fed
    room.turn(20)
    assert room.fed == fed


def test_no_camera_at_all(tmp_path):
    room = Room(tmp_path, camera=None)

    class Stop(threading.Event):
        def wait(self, timeout=None):
            room.time.wait_until(room.time.monotonic_s() + 0.5)
            return False

    room.stop = Stop()
    room.turn(61)
    assert [e.activity for e in room.store.epochs(0, 1e12)] == [None, None]
    assert room.hints.offered[-1] == Hint(False, "", "there is no camera", None, False)
    assert room.fed > 100
    room.store.close()


@pytest.mark.parametrize(("step_s", "words"), [(3600, "forward by 3600 s"), (-3600, "back by 3600 s")])
def test_a_clock_that_is_set(room, step_s, words):
    room.turn(100)
    room.time.set_by_s += step_s
    room.turn(100)
    assert f"the time was set {words}" in room.texts()
    starts = [e.start_s for e in room.store.epochs(0, 1e12)]
    assert len(starts) == len(set(starts)) >= 5


def test_light_switched_on_is_no_movement(room):
    room.turn(31)
    room.eyes.picture[:, 40:] = 200
    room.turn(31)
    assert all(e.activity < 1 for e in room.store.epochs(0, 1e12))


def test_sound_is_in_the_epoch(tmp_path):
    microphone = SimpleNamespace(levels=lambda: Sound(-40.0, -20.0, -50.0))
    room = Room(tmp_path, microphone=microphone)
    room.turn(31)
    (epoch,) = room.store.epochs(0, 1e12)
    assert (epoch.sound_db, epoch.peak_db, epoch.snore_db) == (-40.0, -20.0, -50.0)
    room.store.close()


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_whole_night(tmp_path, record_property):
    """Eight hours of drawn frames through the camera's thread: the sleep is found, memory and database stay small."""
    time = ManualTime()
    sleeper = Sleeper(7, begins_s=EVENING.timestamp() + 600)
    bed = Bed(sleeper, time, seed=1, fps=0.125)
    bed.paced = False  # a frame waits until it was looked at
    store = Store(tmp_path / "nights.sqlite3")
    stop = threading.Event()
    hints = Hints()
    seen: list[int] = []

    def on_epoch(epoch, live) -> None:
        seen.append(rss_bytes())
        if time.now_s() > sleeper.ends_s:
            stop.set()

    with Camera(bed) as camera:
        monitor = Monitor(
            time=time, store=store, hints=hints, environment=Environment(tmp_path), camera=camera, fps=0.125,
            scorer=NightScorer(make_network=MovementScorer), on_epoch=on_epoch,
        )  # fmt: skip
        used = resource.getrusage(resource.RUSAGE_SELF)
        monitor.run(stop)
        after = resource.getrusage(resource.RUSAGE_SELF)
    epochs = store.epochs(0, 1e12)
    store.close()
    cpu_s = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    record_property("cpu_ms_per_epoch", 1000 * cpu_s / len(epochs))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    print(f"{1000 * cpu_s / len(epochs):.2f} ms CPU per epoch, database {size / 1e6:.2f} MB")
    assert len(epochs) >= len(sleeper.night) + 15
    assert size < 1_000_000
    assert seen[-1] - seen[len(seen) // 4] < 5_000_000
    summary = summarize(night_of(EVENING.timestamp(), BERLIN), epochs)
    slept_min = float((sleeper.night.stage > 0).sum()) / 2
    assert summary.asleep_min == pytest.approx(slept_min, rel=0.25)
    # Nothing that shows or lets hear the sleeper is on the disk.
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"nights.sqlite3"}
    assert b"\xff\xd8\xff" not in (tmp_path / "nights.sqlite3").read_bytes()
