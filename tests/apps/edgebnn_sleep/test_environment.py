"""The kernel's IIO files, in a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from edgebnn_sleep.environment import Environment


def device(root: Path, number: int, name: str, **files: str) -> Path:
    folder = root / f"iio:device{number}"
    folder.mkdir()
    (folder / "name").write_text(f"{name}\n")
    for file, text in files.items():
        (folder / file).write_text(f"{text}\n")
    return folder


def test_units_of_the_abi(tmp_path):
    device(tmp_path, 0, "bme280", in_temp_input="21480", in_humidityrelative_input="48231", in_pressure_input="101.325")
    device(tmp_path, 1, "tsl2591", in_illuminance_input="3.5")
    device(tmp_path, 2, "scd30", in_concentration_co2_input="0.0815")
    found = Environment(tmp_path).read()
    assert found == pytest.approx(
        {"temperature_c": 21.48, "humidity_percent": 48.231, "pressure_hpa": 1013.25, "light_lux": 3.5, "co2_ppm": 815}
    )


def test_raw_offset_scale(tmp_path):
    device(tmp_path, 0, "si7020", in_temp_raw="7000", in_temp_offset="-4368", in_temp_scale="10.725")
    assert Environment(tmp_path).read() == {"temperature_c": pytest.approx((7000 - 4368) * 10.725 / 1000)}


@pytest.mark.parametrize(
    ("channel", "scale"),
    [
        ("in_illuminance0", "in_illuminance0_scale"),
        ("in_illuminance0", "in_illuminance_scale"),
        ("in_illuminance", "in_illuminance_scale"),
        ("in_illuminance", "in_scale"),
        ("in_illuminance_clear", "in_illuminance_scale"),
    ],
)
def test_where_a_scale_may_stand(tmp_path, channel, scale):
    device(tmp_path, 0, "x", **{f"{channel}_raw": "120", scale: "0.25"})
    assert Environment(tmp_path).read() == {"light_lux": 30}


def test_own_scale_wins_over_shared(tmp_path):
    device(
        tmp_path, 0, "x", in_illuminance0_raw="10", in_illuminance0_scale="2", in_illuminance_scale="5", in_scale="7"
    )
    assert Environment(tmp_path).read() == {"light_lux": 20}


def test_raw_without_scale_is_in_the_unit(tmp_path):
    device(tmp_path, 0, "x", in_illuminance_raw="12")
    assert Environment(tmp_path).read() == {"light_lux": 12}


def test_co2_with_a_scale_of_its_type(tmp_path):
    device(tmp_path, 0, "ccs811", in_concentration_co2_raw="640", in_concentration_co2_scale="0.0001")
    device(tmp_path, 1, "voc", in_concentration_voc_raw="640", in_concentration_voc_scale="0.0001")
    assert Environment(tmp_path).read() == {"co2_ppm": pytest.approx(640)}


def test_a_chosen_device(tmp_path):
    device(tmp_path, 0, "cpu", in_temp_input="60000")
    device(tmp_path, 10, "bme280", in_temp_input="19000")
    assert Environment(tmp_path).read() == {"temperature_c": 60}
    assert Environment(tmp_path, {"temperature_c": "bme280"}).read() == {"temperature_c": 19}
    assert Environment(tmp_path, {"temperature_c": "iio:device10"}).read() == {"temperature_c": 19}
    assert Environment(tmp_path, {"temperature_c": "elsewhere"}).read() == {}


@pytest.mark.parametrize("text", ["", "abc", "nan", "inf", "999999999", "-273000"])
def test_absurd_values_are_left_out_and_said_once(tmp_path, text, caplog):
    folder = device(tmp_path, 0, "dht11", in_temp_input=text)
    environment = Environment(tmp_path)
    for _ in range(3):
        assert environment.read() == {}
    assert caplog.text.count("no usable value") == 1
    (folder / "in_temp_input").write_text("20000\n")
    assert environment.read() == {"temperature_c": 20}


def test_a_channel_that_cannot_be_read_leaves_the_next(tmp_path):
    """A driver answers EIO: here the file is a folder, EISDIR."""
    folder = device(tmp_path, 0, "dht11")
    (folder / "in_temp_input").mkdir()
    device(tmp_path, 1, "other", in_temp_input="18000")
    assert Environment(tmp_path).read() == {"temperature_c": 18}


def test_devices_come_and_go(tmp_path):
    environment = Environment(tmp_path / "iio")
    assert environment.read() == {}
    (tmp_path / "iio").mkdir()
    folder = device(tmp_path / "iio", 0, "tsl", in_illuminance_input="1")
    assert environment.read() == {"light_lux": 1}
    folder.rename(tmp_path / "gone")
    assert environment.read() == {}


def test_other_entries_are_not_devices(tmp_path):
    device(tmp_path, 0, "tsl", in_illuminance_input="1").rename(tmp_path / "trigger0")
    (tmp_path / "iio:deviceX").mkdir()
    assert Environment(tmp_path).read() == {}
