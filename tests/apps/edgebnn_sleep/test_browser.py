"""The page in a real browser on a phone, with the real clock behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from edgebnn_sleep.store import Event

from tests.apps.edgebnn_sleep.conftest import House, until
from tests.apps.edgebnn_sleep.nights import EVENING, night

PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


@pytest.fixture
def phone(chromium: Any) -> Iterator[Any]:
    """A tab in which nothing may go wrong."""
    context = chromium.new_context(**PHONE, color_scheme="dark")
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    yield tab
    context.close()
    assert [problem for problem in problems if "422" not in problem] == []


def fits(tab: Any) -> bool:
    return bool(tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_an_alarm_set_in_the_editor_is_in_the_clock(house: House, phone: Any) -> None:
    house.start()
    phone.goto(f"{house.url}/alarms")
    phone.click("text=New alarm")
    phone.fill("#time", "06:35")
    phone.fill("#name", "Early <train>")
    for day in ("mon", "tue", "wed", "thu", "fri"):
        phone.click(f"label[for=day-{day}]")
    phone.click("label[for=day-sat]")
    phone.fill("#except_dates", "2026-12-26, 2027-01-02")
    phone.fill("#window_min", "20")
    phone.fill("#sound", "chime")
    phone.fill("#fade_s", "45")
    phone.fill("#start_percent", "12.5")
    phone.fill("#sunrise_min", "15")
    phone.fill("#snooze_limit", "2")
    phone.check("#skip_if_out_of_bed")
    assert fits(phone)
    phone.click("#save")
    phone.wait_for_url("**/alarms")
    (alarm,) = house.client.ask("list")["alarms"]
    following = alarm.pop("next")
    assert alarm == {
        "id": 1, "name": "Early <train>", "time": "06:35", "weekdays": ["sat"], "date": None,
        "except_dates": ["2026-12-26", "2027-01-02"], "enabled": True, "window_min": 20, "sound": "chime",
        "fade_s": 45, "start_level": 0.125, "sunrise_min": 15, "snooze_min": 9, "snooze_limit": 2,
        "skip_if_out_of_bed": True,
    }  # fmt: skip
    assert following["date"] == "2026-11-28"
    assert "Early <train>" in phone.inner_text("main") and "Sat 06:35" in phone.inner_text("main")
    # One-off, through the same form.
    phone.click("text=Early <train>")
    phone.check("#once")
    phone.fill("#date", "2026-11-30")
    phone.click("#save")
    phone.wait_for_url("**/alarms")
    (alarm,) = house.client.ask("list")["alarms"]
    assert (alarm["date"], alarm["weekdays"], alarm["except_dates"]) == ("2026-11-30", [], [])
    phone.click("button[role=switch]")
    until(lambda: not house.client.ask("list")["alarms"][0]["enabled"], "switching off")
    phone.goto(f"{house.url}/alarms/1")
    phone.click("#delete")
    phone.wait_for_url("**/alarms")
    assert house.client.ask("list")["alarms"] == []


def test_what_the_clock_refuses_stays_in_the_form(house: House, phone: Any) -> None:
    house.start()
    phone.goto(f"{house.url}/alarms/new")
    phone.fill("#name", "Mine")
    phone.fill("#except_dates", "christmas")
    phone.click("#save")
    assert "christmas" in phone.inner_text("#error")
    assert phone.input_value("#name") == "Mine" and phone.input_value("#except_dates") == "christmas"
    assert house.client.ask("list")["alarms"] == []


def test_a_ringing_alarm_is_snoozed_and_stopped(house: House, phone: Any) -> None:
    house.start()
    house.set_alarm(name="Up", snooze_min=5)
    phone.goto(house.url)
    assert phone.is_hidden("#ringing")
    house.pass_time(580)
    phone.wait_for_selector("#ringing:not([hidden])")
    assert "Up · set for 22:40" in phone.inner_text("#ringing")
    phone.wait_for_selector("#ringing >> text=/Rang 22:40: .*/")
    assert fits(phone)
    box = phone.locator("#stop").bounding_box()
    assert box["height"] >= 80 and box["y"] + box["height"] < 740, "big, and to be seen without scrolling"
    phone.click("#snooze")
    phone.wait_for_selector("#ringing[hidden]", state="attached")
    assert not house.ringing()
    phone.wait_for_selector("text=Snoozed: rings again at")
    house.pass_time(360)
    phone.wait_for_selector("#ringing:not([hidden])")
    phone.click("#stop")
    phone.wait_for_selector("#ringing[hidden]", state="attached")
    assert not house.ringing()
    phone.wait_for_selector("#tonight >> text=/Stopped .*by page/")
    kinds = [event.kind for event in house.service.store.events(0, 1e12)]
    assert [kind for kind in kinds if kind in ("rang", "snoozed", "stopped")] == ["rang", "snoozed", "rang", "stopped"]


def test_skip_next_and_back(house: House, phone: Any) -> None:
    house.start()
    house.set_alarm()
    phone.goto(house.url)
    phone.wait_for_selector("text=today 22:40")
    phone.click("#skip")
    phone.wait_for_selector("text=tomorrow 22:40")
    phone.goto(f"{house.url}/alarms")
    phone.click("text=Do not skip")
    phone.wait_for_selector("text=/Next today 22:40/")
    house.pass_time(600)
    until(house.ringing, "ringing")


def test_nights_charts_and_data_on_a_phone(house: House, phone: Any) -> None:
    service = house.start()
    epochs = night("w" * 4 + "s" * 30 + "r" * 2 + "s" * 30 + "w" * 2, start=EVENING.replace(day=22))
    epochs = [replace(epoch, humidity_percent=50.0) for epoch in epochs]
    for epoch in epochs:
        service.store.add_epoch(epoch)
    service.store.add_event(Event(epochs[-1].start_s, "rang", "rang 06:41: <b>awake</b>", epochs[-1].start_s + 900))
    for path in ("/", "/alarms", "/alarms/new", "/nights", "/nights/2026-11-22", "/data"):
        phone.goto(house.url + path)
        assert fits(phone), path
    phone.goto(f"{house.url}/nights")
    assert "5.2 h" in phone.inner_text("main") and "Sun 22 Nov" in phone.inner_text("main")
    phone.click("a:text('Sun 22 Nov')")
    chart = phone.locator(".night-chart")
    assert chart.bounding_box()["width"] > 280
    for shape in ("awake", "asleep", "restless", "motion", "temperature", "humidity", "light", "sound"):
        assert phone.locator(f".night-chart .{shape}").count() > 0, shape
    assert "Rang 06:41: <b>awake</b>" in phone.inner_text(".log")
    assert re.search(r"Efficiency\s*91 %|91 %\s*Efficiency", phone.inner_text("main"))
