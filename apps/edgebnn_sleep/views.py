"""What the pages show: plain values for templates, made of the monitor, the store and the clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from markupsafe import Markup

from edgebnn.errors import EdgebnnError
from edgebnn_sleep.alarm_form import describe_days, describe_distance, describe_moment, describe_rest
from edgebnn_sleep.announce import clock_problems
from edgebnn_sleep.chart import Mark, draw_night
from edgebnn_sleep.clock import Answer, ClockClient, ClockWatch
from edgebnn_sleep.epochs import Epoch
from edgebnn_sleep.monitor import Live
from edgebnn_sleep.nights import FIRST_NIGHT, Summary, Week, bounds, by_night, night_of, summarize
from edgebnn_sleep.store import Event, Store
from edgebnn_sleep.timekeeping import Time

STATES = {
    "asleep": "Asleep",
    "restless": "Asleep, restless",
    "awake": "Awake",
    "out_of_bed": "Out of bed",
    "unknown": "Not known yet",
}
CAMERAS = {
    "none": "no camera",
    "starting": "camera starting",
    "streaming": "camera sees",
    "camera_lost": "camera lost",
    "stuck": "camera stuck",
    "ended": "film ended",
}
DAYS_OF_A_PAGE = 7
LIVELIEST = 20.0
"""Movement energy of a frame at which the gauge is full."""


class Views:
    """Every method may be called from any thread."""

    def __init__(
        self,
        *,
        live: Callable[[], Live],
        store: Store,
        client: ClockClient,
        watch: ClockWatch,
        time: Time,
        more_problems: Callable[[], list[str]] = list,
    ) -> None:
        """`more_problems`: sentences of other parts, shown on top of the pages."""
        self._live, self._store, self._client, self._watch, self._time = live, store, client, watch, time
        self._more_problems = more_problems

    # Now

    def live(self) -> dict[str, Any]:
        """The values of GET /live."""
        live, now_s, zone = self._live(), self._time.now_s(), self._time.zone()
        status = self._watch.status
        ringing = status["ringing"] if status else []
        epoch = live.epoch or Epoch(0)
        problems = self.problems(live, status)
        return {
            "state": live.state,
            "state_text": STATES[live.state],
            "since": f"since {self._clock_time(live.since_s)}" if live.since_s else "",
            "time": f"{dt.datetime.fromtimestamp(now_s, zone):%H:%M}",
            "movement": round(min(1.0, (live.movement / LIVELIEST) ** 0.5), 2),
            "camera": live.camera,
            "camera_text": CAMERAS[live.camera],
            "breathing": "" if live.breathing is None else ("breathing seen" if live.breathing else ""),
            "epoch": epoch.start_s,
            "sound": _figure(epoch.sound_db, 0),
            "light": _figure(epoch.light_lux, 1),
            "temperature": _figure(epoch.temperature_c, 1),
            "humidity": _figure(epoch.humidity_percent, 0),
            "co2": _figure(epoch.co2_ppm, 0),
            "problems": " ".join(problem[0].upper() + problem[1:] + "." for problem in problems),
            "ringing": bool(ringing),
            "ringing_text": self._ringing_text(ringing),
            "ringing_why": self._ringing_why(now_s) if ringing else "",
            "journal": len(ringing) + 2 * bool(status and status["snoozed"]),
            **self._next(status, now_s, zone),
        }

    def _next(self, status: Answer | None, now_s: float, zone: dt.tzinfo) -> dict[str, Any]:
        if status is None:
            return {"next": "unknown", "next_in": "", "next_window": "", "can_skip": False, "snoozed": ""}
        waiting = status["snoozed"]
        snoozed = f"Snoozed: rings again at {self._clock_time(waiting[0]['deadline_s'])}." if waiting else ""
        following = status["next"]
        if following is None:
            return {"next": "no alarm", "next_in": "", "next_window": "", "can_skip": False, "snoozed": snoozed}
        window = ""
        if following["window_start_s"] < following["deadline_s"]:
            window = f"or when you stir, from {self._clock_time(following['window_start_s'])}"
        return {
            "next": describe_moment(following["deadline_s"], now_s, zone),
            "next_in": describe_distance(following["deadline_s"] - now_s),
            "next_window": window,
            "can_skip": not following["snooze"],
            "snoozed": snoozed,
        }

    def _ringing_text(self, ringing: list[Answer]) -> str:
        if not ringing:
            return ""
        first = ringing[0]
        return f"{first['name'] or 'Alarm'} · set for {first['time']}"

    def _ringing_why(self, now_s: float) -> str:
        """The clock's own words, as soon as its journal was read."""
        rang = [event.text for event in self._store.events(now_s - 3 * 3600, now_s + 60) if event.kind == "rang"]
        return rang[-1][:1].upper() + rang[-1][1:] if rang else ""

    def problems(self, live: Live, status: Answer | None) -> list[str]:
        """What a person should know, one sentence each without a full stop."""
        found = [] if status is not None else [self._watch.problem]
        if status is not None:
            found += clock_problems(status)
        if live.camera in ("camera_lost", "stuck"):
            why = f" ({live.camera_problem})" if live.camera_problem else ""
            found.append(f"{CAMERAS[live.camera]}{why}: alarms ring at their deadline")
        if self._store.problem:
            found.append(self._store.problem)
        return [sentence.rstrip(". ") for sentence in [*found, *self._more_problems()] if sentence]

    # Tonight

    def tonight(self) -> dict[str, Any]:
        """The chart and log of the night that is running."""
        now_s, zone = self._time.now_s(), self._time.zone()
        night = night_of(now_s, zone)
        since_s, until_s = bounds(night, zone)
        epochs, events = self._store.epochs(since_s, until_s), self._store.events(since_s, until_s)
        status = self._watch.status
        window = None
        following = ((status["ringing"] or [status["next"]])[0] if status else None) or None
        if following and epochs and following["deadline_s"] - now_s < 3600 and following["deadline_s"] < until_s:
            window = (following["window_start_s"], following["deadline_s"])
        chart = draw_night(epochs, zone=zone, marks=_marks(events), window=window)
        return {
            "chart": Markup(chart),  # text in it is escaped there
            "log": self._log(events, zone)[::-1],
            "summary": _figures(summarize(night, epochs)),
            "epochs": len(epochs),
        }

    def _log(self, events: list[Event], zone: dt.tzinfo) -> list[dict[str, str]]:
        return [
            {
                "time": f"{dt.datetime.fromtimestamp(event.time_s, zone):%H:%M}",
                "kind": event.kind,
                "text": event.text[:1].upper() + event.text[1:],
            }
            for event in events
        ]

    # Alarms

    def alarms(self) -> dict[str, Any]:
        """All alarms in words, or why they cannot be shown."""
        try:
            alarms = self._client.ask("list")["alarms"]
        except EdgebnnError as error:
            return {"alarms": [], "error": str(error)}
        now_s, zone = self._time.now_s(), self._time.zone()
        shown = []
        for alarm in alarms:
            following = alarm["next"]
            shown.append(
                alarm
                | {
                    "days": describe_days(alarm),
                    "rest": describe_rest(alarm),
                    "next_text": describe_moment(following["deadline_s"], now_s, zone) if following else "",
                    "next_in": describe_distance(following["deadline_s"] - now_s) if following else "",
                    "skipped": bool(following) and following["state"] == "skipped",
                    "rings": bool(following) and following["state"] == "ringing",
                }
            )
        return {"alarms": sorted(shown, key=lambda alarm: alarm["time"]), "error": ""}

    # Past nights

    def nights(self, until: str) -> dict[str, Any]:
        """A week of nights up to the date `until` (the last night without one), newest first."""
        zone = self._time.zone()
        last = night_of(self._time.now_s(), zone)
        try:
            end = max(FIRST_NIGHT, min(last, dt.date.fromisoformat(until))) if until else last
        except ValueError:
            end = last
        begin = end - dt.timedelta(days=DAYS_OF_A_PAGE - 1)
        epochs = self._store.epochs(bounds(begin, zone)[0], bounds(end, zone)[1])
        rows, summaries = [], []
        for night, own in by_night(epochs, zone):
            summary = summarize(night, own)
            if summary is not None:
                summaries.append(summary)
            rows.append({"night": night, "name": name_of(night), "figures": _figures(summary), "summary": summary})
        week = Week(tuple(summaries))
        figures = ("in_bed_min", "asleep_min", "awake_min", "latency_min", "efficiency")
        span = self._store.first_and_last_s()
        return {
            "rows": rows[::-1],
            "week": {name: week.mean(name) for name in figures},
            "bars": Markup(_week_bars(begin, summaries)),  # numbers and dates only
            "counted": len(summaries),
            "begin": name_of(begin),
            "end": name_of(end),
            "older": (begin - dt.timedelta(days=1)).isoformat()
            if span and night_of(span[0], zone) < begin else "",
            "newer": (end + dt.timedelta(days=DAYS_OF_A_PAGE)).isoformat() if end < last else "",
        }  # fmt: skip

    def night(self, night: dt.date) -> dict[str, Any]:
        """One night: chart, figures, log."""
        zone = self._time.zone()
        since_s, until_s = bounds(night, zone)
        epochs, events = self._store.epochs(since_s, until_s), self._store.events(since_s, until_s)
        one = dt.timedelta(days=1)
        return {
            "name": name_of(night),
            "chart": Markup(draw_night(epochs, zone=zone, marks=_marks(events))),
            "figures": _figures(summarize(night, epochs)),
            "log": self._log(events, zone),
            "before": (night - one).isoformat() if night > FIRST_NIGHT else "",
            "after": (night + one).isoformat() if night < night_of(self._time.now_s(), zone) else "",
        }

    # Data

    def data(self) -> dict[str, Any]:
        """What is stored."""
        zone = self._time.zone()
        span = self._store.first_and_last_s()
        size = sum(file.stat().st_size for file in self._store.path.parent.glob(self._store.path.name + "*"))
        return {
            "first": name_of(night_of(span[0], zone)) if span else "",
            "last": name_of(night_of(span[1], zone)) if span else "",
            "megabytes": f"{size / 1e6:.1f}",
        }

    def _clock_time(self, time_s: float) -> str:
        return f"{dt.datetime.fromtimestamp(time_s, self._time.zone()):%H:%M}"


