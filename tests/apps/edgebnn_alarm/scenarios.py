"""Scenarios: what happens in a night, chosen at random."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from edgebnn_alarm.monitor import Hint

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "UTC")


@dataclass
class Event:
    """At `at_s` seconds after the beginning of the night, `what` happens."""

    at_s: float
    what: str
    value: Any = None


@dataclass
class Scenario:
    """All that happens in a night."""

    start_s: float
    hours: float
    zone: str
    alarms: list[dict[str, Any]]
    events: list[Event] = field(default_factory=list)
    reactions: list[tuple[float, str]] = field(default_factory=list)
    """To each ringing in turn: after how many seconds, `stop`, `snooze` or `sleep`."""


def random_alarm(rng: random.Random, near: dt.datetime) -> dict[str, Any]:
    """An alarm that rings within the night more often than not."""
    at = near + dt.timedelta(minutes=rng.randrange(0, 600))
    raw: dict[str, Any] = {"time": f"{at:%H:%M}", "window_min": rng.choice([0, 0, 10, 30, 90])}
    if rng.random() < 0.3:
        raw["date"] = f"{at:%Y-%m-%d}"
    else:
        raw["weekdays"] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        if rng.random() < 0.1:
            raw["except_dates"] = [f"{at:%Y-%m-%d}"]
    raw["snooze_limit"] = rng.choice([0, 1, 3])
    raw["snooze_min"] = rng.choice([1, 5, 9])
    raw["skip_if_out_of_bed"] = False
    return raw


# Nights at both changes of the clocks in Berlin, New York and on Lord Howe, and plain ones.
STARTS = tuple(
    dt.datetime.fromisoformat(text).timestamp()
    for text in (
        "2026-03-28T20:30:00+00:00", "2026-10-24T20:30:00+00:00", "2026-03-08T02:00:00+00:00",
        "2026-11-01T01:00:00+00:00", "2026-04-04T09:00:00+00:00", "2026-11-23T21:00:00+00:00",
    )
)  # fmt: skip


def random_scenario(rng: random.Random, *, hours: float = 12.0, zones: Sequence[str] = ZONES) -> Scenario:
    """A night with everything that can happen in it."""
    start_s, zone = rng.choice(STARTS) + rng.randrange(0, 3600), rng.choice(zones)
    near = dt.datetime.fromtimestamp(start_s, ZoneInfo(zone)) + dt.timedelta(minutes=5)
    alarms = [random_alarm(rng, near) for _ in range(rng.randrange(1, 5))]
    span_s = 3600 * hours
    events = []
    for _ in range(rng.randrange(0, 8)):
        at_s = rng.uniform(0, span_s)
        what = rng.choice(
            ["hint", "hint", "kill", "kill", "power_cut", "step", "zone", "skip", "set", "delete", "sync"]
        )
        value: Any = None
        if what == "hint":
            events += [Event(at_s + 30 * i, "hint", random_hint(rng)) for i in range(rng.randrange(1, 40))]
            continue
        if what == "kill":
            value = rng.choice([0.1, 2.0, 30.0])
        elif what == "power_cut":
            off_s = rng.choice([5.0, 300.0, 1500.0, 5400.0])
            behind_s = rng.choice([0.0, off_s, off_s + 200, 1e9])
            value = (off_s, behind_s, behind_s == 0)
            if behind_s and rng.random() < 0.7:
                events.append(Event(at_s + off_s + rng.uniform(0, 600), "sync"))
        elif what == "step":
            value = rng.choice([-1.0, 1.0, 3600.0, -3600.0, 600.0, -600.0, 90.0])
        elif what == "zone":
            value = rng.choice(zones)
        elif what == "skip":
            value = rng.random() < 0.3
        elif what == "set":
            value = random_alarm(rng, near) | ({"id": 1} if rng.random() < 0.5 else {})
            if "id" in value:
                value |= {"date": None} if "weekdays" in value else {"weekdays": []}
        elif what == "delete":
            value = rng.randrange(1, 6)
        events.append(Event(at_s, what, value))
    reactions = [(rng.uniform(1, 300), rng.choice(["stop", "snooze", "snooze", "sleep"])) for _ in range(6)]
    return Scenario(start_s, hours, zone, alarms, events, reactions)


def random_hint(rng: random.Random) -> Hint:
    """Anything a monitor, good or bad, may say."""
    return Hint(
        ring=rng.random() < 0.2,
        reason="x" * rng.randrange(0, 5),
        status=rng.choice(["ok", "camera lost at 02:13"]),
        out_of_bed=rng.choice([None, True, False]),
        camera=rng.choice([None, True, False]),
        alarm=rng.choice([None, None, 1, 99]),
    )
