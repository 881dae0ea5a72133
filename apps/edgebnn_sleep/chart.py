"""A night as one SVG: hypnogram, movement, sound, light and temperature above each other on one time axis.

The drawing has no width of its own: curves lie in nested drawings that stretch with the page, and text is placed in
percent and keeps its size, so that the same drawing is legible on a phone and on a screen. Its colours are in the style
sheet.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from edgebnn_sleep.epochs import EPOCH_S, Epoch
from edgebnn_sleep.nights import intervals, state_of

WIDE = 1000
"""Units across a nested drawing."""
GAP = 14
LABEL = 16
LEVELS = {"awake": 0, "restless": 1, "asleep": 2}
STAGE_ROWS = (0, 4, 1, 2, 3)
STAGE_NAMES = ("wake", "REM", "N1", "N2", "N3")


@dataclass(frozen=True)
class Mark:
    """An instant worth a line across the chart, such as the ring; `kind` is ring, deadline or lost."""

    time_s: float
    kind: str
    text: str


@dataclass(frozen=True)
class Curve:
    """A panel of one quantity: how it is called, its value, its unit, and a scale that spreads small values."""

    title: str
    value: Callable[[Epoch], float | None]
    unit: str
    kind: str
    digits: int = 0
    scale: Callable[[float], float] = float
    least_span: float = 0.0
    height: int = 54


CURVES = (
    Curve("Movement", lambda e: e.activity, "", "motion", scale=math.sqrt),
    Curve("Sound", lambda e: e.sound_db, " dB", "sound", least_span=10),
    Curve("Snoring band", lambda e: e.snore_db, " dB", "snore", least_span=10, height=40),
    Curve("Light", lambda e: e.light_lux, " lx", "light", 1, scale=lambda lux: math.log10(1 + max(0.0, lux))),
    Curve("Temperature", lambda e: e.temperature_c, " °C", "temperature", 1, least_span=2),
    Curve("Humidity", lambda e: e.humidity_percent, " %", "humidity", least_span=10, height=40),
    Curve("CO₂", lambda e: e.co2_ppm, " ppm", "co2", least_span=200, height=40),
)


def draw_night(epochs: Sequence[Epoch], *, zone: dt.tzinfo, marks: Sequence[Mark] = (),
               window: tuple[float, float] | None = None) -> str:  # fmt: skip
    """The chart of epochs in order of time, without what was not measured; `window`: the wake window, Unix times."""
    if not epochs:
        return '<p class="empty">Nothing was recorded.</p>'
    since = min([epochs[0].start_s, *([window[0]] if window else [])])
    until = max([epochs[-1].start_s + EPOCH_S, since + 3600, *([window[1]] if window else [])])
    axis = _Axis(since, until)
    parts: list[str] = []
    y = 0
    for title, height, inner in _panels(epochs, axis):
        parts.append(f'<text class="label" x="0" y="{y + 11}">{title}</text>')
        parts.append(
            f'<svg x="0" y="{y + LABEL}" width="100%" height="{height}" viewBox="0 0 {WIDE} {height}"'
            f' preserveAspectRatio="none">{inner}</svg>'
        )
        y += LABEL + height + GAP
    bottom = y - GAP
    behind = [_hours(axis, zone, bottom)]
    if window:
        left, right = axis.percent(window[0]), axis.percent(window[1])
        behind.append(f'<rect class="window" x="{left}%" y="0" width="{right - left:.2f}%" height="{bottom}"/>')
    for mark in marks:
        if since <= mark.time_s <= until:
            x = axis.percent(mark.time_s)
            behind.append(
                f'<g class="mark {mark.kind}"><title>{escape(mark.text)}</title>'
                f'<line x1="{x}%" x2="{x}%" y1="0" y2="{bottom}"/></g>'
            )
    description = _describe(epochs, zone)
    return (
        f'<svg class="night-chart" width="100%" height="{bottom + 22}" role="img" aria-label="{escape(description)}">'
        f"{''.join(behind)}{''.join(parts)}</svg>"
    )


class _Axis:
    def __init__(self, since_s: float, until_s: float) -> None:
        self.since_s, self.until_s = since_s, until_s

    def x(self, time_s: float) -> float:
        return round((time_s - self.since_s) / (self.until_s - self.since_s) * WIDE, 1)

    def percent(self, time_s: float) -> float:
        return round(self.x(time_s) * 100 / WIDE, 2)


def _panels(epochs: Sequence[Epoch], axis: _Axis) -> list[tuple[str, int, str]]:
    """Title, height and content of each panel for which there is anything to show."""
    panels = [("Awake · restless · asleep", 60, _hypnogram(epochs, axis, 60))]
    if any(epoch.stage >= 0 for epoch in epochs):
        panels.append((f"Stages, experimental: {', '.join(STAGE_NAMES)}", 50, _stages(epochs, axis, 50)))
    for curve in CURVES:
        points = [(epoch.start_s, value) for epoch in epochs if (value := curve.value(epoch)) is not None]
        if not points:
            continue
        low, high = min(v for _, v in points), max(v for _, v in points)
        span = f"{low:.{curve.digits}f} to {high:.{curve.digits}f}{curve.unit}"
        title = f"{curve.title} <tspan>{span}</tspan>" if curve.unit else curve.title
        draw = _bars if curve.kind == "motion" else _line
        panels.append((title, curve.height, draw(points, axis, curve)))
    return panels


def _hypnogram(epochs: Sequence[Epoch], axis: _Axis, height: int) -> str:
    """A column for each stretch, the higher the more awake; a bar along the foot where nobody lay in the bed."""
    shapes = []
    for stretch in intervals(epochs):
        left, width = axis.x(stretch.start_s), max(0.5, axis.x(stretch.end_s) - axis.x(stretch.start_s))
        if stretch.state in LEVELS:
            top = round(LEVELS[stretch.state] * height * 0.3)
        elif stretch.state == "out_of_bed":
            top = height - 6
        else:
            continue
        shapes.append(
            f'<rect class="{stretch.state}" x="{left}" y="{top}" width="{width:.1f}" height="{height - top}"/>'
        )
    return "".join(shapes)


def _stages(epochs: Sequence[Epoch], axis: _Axis, height: int) -> str:
    step = (height - 6) / (len(STAGE_ROWS) - 1)
    path, last_end, last_y = [], -1, -1.0
    for epoch in epochs:
        if epoch.stage < 0 or state_of(epoch) == "out_of_bed":
            continue
        y = round(3 + STAGE_ROWS.index(epoch.stage) * step, 1)
        if epoch.start_s != last_end:
            path.append(f"M{axis.x(epoch.start_s)} {y}")
        elif y != last_y:
            path.append(f"H{axis.x(epoch.start_s)}V{y}")
        path.append(f"H{axis.x(epoch.start_s + EPOCH_S)}")
        last_end, last_y = epoch.start_s + EPOCH_S, y
    return f'<path class="stages" d="{"".join(path)}"/>'


def _bars(points: Sequence[tuple[int, float]], axis: _Axis, curve: Curve) -> str:
    # One leap out of bed must not flatten the night: the scale ends at the 99th percentile.
    ordered = sorted(value for _, value in points)
    top = curve.scale(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]) or 1.0
    height = curve.height
    path = ""
    for start_s, value in points:
        if value > 0:
            long = max(0.6, min(1.0, curve.scale(value) / top) * height)
            path += f"M{axis.x(start_s + EPOCH_S / 2)} {height}V{height - long:.1f}"
    return f'<path class="motion" d="{path}"/><path class="foot" d="M0 {height}H{WIDE}"/>'


def _line(points: Sequence[tuple[int, float]], axis: _Axis, curve: Curve) -> str:
    low, high = min(v for _, v in points), max(v for _, v in points)
    middle, span = (low + high) / 2, max(high - low, curve.least_span)
    bottom, top = curve.scale(middle - span / 2), curve.scale(middle + span / 2)
    room = (top - bottom) or 1.0
    height, path, last = curve.height, [], None
    for start_s, value in points:
        y = height - 3 - (curve.scale(value) - bottom) / room * (height - 6)
        # A line over a gap would claim what was not measured.
        path.append(f"{'L' if last is not None and start_s - last <= 4 * EPOCH_S else 'M'}{axis.x(start_s)} {y:.1f}")
        last = start_s
    return f'<path class="{curve.kind}" d="{"".join(path)}"/><path class="foot" d="M0 {height}H{WIDE}"/>'


def _hours(axis: _Axis, zone: dt.tzinfo, bottom: int) -> str:
    """Lines at full hours, with figures at every hour of a short night and at every second one of a long night."""
    every = 1 if axis.until_s - axis.since_s <= 6 * 3600 else 2
    shapes = []
    at = math.ceil(axis.since_s / 900) * 900
    while at <= axis.until_s:
        hour = dt.datetime.fromtimestamp(at, zone)
        x = axis.percent(at)
        if hour.minute == 0:
            shapes.append(f'<line class="hour" x1="{x}%" x2="{x}%" y1="0" y2="{bottom + 4}"/>')
            if hour.hour % every == 0 and 2 < x < 98:
                shapes.append(f'<text class="hour" x="{x}%" y="{bottom + 18}" text-anchor="middle">{hour:%H:%M}</text>')
        at += 900
    return "".join(shapes)


def _describe(epochs: Sequence[Epoch], zone: dt.tzinfo) -> str:
    first, last = (dt.datetime.fromtimestamp(s, zone) for s in (epochs[0].start_s, epochs[-1].start_s + EPOCH_S))
    minutes = dict.fromkeys(LEVELS, 0.0)
    for epoch in epochs:
        if (state := state_of(epoch)) in minutes:
            minutes[state] += EPOCH_S / 60
    spent = ", ".join(f"{state} {amount:.0f} min" for state, amount in minutes.items())
    return f"Night from {first:%H:%M} to {last:%H:%M}: {spent}"
