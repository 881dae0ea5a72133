"""A bedroom for tests: the real alarm clock as a process, in simulated time, and the real monitor beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edgebnn_sleep.clock import ClockClient
from edgebnn_sleep.service import Service
from edgebnn_sleep.settings import SleepSettings
from edgebnn_sleep.simulate import start_clock, stop_clock
from edgebnn_sleep.timekeeping import SimulatedTime

from tests.apps.edgebnn_sleep.nights import BERLIN, EVENING
from tests.edgebnn.service.conftest import broker, peer

__all__ = ["broker", "peer"]
PATIENCE_S = 60.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """What `condition()` gives once it is true; fails, with what was awaited, after a minute."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline_s, f"{what} did not happen within {PATIENCE_S:.0f} s"
        time.sleep(0.02)
    return found


class House:
    """A folder with a clock, at 22:30 on Monday 23 November 2026 in Berlin; time passes at `time.speed`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.time = SimulatedTime(EVENING.timestamp(), speed=1.0, zone=BERLIN, share=folder / "clock.json")
        self.client = ClockClient(folder / "alarm.sock")
        self.process = start_clock(folder)
        self.service: Service | None = None
        self.url = ""
        self._thread: threading.Thread | None = None

    def settings(self, **tables: Any) -> SleepSettings:
        """Everything in the folder, no camera, the page on any port."""
        return SleepSettings.model_validate(
            {
                "clock": {"socket": self.folder / "alarm.sock"},
                "store": {"path": self.folder / "nights.sqlite3"},
                "environment": {"root": self.folder / "iio"},
                "camera": {"source": ""},
                "web": {"port": 0},
            }
            | tables
        )

    def start(self, settings: SleepSettings | None = None, **parts: Any) -> Service:
        """Start the monitor, and return when its page is up."""
        service = self.service = Service(settings or self.settings(), state=self.folder, time=self.time, **parts)
        ready = threading.Event()

        def on_ready(url: str) -> None:
            self.url = url
            ready.set()

        self._thread = threading.Thread(target=service.run, kwargs={"on_ready": on_ready}, name="service")
        self._thread.start()
        assert ready.wait(PATIENCE_S)
        until(lambda: service.watch.status is not None, "an answer of the clock")
        return service

    def pass_time(self, seconds: float, *, speed: float = 600.0) -> None:
        """Let time pass quickly, then go on at its usual speed."""
        until_s = self.time.monotonic_s() + seconds
        self.time.change_speed(speed)
        until(lambda: self.time.monotonic_s() >= until_s, "the passing of time")
        self.time.change_speed(1.0)

    def set_alarm(self, **keys: Any) -> dict[str, Any]:
        """A new alarm, for every day unless said otherwise."""
        every = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        answer: dict[str, Any] = self.client.ask("set", alarm={"time": "22:40", "weekdays": every} | keys)
        return answer["alarm"]

    def ringing(self) -> bool:
        return bool(self.client.ask("status")["ringing"])

    def stop_clock(self) -> None:
        stop_clock(self.process)

    def start_clock(self) -> None:
        self.process = start_clock(self.folder)

    def close(self) -> None:
        if self.service is not None and self._thread is not None:
            self.service.stop()
            self._thread.join(20)
            assert not self._thread.is_alive(), "the service did not stop"
        self.stop_clock()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A clock that runs; `start` the monitor beside it."""
    house = House(tmp_path)
    yield house
    house.close()
