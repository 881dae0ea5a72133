"""What a night was: its stretches of sleep and waking, and the figures of sleep medicine made of them.

A night goes from noon to noon of local time and bears the date of its evening. Definitions (AASM Manual; Meltzer et al.
2012 for movement): sleep onset is the first epoch of ten minutes with at most one epoch awake; time in bed lasts from
lying down to getting up, without the time of absences below half an hour; efficiency is sleep by time in bed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from edgebnn_sleep.epochs import EPOCH_S, Epoch

State = Literal["asleep", "restless", "awake", "out_of_bed", "unknown"]
ONSET_EPOCHS = 20
ABSENCE_EPOCHS = 60
LONGEST_GAP_S = 2 * EPOCH_S


FIRST_NIGHT, LAST_NIGHT = dt.date(2000, 1, 1), dt.date(2199, 12, 31)
"""What can be asked for; beyond, calendars end."""


def night_of(time_s: float, zone: dt.tzinfo) -> dt.date:
    """The night to which an instant belongs: the date of its evening."""
    return (dt.datetime.fromtimestamp(time_s, zone) - dt.timedelta(hours=12)).date()


def bounds(night: dt.date, zone: dt.tzinfo) -> tuple[float, float]:
    """Unix times of the noons between which a night lies; 23 or 25 hours apart when the clocks change."""
    noons = (dt.datetime.combine(day, dt.time(12), zone) for day in (night, night + dt.timedelta(days=1)))
    since, until = (noon.timestamp() for noon in noons)
    return since, until


def state_of(epoch: Epoch) -> State:
    """The one word for an epoch."""
    if epoch.presence == 0:
        return "out_of_bed"
    if epoch.asleep is None:
        return "unknown"
    if not epoch.asleep:
        return "awake"
    return "restless" if epoch.restless else "asleep"


@dataclass(frozen=True)
class Interval:
    """A stretch in one state, Unix seconds; end excluded."""

    start_s: int
    end_s: int
    state: State


def intervals(epochs: Iterable[Epoch]) -> list[Interval]:
    """Neighbouring epochs in the same state, joined; what was not recorded is in none."""
    found: list[Interval] = []
    for epoch in epochs:
        state = state_of(epoch)
        last = found[-1] if found else None
        if last is not None and last.state == state and epoch.start_s - last.end_s <= LONGEST_GAP_S - EPOCH_S:
            found[-1] = Interval(last.start_s, epoch.start_s + EPOCH_S, state)
        else:
            found.append(Interval(epoch.start_s, epoch.start_s + EPOCH_S, state))
    return found


@dataclass(frozen=True)
class Summary:
    """Figures of one night; minutes, None where there was no sleep.

    awake_min: wake after onset, until the last epoch asleep. efficiency: sleep by time in bed, 0 to 1.
    unseen_min: part of the time in bed that could not be judged (camera lost).
    """

    night: dt.date
    bed_s: int
    up_s: int
    onset_s: int
    final_wake_s: int
    in_bed_min: float
    asleep_min: float
    awake_min: float
    restless_min: float
    latency_min: float
    unseen_min: float

    @property
    def efficiency(self) -> float:
        """Share of the time in bed that was slept."""
        return self.asleep_min / self.in_bed_min if self.in_bed_min else 0.0


def summarize(night: dt.date, epochs: Sequence[Epoch]) -> Summary | None:
    """The figures of a night's epochs in order of time; None when nobody slept in it."""
    onset = _onset(epochs)
    if onset is None:
        return None
    final = max(i for i, epoch in enumerate(epochs) if epoch.asleep and epoch.presence != 0)
    first, last = _in_bed(epochs, onset, final)
    stay = [epoch for epoch in epochs[first : last + 1] if epoch.presence != 0]
    states = [state_of(epoch) for epoch in stay]
    asleep = sum(state in ("asleep", "restless") for state in states)
    minutes = EPOCH_S / 60
    return Summary(
        night=night,
        bed_s=epochs[first].start_s,
        up_s=epochs[last].start_s + EPOCH_S,
        onset_s=epochs[onset].start_s,
        final_wake_s=epochs[final].start_s + EPOCH_S,
        in_bed_min=len(stay) * minutes,
        asleep_min=asleep * minutes,
        awake_min=sum(state_of(e) in ("awake", "out_of_bed") for e in epochs[onset : final + 1]) * minutes,
        restless_min=states.count("restless") * minutes,
        latency_min=(epochs[onset].start_s - epochs[first].start_s) / 60,
        unseen_min=states.count("unknown") * minutes,
    )


def _onset(epochs: Sequence[Epoch]) -> int | None:
    for start in range(len(epochs) - ONSET_EPOCHS + 1):
        stretch = epochs[start : start + ONSET_EPOCHS]
        together = stretch[-1].start_s - stretch[0].start_s <= ONSET_EPOCHS * EPOCH_S
        if stretch[0].asleep and together and sum(state_of(e) in ("asleep", "restless") for e in stretch) >= 19:
            return start
    return None


def _in_bed(epochs: Sequence[Epoch], onset: int, final: int) -> tuple[int, int]:
    """First and last epoch in bed around the sleep; where presence is not known, the sleep itself."""
    ends = []
    for start, step in ((onset, -1), (final, 1)):
        end = at = start
        while 0 <= at < len(epochs) and abs(at - end) <= ABSENCE_EPOCHS:
            if epochs[at].presence == 1:
                end = at
            at += step
        ends.append(end)
    return ends[0], ends[1]


@dataclass(frozen=True)
class Week:
    """Means over the nights with sleep among seven."""

    nights: tuple[Summary, ...]

    def mean(self, figure: str) -> float | None:
        """Mean of a Summary's field or of `efficiency`; None without nights."""
        values = [float(getattr(night, figure)) for night in self.nights]
        return sum(values) / len(values) if values else None


def by_night(epochs: Iterable[Epoch], zone: dt.tzinfo) -> list[tuple[dt.date, list[Epoch]]]:
    """Epochs in order of time, a list for each night."""
    return [(night, list(group)) for night, group in groupby(epochs, key=lambda e: night_of(e.start_s, zone))]
