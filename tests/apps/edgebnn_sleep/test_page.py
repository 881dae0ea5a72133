"""The page's routes over HTTP, against the real service and clock: exports, backup, access, a clock that is away."""

from __future__ import annotations

import csv
import io
import json
import re

import httpx
import pytest
from edgebnn_sleep.store import Event

from tests.apps.edgebnn_sleep.conftest import House, until
from tests.apps.edgebnn_sleep.nights import night

EPOCHS = night("wssro")


@pytest.fixture
def browser(house: House):
    """A client that behaves as a browser does."""
    service = house.start()
    for epoch in EPOCHS:
        service.store.add_epoch(epoch)
    with httpx.Client(base_url=house.url, headers={"Accept": "text/html"}, follow_redirects=True, timeout=30) as client:
        yield client


def post(browser: httpx.Client, path: str, **fields: object) -> httpx.Response:
    token = re.search(r'name="form-token" content="([^"]*)"', browser.get("/").text)[1]
    files = {"file": ("backup.jsonl", fields.pop("file"))} if "file" in fields else None
    return browser.post(path, data={"form_token": token, **fields}, files=files)


def test_epochs_as_csv(browser):
    answer = browser.get("/data/epochs.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = [
        row for row in csv.DictReader(io.StringIO(answer.text)) if int(row["start_s"]) in {e.start_s for e in EPOCHS}
    ]
    assert len(rows) == len(EPOCHS)
    assert rows[0]["time"] == "2026-11-23T22:30:00+01:00"
    assert [float(row["activity"]) for row in rows] == [epoch.activity for epoch in EPOCHS]
    assert rows[0]["co2_ppm"] == "" and rows[-1]["state"] == "out_of_bed"


def test_epochs_and_intervals_as_json(browser):
    found = [e for e in browser.get("/data/epochs.json").json() if e["state"] != "unknown"]
    assert [e["start_s"] for e in found] == [e.start_s for e in EPOCHS]
    stretches = [s for s in browser.get("/data/intervals.json").json() if s["state"] != "unknown"]
    assert [(s["state"], s["end_s"] - s["start_s"]) for s in stretches] == [
        ("awake", 300), ("asleep", 600), ("restless", 300), ("out_of_bed", 300)
    ]  # fmt: skip
    assert browser.get("/data/intervals.csv").text.splitlines()[0] == "start,end,start_s,end_s,minutes,state"


def test_backup_and_import(house, browser):
    house.set_alarm(name="Work", except_dates=["2026-12-24"])
    house.service.store.add_event(Event(5.0, "rang", "rang early"))
    raw = browser.get("/data/backup.jsonl").content
    assert json.loads(raw.splitlines()[0]) == {"format": "edgebnn-sleep-backup", "version": 1}
    answer = post(browser, "/data/import", file=raw)
    assert "Imported: 0 of" in answer.text and "0 of 1 alarms were new" in answer.text
    house.client.ask("delete", alarm=1)
    house.service.store.forget_before(1e10)
    answer = post(browser, "/data/import", file=raw)
    assert "1 of 1 alarms were new" in answer.text
    assert house.client.ask("list")["alarms"][0]["name"] == "Work"
    assert [e for e in house.service.store.epochs(0, 1e12) if e.activity is not None] == EPOCHS
    assert house.service.store.events(0, 10) == [Event(5.0, "rang", "rang early")]


def test_a_bad_backup_changes_nothing(house, browser):
    before = house.service.store.epochs(0, 1e12)
    for raw in (b"", b"{}", b"\xff" * 100, b'{"format": "edgebnn-sleep-backup", "version": 2}\n'):
        answer = post(browser, "/data/import", file=raw)
        assert answer.status_code == 422 and "expected a" in answer.text
    assert house.service.store.epochs(0, 1e12)[: len(before)] == before


def test_an_alarm_that_the_clock_refuses_is_said(house, browser):
    raw = browser.get("/data/backup.jsonl").content + b'{"alarm": {"time": "25:00", "weekdays": []}}\n'
    answer = post(browser, "/data/import", file=raw)
    assert answer.status_code == 422 and "25:00" in answer.text


