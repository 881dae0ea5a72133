"""The chart is well-formed SVG whose shapes lie where the night's epochs are."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from edgebnn_sleep.chart import WIDE, Mark, draw_night

from tests.apps.edgebnn_sleep.nights import BERLIN, EVENING, night


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if name in element.get("class", "").split()]


def test_hypnogram_columns_are_where_the_states_are():
    root = parse(draw_night(night("w" * 4 + "s" * 4 + "o" * 4), zone=BERLIN))
    places = {name: of_class(root, name)[0] for name in ("awake", "asleep", "out_of_bed")}
    assert [float(places[name].get("x")) for name in ("awake", "asleep", "out_of_bed")] == pytest.approx(
        [0, WIDE / 3, 2 * WIDE / 3], abs=0.2
    )
    heights = [float(places[name].get("height")) for name in ("awake", "asleep", "out_of_bed")]
    assert heights == sorted(heights, reverse=True)


def test_hours_are_local_and_named():
    root = parse(draw_night(night("s" * 60), zone=BERLIN))
    assert [e.text for e in of_class(root, "hour") if e.tag.endswith("text")] == [
        "23:00",
        "00:00",
        "01:00",
        "02:00",
        "03:00",
    ]


def test_half_hour_zones():
    start = EVENING.replace(tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30)))
    root = parse(draw_night(night("s" * 30, start=start), zone=start.tzinfo))
    assert [e.text for e in of_class(root, "hour") if e.tag.endswith("text")] == ["23:00", "00:00"]


def test_a_gap_is_not_bridged():
    path = of_class(parse(draw_night(night("s" * 6 + "-" * 6 + "s" * 6), zone=BERLIN)), "temperature")[0].get("d")
    assert path.count("M") == 2


def test_what_was_not_measured_has_no_panel():
    epochs = [replace(e, light_lux=None, stage=-1) for e in night("ss")]
    root = parse(draw_night(epochs, zone=BERLIN))
    assert not of_class(root, "light") and not of_class(root, "stages") and of_class(root, "temperature")


def test_stages_are_called_experimental():
    assert "experimental" in draw_night(night("ss"), zone=BERLIN)


def test_ring_and_window():
    epochs = night("s" * 24)
    end_s = epochs[-1].start_s + 30
    svg = draw_night(
        epochs, zone=BERLIN, marks=[Mark(end_s - 1800, "ring", "rang <early> & well")], window=(end_s - 3600, end_s)
    )
    root = parse(svg)
    assert of_class(root, "ring")[0][0].text == "rang <early> & well"
    assert float(of_class(root, "ring")[0][1].get("x1").rstrip("%")) == pytest.approx(75)
    assert float(of_class(root, "window")[0].get("x").rstrip("%")) == pytest.approx(50)


def test_a_leap_does_not_flatten_the_night():
    epochs = [replace(e, activity=4.0) for e in night("s" * 60)]
    epochs[7] = replace(epochs[7], activity=1e6)
    path = of_class(parse(draw_night(epochs, zone=BERLIN)), "motion")[0].get("d")
    assert path.count("V0.0") == len(epochs)


@pytest.mark.parametrize("value", [0.0, -120.0, 1e9])
def test_any_value_stays_in_its_panel(value):
    epochs = [
        replace(e, activity=abs(value), light_lux=abs(value), sound_db=value, temperature_c=value) for e in night("ws")
    ]
    for element in parse(draw_night(epochs, zone=BERLIN)).iter():
        for number in (
            element.get("d", "").replace("M", " ").replace("L", " ").replace("V", " ").replace("H", " ").split()
        ):
            assert math.isfinite(float(number)) and 0 <= float(number) <= WIDE


def test_an_empty_night_and_a_short_one():
    assert "Nothing was recorded" in draw_night([], zone=BERLIN)
    assert (
        parse(draw_night(night("w")[:1], zone=BERLIN)).get("aria-label")
        == "Night from 22:30 to 22:30: awake 0 min, restless 0 min, asleep 0 min"
    )


def test_a_day_of_epochs_stays_small():
    assert len(draw_night(night("wsrs" * 72), zone=BERLIN)) < 300_000