def name_of(night: dt.date) -> str:
    """ "Mon 23 Nov", the evening's date."""
    return f"{night:%a} {night.day} {night:%b}"


def duration(minutes: float) -> str:
    """ "7 h 35 min"."""
    whole = round(minutes)
    return f"{whole // 60} h {whole % 60:02d} min" if whole >= 60 else f"{whole} min"


def _figures(summary: Summary | None) -> list[tuple[str, str]]:
    if summary is None:
        return []
    figures = [
        ("Asleep", duration(summary.asleep_min)),
        ("In bed", duration(summary.in_bed_min)),
        ("Awake after onset", duration(summary.awake_min)),
        ("Until asleep", duration(summary.latency_min)),
        ("Efficiency", f"{100 * summary.efficiency:.0f} %"),
        ("Restless", duration(summary.restless_min)),
    ]
    if summary.unseen_min:
        figures.append(("Not seen", duration(summary.unseen_min)))
    return figures


def _figure(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _marks(events: list[Event]) -> list[Mark]:
    marks = [Mark(event.time_s, "ring", event.text) for event in events if event.kind in ("rang", "resumed")]
    marks += [
        Mark(event.deadline_s, "deadline", "deadline")
        for event in events
        if event.kind == "rang" and event.deadline_s is not None and event.deadline_s > event.time_s + 30
    ]
    return marks + [Mark(event.time_s, "lost", event.text) for event in events if event.kind == "camera"]


def _week_bars(begin: dt.date, summaries: list[Summary]) -> str:
    """A bar of time in bed for each night of a week, the part asleep filled; 12 hours high."""
    by_date = {summary.night: summary for summary in summaries}
    parts = ['<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>'.format(130 - hours * 10) for hours in (4, 8, 12)]
    parts += [f'<text class="hour" x="0" y="{126 - hours * 10}">{hours} h</text>' for hours in (4, 8, 12)]
    for place in range(DAYS_OF_A_PAGE):
        night = begin + dt.timedelta(days=place)
        x = 10 + place * 90 / DAYS_OF_A_PAGE
        parts.append(f'<text class="hour" x="{x + 4.5:.1f}%" y="148" text-anchor="middle">{night:%a}</text>')
        summary = by_date.get(night)
        if summary is not None:
            for minutes, kind in ((summary.in_bed_min, "in-bed"), (summary.asleep_min, "asleep")):
                high = min(120.0, minutes / 6)
                place_and_size = f'x="{x:.1f}%" y="{130 - high:.1f}" width="9%" height="{high:.1f}" rx="3"'
                title = f"<title>{name_of(night)}: {duration(minutes)} {kind.replace('-', ' ')}</title>"
                parts.append(f'<rect class="{kind}" {place_and_size}>{title}</rect>')
    label = "; ".join(f"{name_of(s.night)} {duration(s.asleep_min)} asleep" for s in summaries) or "no nights"
    return f'<svg class="week-chart" width="100%" height="154" role="img" aria-label="{label}">{"".join(parts)}</svg>'