def test_nothing_changes_without_our_form(house, browser):
    house.set_alarm()
    for path in ("/stop", "/skip", "/alarms/save", "/alarms/1/delete", "/data/import"):
        assert browser.post(path, data={"time": "07:00"}).status_code == 403, path
    assert len(house.client.ask("list")["alarms"]) == 1


def test_beyond_this_machine_a_token_is_needed(house, monkeypatch):
    monkeypatch.setenv("EDGEBNN_WEB_TOKEN", "correct horse battery staple")
    house.start(house.settings())
    for path in ("/nights", "/data/epochs.csv", "/data/backup.jsonl", "/live", "/tonight"):
        assert httpx.get(house.url + path).status_code == 401, path
    allowed = {"Authorization": "Bearer correct horse battery staple"}
    assert httpx.get(f"{house.url}/data/epochs.csv", headers=allowed).status_code == 200
    assert httpx.post(f"{house.url}/stop", headers=allowed).status_code == 303


ODD = {
    "/nights/tomorrow": 404,
    "/nights/0001-01-01": 404,
    "/nights/9999-12-31": 404,
    "/nights/2000-01-01": 200,
    "/nights/2199-12-31": 200,
    "/nights?until=<script>": 200,
    "/nights?until=9999-12-31": 200,
    "/nights?until=0001-01-01": 200,
    "/data/..%2f..%2fetc%2fpasswd": 404,
    "/data/epochs.csv?days=-1": 422,
    "/data/epochs.csv?days=%C2%B2": 422,  # a superscript two: a digit, and no number
    f"/data/epochs.csv?days={'9' * 5000}": 422,
    "/data/epochs.csv?days=1": 200,
    "/alarms/99": 404,
    "/alarms/99999999999999999999": 404,
}


def test_odd_addresses(browser):
    answers = {path: browser.get(path) for path in ODD}
    assert {path: answer.status_code for path, answer in answers.items()} == ODD
    assert not any("<script>" in answer.text.split("<body>")[-1] for answer in answers.values())


def test_odd_forms(house, browser):
    assert post(browser, "/alarms/save").status_code == 422
    assert post(browser, "/alarms/save", time="07:00", window_min="ten").status_code == 422
    assert post(browser, "/alarms/99/delete").status_code == 409
    house.set_alarm()
    for number in ("two", "²", "9" * 5000):
        answer = post(browser, "/skip", alarm=number)
        assert answer.status_code == 422 and "number of an alarm" in answer.text
        assert post(browser, "/alarms/save", id=number).status_code == 422
    (alarm,) = house.client.ask("list")["alarms"]
    assert alarm["next"]["state"] != "skipped"
    assert post(browser, "/snooze").status_code == 409, "nothing rings"
    assert post(browser, "/stop").status_code == 200


def test_a_clock_that_is_away_is_said_and_comes_back(house, browser):
    alarm = house.set_alarm(name="Still there")
    until(lambda: browser.get("/live").json()["values"]["next"] == "today 22:40", "the next alarm")
    house.stop_clock()
    values = until(lambda: (v := browser.get("/live").json()["values"])["problems"] and v, "the loss of the clock")
    assert "alarm clock" in values["problems"] and values["next"] == "unknown"
    for path in ("/", "/nights"):
        assert browser.get(path).status_code == 200
    assert "does not answer" in browser.get("/alarms").text
    answer = post(browser, "/stop")
    assert answer.status_code == 503 and "systemctl status edgebnn-alarm" in answer.text
    form = {"time": "07:00", "window_min": "0", "fade_s": "0", "start_percent": "5", "sunrise_min": "0"}
    answer = post(browser, "/alarms/save", snooze_min="9", snooze_limit="3", name="typed", **form)
    assert answer.status_code == 503 and 'value="typed"' in answer.text
    house.start_clock()
    until(lambda: not browser.get("/live").json()["values"]["problems"], "the return of the clock")
    assert browser.get("/live").json()["values"]["next"] == "today 22:40"
    assert house.client.ask("list")["alarms"][0]["name"] == alarm["name"]
    texts = [event.text for event in house.service.store.events(0, 1e12)]
    assert any("does not answer" in text or "hung up" in text for text in texts)
    assert "the alarm clock answers again" in texts


def test_metrics(browser):
    text = browser.get("/metrics").text
    assert "edgebnn_sleep_clock_answers 1.0" in text and "edgebnn_sleep_camera_streaming 0.0" in text
