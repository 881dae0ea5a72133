from __future__ import annotations

from pathlib import Path

import pytest

from edgebnn.service.board import Board, decode_throttled, read_board

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


def files(root: Path, **content: str) -> Path:
    for name, text in content.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def pi(root: Path) -> Path:
    """What a Pi 4 shows."""
    write = {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "proc/meminfo": "MemTotal:        3884360 kB\nMemFree:  1 kB\nMemAvailable: 3210000 kB\nHugePages_Total: 0\n",
        "proc/self/status": "Name:\tpython3\nVmRSS:\t   51200 kB\n",
        "sys/class/thermal/thermal_zone0/temp": "99000\n",
        "sys/class/thermal/thermal_zone0/type": "gpu-thermal\n",
        "sys/class/thermal/thermal_zone1/temp": "51608\n",
        "sys/class/thermal/thermal_zone1/type": "cpu-thermal\n",
        "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "ondemand\n",
        "sys/devices/system/cpu/cpufreq/policy1/scaling_governor": "ondemand\n",
        THROTTLED: "50005\n",
    }
    for name, text in write.items():
        files(root, **{name: text})
    return root


def test_a_pi(tmp_path: Path) -> None:
    board = read_board(root=pi(tmp_path), disk=tmp_path)
    assert board.disk_free_bytes is not None and board.disk_free_bytes > 0
    assert board == Board(
        model="Raspberry Pi 4 Model B Rev 1.4",
        temperature_c=51.608,
        throttled=("under-voltage", "throttled", "under-voltage has occurred", "throttling has occurred"),
        governors=("ondemand",),
        memory_total_bytes=3884360 * 1024,
        memory_available_bytes=3210000 * 1024,
        process_rss_bytes=51200 * 1024,
        disk_free_bytes=board.disk_free_bytes,
    )
    assert board.throttled_now == ("under-voltage", "throttled")


def test_nothing_there(tmp_path: Path) -> None:
    board = read_board(root=tmp_path, disk=tmp_path / "none")
    assert board == Board(None, None, None, None, None, None, None, None)
    assert board.throttled_now is None


def test_this_machine() -> None:
    board = read_board()
    assert board.process_rss_bytes and board.memory_total_bytes and board.memory_total_bytes > board.process_rss_bytes


@pytest.mark.parametrize("name", ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"])
def test_throttling_of_older_and_newer_boards(tmp_path: Path, name: str) -> None:
    files(tmp_path, **{f"sys/devices/platform/{name}/get_throttled": "0x4\n"})
    assert read_board(root=tmp_path).throttled == ("throttled",)


@pytest.mark.parametrize(("alarm", "expected"), [("0", ()), ("1", ("under-voltage has occurred",))])
def test_under_voltage_by_hwmon(tmp_path: Path, alarm: str, expected: tuple[str, ...]) -> None:
    files(tmp_path, sys__class__hwmon__hwmon0__name="cpu_thermal\n")
    files(tmp_path, sys__class__hwmon__hwmon1__name="rpi_volt\n", sys__class__hwmon__hwmon1__in0_lcrit_alarm=alarm)
    assert read_board(root=tmp_path).throttled == expected


@pytest.mark.parametrize("text", ["", "soon", "999999999", "-273150"])
def test_a_thermometer_that_talks_nonsense(tmp_path: Path, text: str) -> None:
    files(tmp_path, sys__class__thermal__thermal_zone0__temp=text)
    assert read_board(root=tmp_path).temperature_c is None


def test_each_bit_has_its_name() -> None:
    assert decode_throttled(0) == ()
    names = [decode_throttled(1 << bit) for bit in (0, 1, 2, 3, 16, 17, 18, 19)]
    assert all(len(name) == 1 for name in names) and len(set(names)) == 8
    assert decode_throttled(0xF000F) == tuple(name for (name,) in names)
    assert decode_throttled(1 << 5) == ()
