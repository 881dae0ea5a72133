"""The machine's zone through changes of summer time, and simulated time."""

from __future__ import annotations

import datetime as dt
import json
import time
from zoneinfo import ZoneInfo

import pytest
from edgebnn_sleep.timekeeping import LocalZone, MachineTime, SimulatedTime

from tests.apps.edgebnn_sleep.nights import BERLIN


@pytest.fixture(params=["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def zone(request, monkeypatch) -> ZoneInfo:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield ZoneInfo(request.param)
    monkeypatch.undo()
    time.tzset()


def test_the_local_zone_is_the_machines_around_the_year(zone):
    local = LocalZone()
    for quarter_hour in range(0, 366 * 96):
        instant = 1_767_225_600 + quarter_hour * 900
        ours, theirs = dt.datetime.fromtimestamp(instant, local), dt.datetime.fromtimestamp(instant, zone)
        assert ours.replace(tzinfo=None) == theirs.replace(tzinfo=None)
        assert ours.utcoffset() == theirs.utcoffset()
        assert ours.timestamp() == instant


def test_a_given_zone_wins():
    assert MachineTime(BERLIN).zone() is BERLIN
    assert abs(MachineTime().offset_s() - (time.time() - time.monotonic())) < 1


def test_simulated_time_changes_speed_without_a_leap(tmp_path):
    simulated = SimulatedTime(1000.0, speed=1.0, zone=BERLIN, share=tmp_path / "clock.json")
    assert 1000 <= simulated.now_s() < 1060
    simulated.change_speed(1e6)
    before_s = simulated.now_s()
    while simulated.now_s() < before_s + 1000:
        pass
    simulated.change_speed(1.0)
    after_s = simulated.now_s()
    assert after_s >= before_s + 1000
    assert simulated.now_s() - after_s < 60
    shared = json.loads((tmp_path / "clock.json").read_text())
    assert shared["speed"] == 1.0 and shared["zone"] == "Europe/Berlin"
    assert shared["utc_s"] - 1000.0 == pytest.approx(shared["boot_s"] - 1000.0)
