"""A whole night in minutes: a drawn sleeper in front of the real monitor, and the real alarm clock beside it.

Everything from the frames on is what runs at night: the camera's thread, movement, epochs, the rule, hints, page. The
sleeper follows a night of the simulator that judges networks (edgebnn.evaluation.sleep.judge); the clock is
`edgebnn-alarm run` as a process of its own, in the same simulated time.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time as machine_time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from edgebnn.camera.frame import Frame
from edgebnn.errors import ConfigError, EdgebnnError, UnavailableError
from edgebnn.evaluation.sleep.judge import HEALTHY, simulate_judged_night
from edgebnn.evaluation.sleep.nights import WAKE
from edgebnn_sleep.alarm_form import WEEKDAYS
from edgebnn_sleep.clock import ClockClient
from edgebnn_sleep.epochs import EPOCH_S
from edgebnn_sleep.service import Service
from edgebnn_sleep.settings import SleepSettings
from edgebnn_sleep.sound import SAMPLE_RATE, Samples, Stream
from edgebnn_sleep.timekeeping import SimulatedTime

HEIGHT, WIDTH = 60, 80
FPS = 0.5
"""Frames in a simulated second."""
BEDTIME = dt.time(22, 50)
CLOCK_STARTS_S = 20.0
RINGING_SPEED, SLOWEST, DEADLINE_SPEED = 20.0, 30.0, 5.0
APPROACH_S = 1.5
"""A deadline ahead is never nearer than this at the speed of the moment: it must not ring late because time flew."""
ENOUGH = 0.6
"""Below this share of the frames the simulation slows down."""


class Sleeper:
    """The activity of each epoch of a night, from lying down to getting up, and what follows from it."""

    def __init__(self, seed: int, *, begins_s: float) -> None:
        """`begins_s`: Unix time of lying down."""
        self.begins_s = begins_s
        self.night = simulate_judged_night(seed, HEALTHY)
        self.ends_s = begins_s + len(self.night) * EPOCH_S
        assert self.night.stage is not None
        self._wake = self.night.stage == WAKE
        positive = self.night.activity[self.night.activity > 0]
        self._usual = float(np.median(positive)) if positive.size else 1.0

    def restlessness(self, time_s: float) -> float:
        """How much of this second is movement, in the night's usual movements; 0 outside of the night."""
        place = int((time_s - self.begins_s) // EPOCH_S)
        if not 0 <= place < len(self.night):
            return 0.0
        return float(self.night.activity[place]) / self._usual

    def awake(self, time_s: float) -> bool:
        """Whether the simulator has the sleeper awake."""
        place = int((time_s - self.begins_s) // EPOCH_S)
        return not 0 <= place < len(self.night) or bool(self._wake[place])


class Bed:
    """A source of frames: a body on a blanket in infrared light, with noise; it moves as the sleeper does."""

    live = paced = True

    def __init__(
        self, sleeper: Sleeper, time: SimulatedTime, *, seed: int = 0, fps: float = FPS, blackout: range = range(0)
    ) -> None:
        """`blackout`: Unix times between which the camera is unplugged."""
        self._fps = fps
        self.name = "simulated bed"
        self._sleeper, self._time, self._blackout = sleeper, time, blackout
        self._random = np.random.default_rng(seed)
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        self._room = (70 + 25 * np.sin(columns / 6) * np.cos(rows / 8)).astype(np.float32)
        self._body = (60 * np.exp(-((columns - 40) ** 2 / 260 + (rows - 30) ** 2 / 70))).astype(np.float32)
        self._noise = self._random.normal(0, 2, (16, 2 * HEIGHT, 2 * WIDTH)).astype(np.float32)

    def __enter__(self) -> Bed:
        """Nothing to open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames at the pace of the simulated time, until it is unplugged."""
        sequence, due_s = 0, self._time.monotonic_s()
        place = np.zeros(2)
        energy = 0.0
        while True:
            due_s += 1 / self._fps
            if not self._time.wait_until(due_s):
                due_s = self._time.monotonic_s()  # a slow machine gets fewer frames, not late ones
            now_s = self._time.now_s()
            if int(now_s) in self._blackout:
                raise UnavailableError("the simulated camera is unplugged")
            # A movement takes part of its epoch: more of it the larger it is.
            restless = self._sleeper.restlessness(now_s)
            if restless and self._random.random() < min(0.9, 0.08 + 0.12 * restless):
                energy = 0.6 + 1.5 * math.log1p(restless)
            else:
                energy *= 0.3
            place = np.clip(place + self._random.normal(0, 1, 2) * energy, -6, 6)
            yield Frame(self._draw(place, now_s), round(self._time.monotonic_s() * 1e9), sequence)
            sequence += 1

    def _draw(self, place: npt.NDArray[np.float64], now_s: float) -> npt.NDArray[np.uint8]:
        breath = 0.12 * math.sin(2 * math.pi * 0.23 * now_s)
        body = _shifted(self._body, place[0] + breath, place[1])
        top, left = self._random.integers(0, (HEIGHT, WIDTH))
        noise = self._noise[self._random.integers(16), top : top + HEIGHT, left : left + WIDTH]
        grey = np.clip(self._room + body + noise, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)


def _shifted(picture: npt.NDArray[np.float32], down: float, right: float) -> npt.NDArray[np.float32]:
    """`picture` moved by parts of a pixel, by the bilinear rule; it goes around at the edges, where it is empty."""
    whole = np.roll(picture, (math.floor(down), math.floor(right)), (0, 1))
    y, x = np.float32(down % 1), np.float32(right % 1)
    rows = whole + y * (np.roll(whole, 1, 0) - whole)
    return np.asarray(rows + x * (np.roll(rows, 1, 1) - rows), np.float32)


class SimulatedMicrophone:
    """A stream of samples made for the sleeper: quiet breath, snoring at times while asleep, rustling with movement."""

    def __init__(
        self, sleeper: Sleeper, time: SimulatedTime, feed: Callable[[Samples], None], *, seed: int = 1
    ) -> None:
        """Starts a thread that feeds."""
        self._sleeper, self._time, self._feed = sleeper, time, feed
        self._random = np.random.default_rng(seed)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated microphone", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Whether samples still come."""
        return not self._closing.is_set()

    def close(self) -> None:
        """Stop."""
        self._closing.set()
        self._thread.join(2)

    def _run(self) -> None:
        # Every ten simulated seconds half a second of sound: a sample of the night, not all of it.
        seconds = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
        noise = self._random.normal(0, 1, SAMPLE_RATE).astype(np.float32)
        snore = np.sign(np.sin(2 * np.pi * 90 * seconds)) * np.exp(-6 * seconds)
        while not self._closing.wait(10 / self._time.speed):
            now_s = self._time.now_s()
            start = int(self._random.integers(SAMPLE_RATE // 2))
            sound = 0.002 * noise[start : start + SAMPLE_RATE // 2]
            sound = sound * (1 + min(20.0, 3 * self._sleeper.restlessness(now_s)))
            if not self._sleeper.awake(now_s) and math.sin(now_s / 1700) > 0.55:
                sound = sound + 0.05 * snore
            self._feed(sound.astype(np.float32))


class Bedroom:
    """IIO files that change through the night: dark, then dawn; cooling, then the heating."""

    def __init__(self, root: Path, *, dawn_s: float) -> None:
        """Makes the folder of a light sensor and of one for temperature and humidity."""
        self._light, self._air, self._dawn_s = root / "iio:device0", root / "iio:device1", dawn_s
        for folder, name in ((self._light, "tsl2591"), (self._air, "bme280")):
            folder.mkdir(parents=True)
            (folder / "name").write_text(name)

    def become(self, now_s: float) -> None:
        """Write what the sensors measure at `now_s`."""
        hours = (now_s - self._dawn_s) / 3600
        light = 0.3 + 120 / (1 + math.exp(-3 * (hours - 0.2))) + (25 if hours < -7.6 else 0)
        temperature = 19.2 - 0.25 * hours - (0.06 * hours * hours if hours < 0 else 0) * 0.4
        _replace(self._light / "in_illuminance_input", f"{light:.2f}")
        _replace(self._air / "in_temp_input", f"{temperature * 1000:.0f}")
        _replace(self._air / "in_humidityrelative_input", f"{46000 - 400 * hours:.0f}")


def _replace(file: Path, text: str) -> None:
    """The old value or the new one, as from a driver, never an empty file."""
    new = file.with_name(f".{file.name}")
    new.write_text(text)
    new.replace(file)


def start_clock(folder: Path, *, sound: str = "") -> subprocess.Popen[bytes]:
    """`edgebnn-alarm run` in `folder` by its clock.json; UnavailableError when it does not answer soon."""
    state = folder / "alarm"
    state.mkdir(exist_ok=True)
    config = folder / "alarm.toml"
    config.write_text(
        f'[service]\nstate_dir = "{state}"\nsocket = "{folder / "alarm.sock"}"\n'
        f'[sound]\noutputs = ["{sound or f"file:{folder}/sound.pcm"}"]\nring_limit_min = 60\n'
    )
    command = [sys.executable, "-m", "edgebnn_alarm.cli", "run", "--config", str(config)]
    log = (folder / "alarm.log").open("wb")
    with log:
        process = subprocess.Popen(
            [*command, "--simulated-clock", str(folder / "clock.json")], stdout=log, stderr=subprocess.STDOUT
        )
    deadline_s = machine_time.monotonic() + CLOCK_STARTS_S
    client = ClockClient(folder / "alarm.sock")
    while process.poll() is None and machine_time.monotonic() < deadline_s:
        try:
            client.ask("status")
        except EdgebnnError:
            machine_time.sleep(0.05)
        else:
            return process
    stop_clock(process)
    raise UnavailableError(
        f"expected the alarm clock to answer within {CLOCK_STARTS_S:.0f} s, it did not: {_tail(folder / 'alarm.log')}"
    )


def stop_clock(process: subprocess.Popen[bytes]) -> None:
    """End the clock that `start_clock` started."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tail(file: Path) -> str:
    lines = file.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def simulate_night(
    *,
    speed: float,
    seed: int,
    alarm: dt.time,
    window_min: int,
    port: int,
    rule: str,
    stay: bool,
    camera_lost_at: dt.time | None = None,
    folder: Path | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Run the night and say what happened; the exit code of the service."""
    zone = ZoneInfo("Europe/Berlin")
    evening = dt.date(2026, 11, 23)
    begins = dt.datetime.combine(evening, BEDTIME, zone)
    deadline = dt.datetime.combine(evening + dt.timedelta(days=1), alarm, zone)
    if not dt.timedelta(hours=4) <= deadline - begins <= dt.timedelta(hours=12):
        raise ConfigError(
            f"expected an alarm between 02:50 and 10:50, after a night that begins 22:50, got {alarm:%H:%M}"
        )
    with ExitStack() as running:
        if folder is None:
            folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="edgebnn-sleep-")))
        time = SimulatedTime(begins.timestamp() - 600, speed=1.0, zone=zone, share=folder / "clock.json")
        process = start_clock(folder)
        running.callback(stop_clock, process)
        client = ClockClient(folder / "alarm.sock")
        client.ask("set", alarm={"name": "Simulated morning", "time": f"{alarm:%H:%M}", "weekdays": list(WEEKDAYS),
                                 "window_min": window_min, "sunrise_min": 20})  # fmt: skip
        sleeper = Sleeper(seed, begins_s=begins.timestamp())
        lost = range(0)
        if camera_lost_at is not None:
            day = evening if camera_lost_at > dt.time(12) else evening + dt.timedelta(days=1)
            lost = range(int(dt.datetime.combine(day, camera_lost_at, zone).timestamp()), 1 << 40)
        bedroom = Bedroom(folder / "iio", dawn_s=deadline.timestamp() - 600)
        bedroom.become(time.now_s())
        settings = SleepSettings.model_validate(
            {
                "clock": {"socket": folder / "alarm.sock", "rule": rule},
                "store": {"path": folder / "nights.sqlite3"},
                "environment": {"root": folder / "iio"},
                "web": {"port": port},
            }
        )
        service = Service(
            settings,
            state=folder,
            time=time,
            source=Bed(sleeper, time, seed=seed, blackout=lost),
            fps=FPS,
            gap_s=60.0,  # a busy machine gets few frames; the drawn body shows in the next one that it moved
            open_microphone=lambda feed: _open(sleeper, time, feed),
        )
        director = _Director(service, client, bedroom, time, deadline_s=deadline.timestamp(), say=say)
        watcher = threading.Thread(target=director.run, args=(speed, stay), name="director", daemon=True)

        def ready(url: str) -> None:
            say(f"A night from 22:50, {speed:g} times as fast; alarm at {alarm:%H:%M}, window {window_min} min.")
            say(f"The page: {url}")
            time.change_speed(speed)
            watcher.start()

        code = service.run(on_ready=ready)
        watcher.join(5)
        return code


def _open(sleeper: Sleeper, time: SimulatedTime, feed: Callable[[Samples], None]) -> Stream:
    return SimulatedMicrophone(sleeper, time, feed)


class _Director:
    """Lets the bedroom change and the time pass, tells of decisions as they are made, and ends the night."""

    def __init__(
        self, service: Service, client: ClockClient, bedroom: Bedroom, time: SimulatedTime, *, deadline_s: float,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._service, self._client, self._bedroom, self._time = service, client, bedroom, time
        self._deadline_s, self._say = deadline_s, say
        self._told = 0
        self._looks = service.monitor.looks
        self._looked_s = time.monotonic_s()

    def run(self, speed: float, stay: bool) -> None:
        """Until half an hour after the deadline, or until the service stops."""
        while not self._service.stopping.wait(0.2):
            self._bedroom.become(self._time.now_s())
            self._tell()
            status = self._service.watch.status
            ringing = stay and bool(status and status["ringing"])
            following = status["next"] if status else None
            deadline_s = following["deadline_s"] if following else math.inf
            self._pace(speed, ringing=ringing, deadline_s=deadline_s)
            if self._time.now_s() > self._deadline_s + 1800 and not ringing:
                break
        epochs = self._service.store.epochs(0, 1e12)
        path = self._service.store.path
        size = sum(file.stat().st_size for file in path.parent.glob(path.name + "*"))
        self._tell()
        self._say(
            f"{len(epochs)} epochs, database {size / 1e6:.2f} MB, memory {_rss_mb():.0f} MB, "
            f"CPU {self._service.monitor.epoch_cpu_s * 1000:.1f} ms in the last epoch"
        )
        if stay and not self._service.stopping.is_set():
            self._time.change_speed(1.0)
            self._say("The page stays until Ctrl-C.")
            return
        self._service.stop()

    def _tell(self) -> None:
        events = self._service.store.events(0, 1e12)
        for event in events[self._told :]:
            if event.kind not in ("alarm", "service"):
                moment = dt.datetime.fromtimestamp(event.time_s, self._time.zone())
                self._say(f"{moment:%H:%M}  {event.text}")
        self._told = len(events)

    def _pace(self, speed: float, *, ringing: bool, deadline_s: float) -> None:
        """As fast as this machine can look at the frames; slowly towards a deadline, and for somebody to press Stop."""
        looks, now_s = self._service.monitor.looks, self._time.monotonic_s()
        rate = (looks - self._looks) / max(now_s - self._looked_s, 1e-9) / FPS
        self._looks, self._looked_s = looks, now_s
        if ringing:
            wanted = RINGING_SPEED
        elif self._service.monitor.live.camera != "streaming":
            wanted = speed
        else:
            wanted = max(self._time.speed * (0.8 if rate < ENOUGH else 1.15), SLOWEST)
        wanted = min(wanted, max((deadline_s - self._time.now_s()) / APPROACH_S, DEADLINE_SPEED), speed)
        if wanted != self._time.speed:
            self._time.change_speed(wanted)


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
