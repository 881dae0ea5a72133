"""Sentences of the journal: why it rang when it did."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from edgebnn_alarm.alarm import Alarm
from edgebnn_alarm.belief import Belief
from edgebnn_alarm.monitor import SILENT_S, Monitor
from edgebnn_alarm.occurrence import Occurrence
from edgebnn_alarm.wall_time import hh_mm

LATE_S = 2.0


def rang_by_hint(occurrence: Occurrence, now: Belief, zone: ZoneInfo, reason: str) -> str:
    """Why an occurrence rings before its deadline."""
    why = reason or "the monitor gave no reason"
    return f"rang {hh_mm(now.utc_s, zone)}: {why}, deadline {hh_mm(occurrence.deadline_s, zone)}{doubt(now)}"


def rang_at_deadline(
    occurrence: Occurrence, now: Belief, zone: ZoneInfo, *, alarm: Alarm | None, monitor: Monitor, started_boot_s: float
) -> str:
    """Why an occurrence rings at its deadline or, late, at once."""
    deadline = hh_mm(occurrence.deadline_s, zone)
    late_s = now.utc_s - occurrence.deadline_s
    text = f"rang {hh_mm(now.utc_s, zone)}: "
    if late_s > LATE_S:
        why = "the clock was set forward or to another zone, or this machine stood still"
        if late_s > now.boot_s - started_boot_s:
            why = f"the service started at {hh_mm(now.utc_s - (now.boot_s - started_boot_s), zone)}"
        return f"{text}{_duration(late_s)} after the deadline {deadline}, {why}{doubt(now)}"
    if occurrence.key.snooze:
        return f"{text}snooze {occurrence.key.snooze} of {deadline} is over{doubt(now)}"
    if alarm is None or not alarm.window_min:
        return f"{text}deadline {deadline}{doubt(now)}"
    return f"{text}fell back to the deadline {deadline}: {_monitor_words(monitor, now, zone)}{doubt(now)}"


def doubt(now: Belief) -> str:
    """A mark behind everything that was decided on an unverified clock."""
    return "" if now.status == "verified" else " (clock unverified)"


def _monitor_words(monitor: Monitor, now: Belief, zone: ZoneInfo) -> str:
    silent_s = monitor.silent_s(now.boot_s)
    if monitor.status is None:
        return "no monitor was heard"
    if silent_s > SILENT_S:
        return f"the monitor was silent since {hh_mm(now.utc_s - silent_s, zone)}"
    return "no light phase was found" if monitor.status == "ok" else monitor.status


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
