"""The planner: alarms, what became of them, and the time -> what to do now. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from edgebnn_alarm.alarm import Alarm
from edgebnn_alarm.belief import HOLD_S, Belief
from edgebnn_alarm.journal import Ledger
from edgebnn_alarm.occurrence import Key, Occurrence

Cause = Literal["deadline", "hint", "resume"]


@dataclass(frozen=True)
class Ring:
    """An occurrence that rings from now on, and why."""

    occurrence: Occurrence
    cause: Cause


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do now."""

    ring: tuple[Ring, ...] = ()
    skip: tuple[Occurrence, ...] = ()
    """Skipped by `skip_if_out_of_bed`."""
    unanswered: tuple[Key, ...] = ()
    """Rang for the limit."""
    missed: tuple[Occurrence, ...] = ()
    next: Occurrence | None = None
    """The next one to ring after now, as far as the timetable reaches."""
    light: float = 0.0
    """Sunrise, 0 to 1."""
    coming: frozenset[Key] = frozenset()
    """What will ring after now, as far as the timetable reaches."""
    idle_s: float | None = None
    """Seconds until something is due if nothing changes; None when nothing is."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The numbers that the planner goes by, in seconds."""

    grace_s: float = 1800.0
    ring_limit_s: float = 1800.0


def plan(
    now: Belief,
    alarms: Mapping[int, Alarm],
    timetable: Iterable[Occurrence],
    ledger: Ledger,
    rules: Rules,
    *,
    sounding: frozenset[Key] = frozenset(),
    hint: bool = False,
    hint_alarm: int | None = None,
    absent: bool = False,
    checked_s: float = math.inf,
    came: frozenset[Key] = frozenset(),
) -> Plan:
    """What to do at `now`.

    `timetable`: occurrences of `alarms` around now. `sounding`: what this process rings already. `hint`: the monitor
    asks to ring (for `hint_alarm` only, when given). `absent`: the sleeper has been out of bed for long enough.
    What is over is missed when its grace was not over at `checked_s`, the last look, or when it was among those that
    `came` then: a change of clock or zone has left it out.
    """
    if not now.armed:
        return Plan(idle_s=max(0.0, HOLD_S - now.boot_s))
    ages_s = {key: entry.age_s(now) for key, entry in ledger.ringing.items()}
    # Later ones join what rings, so the last one that began decides when nobody came.
    over = bool(ages_s) and min(ages_s.values()) >= rules.ring_limit_s
    ring = [] if over else [Ring(_began(key, ledger), "resume") for key in ages_s if key not in sounding]

    snoozes = ledger.waiting_snoozes(now)
    pending = [
        each for each in timetable if not ledger.settled(each.key) and not ledger.over_when_set(each, now)
    ] + snoozes
    pending.sort()
    skip, missed, coming = [], [], []
    for each in pending:
        late_s = now.utc_s - each.deadline_s
        if late_s < 0:
            coming.append(each)
        elif late_s > rules.grace_s:
            if each.key not in ledger.missed and (
                each.key.snooze or each.key in came or each.deadline_s > checked_s - rules.grace_s
            ):
                missed.append(each)
        elif absent and not each.key.snooze and alarms[each.key.alarm].skip_if_out_of_bed:
            skip.append(each)
        else:
            ring.append(Ring(each, "deadline"))

    if hint and not ring and (over or not ages_s) and not snoozes:
        moved = next((each for each in coming if hint_alarm in (None, each.key.alarm)), None)
        if moved is not None and moved.window_start_s <= now.utc_s:
            ring.append(Ring(moved, "hint"))
            coming.remove(moved)

    idle = [each.deadline_s - now.utc_s for each in coming[:1]]
    if ages_s and not over:
        idle.append(rules.ring_limit_s - min(ages_s.values()))
    rings = [*ages_s, *(each.occurrence.key for each in ring)] if not over else []
    return Plan(
        ring=tuple(ring),
        skip=tuple(skip),
        unanswered=tuple(ages_s) if over else (),
        missed=tuple(missed),
        next=coming[0] if coming else None,
        coming=frozenset(each.key for each in coming),
        light=_light(now, alarms, coming, rings),
        idle_s=min(idle, default=None),
    )


def _began(key: Key, ledger: Ledger) -> Occurrence:
    entry = ledger.ringing[key]
    deadline_s = entry.utc_s if entry.deadline_s is None else entry.deadline_s
    return Occurrence(deadline_s, key, deadline_s)


def _light(now: Belief, alarms: Mapping[int, Alarm], coming: list[Occurrence], ringing: list[Key]) -> float:
    if any(key.alarm in alarms and alarms[key.alarm].sunrise_min for key in ringing):
        return 1.0
    light = 0.0
    for each in coming:
        alarm = alarms.get(each.key.alarm)
        if alarm is not None and alarm.sunrise_min and not each.key.snooze:
            light = max(light, 1 - (each.deadline_s - now.utc_s) / (60 * alarm.sunrise_min))
    return round(light, 3)
