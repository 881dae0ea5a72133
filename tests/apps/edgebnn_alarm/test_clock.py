"""What the machine says of time: zones, synchronisation, simulated clocks."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from edgebnn_alarm import clock as clock_module
from edgebnn_alarm.clock import FileClock, SystemClock

from edgebnn.errors import ConfigError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("etc", "run/systemd/timesync", "sys/class/rtc/rtc0", "proc/sys/kernel/random"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/random/boot_id").write_text("abc\n")
    (tmp_path / "etc/localtime").symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    return tmp_path


def test_the_kernels_clocks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_module, "_adjtimex", lambda: 5)
    reading = SystemClock(root=root).read()
    assert abs(reading.kernel_s - time.time()) < 5 and (reading.boot_id, reading.synchronised) == ("abc", False)
    (root / "run/systemd/timesync/synchronized").touch()
    assert SystemClock(root=root).read().synchronised
    monkeypatch.setattr(clock_module, "_adjtimex", lambda: 0)
    (root / "run/systemd/timesync/synchronized").unlink()
    assert SystemClock(root=root).read().synchronised
    monkeypatch.setattr(clock_module, "_adjtimex", lambda: None)  # a unit forbids to ask
    assert not SystemClock(root=root).read().synchronised


def test_a_hardware_clock_counts_if_the_kernel_was_set_from_it(root: Path) -> None:
    assert not SystemClock(root=root).read().battery
    (root / "sys/class/rtc/rtc0/hctosys").write_text("0\n")
    assert not SystemClock(root=root).read().battery
    (root / "sys/class/rtc/rtc0/hctosys").write_text("1\n")
    assert SystemClock(root=root).read().battery


def test_the_zone_follows_the_machine(root: Path) -> None:
    clock = SystemClock(root=root)
    assert clock.zone().key == "Europe/Berlin" and clock.zone() is clock.zone()
    localtime = root / "etc/localtime"
    localtime.unlink()
    localtime.symlink_to("../usr/share/zoneinfo/Asia/Kathmandu")
    assert clock.zone().key == "Asia/Kathmandu"
    localtime.unlink()
    localtime.symlink_to("/usr/share/zoneinfo/Not/There")
    assert clock.zone().key == "Asia/Kathmandu"
    assert clock.zone_problem is not None and "Asia/Kathmandu is used" in clock.zone_problem
    localtime.unlink()
    localtime.write_bytes(b"no zone")
    assert clock.zone().key == "Asia/Kathmandu"
    localtime.unlink()
    assert SystemClock(root=root).zone().key == "UTC"
    assert SystemClock("America/New_York", root=root).zone().key == "America/New_York"
    with pytest.raises(ConfigError, match="Europe/Berlin"):
        SystemClock("Nowhere", root=root)


def test_a_zone_that_is_a_file(root: Path) -> None:
    from importlib.resources import files

    data = next(
        (path for path in (Path("/usr/share/zoneinfo/Asia/Tokyo"),) if path.exists()), None
    ) or Path(str(files("tzdata.zoneinfo.Asia") / "Tokyo"))  # fmt: skip
    (root / "etc/localtime").unlink()
    (root / "etc/localtime").write_bytes(data.read_bytes())
    zone = SystemClock(root=root).zone()
    from edgebnn_alarm.wall_time import iso

    assert iso(0, zone) == "1970-01-01T09:00:00+09:00"


def test_a_simulated_clock_runs_at_its_speed_and_is_reread(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    raw = {"real_s": now - 10, "utc_s": 1000.0, "boot_s": 500.0, "speed": 60, "boot_id": "x", "synchronised": True}
    file.write_text(json.dumps({**raw, "battery": False, "zone": "UTC"}))
    clock = FileClock(file)
    reading = clock.read()
    assert 1600 <= reading.kernel_s < 1600 + 60 * 30 and reading.kernel_s - reading.boot_s == 500
    file.write_text(json.dumps({**raw, "utc_s": 9000.0, "battery": False, "zone": "Asia/Tokyo", "speed": 1.0}))
    assert clock.read().kernel_s >= 9010 and clock.zone().key == "Asia/Tokyo"
    file.write_text("{}")
    with pytest.raises(ConfigError, match="cannot be used"):
        clock.read()
