"""A simulated machine on which the clock runs and is asked, in memory."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from edgebnn_alarm.clockwork import Clockwork
from edgebnn_alarm.commands import Commands
from edgebnn_alarm.light import NoLight
from edgebnn_alarm.planner import Rules
from edgebnn_alarm.simulation import Faults, SimulatedClock, SimulatedSpeaker
from edgebnn_alarm.store import Store

EVENING_S = dt.datetime.fromisoformat("2026-11-23T22:00:00+01:00").timestamp()
DAILY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Machine:
    """A clock in memory, asked by JSON."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SimulatedClock(EVENING_S, "Europe/Berlin", booted_s=EVENING_S - 9999)
        self.speaker = SimulatedSpeaker(self.clock)
        self.start()

    def start(self) -> None:
        self.faults = Faults()
        store = Store(self.folder, connect=self.faults.connect)
        self.clockwork = Clockwork(clock=self.clock, store=store, speaker=self.speaker, light=NoLight(), rules=Rules())
        self.commands = Commands(self.clockwork)
        self.clockwork.tick()

    def at(self, time: str) -> None:
        """Go to a time of the day to come, looking every half minute."""
        now = dt.datetime.fromtimestamp(self.clock.true_s, self.clockwork.zone)
        until = now.replace(hour=int(time[:2]), minute=int(time[3:5]), second=int(time[6:] or 0), microsecond=0)
        until_s = (until if until > now else until + dt.timedelta(days=1)).timestamp()
        while self.clock.true_s < until_s:
            idle_s = self.clockwork.tick()
            self.clock.true_s = min(until_s, self.clock.true_s + max(0.01, min(30.0, idle_s)))
        self.clockwork.tick()

    def raw(self, line: bytes) -> dict[str, Any]:
        answer, _ = self.commands.answer(line)
        json.dumps(answer, allow_nan=False)
        return answer

    def ask(self, cmd: str, **keys: Any) -> dict[str, Any]:
        answer = self.raw(json.dumps({"cmd": cmd, **keys}).encode())
        assert answer["ok"], answer
        return answer

    def refused(self, cmd: str, **keys: Any) -> str:
        answer = self.raw(json.dumps({"cmd": cmd, **keys}).encode())
        assert not answer["ok"]
        return str(answer["error"])

    def texts(self, kind: str) -> list[str]:
        return [entry["text"] for entry in self.ask("log", limit=1000)["entries"] if entry["kind"] == kind]
