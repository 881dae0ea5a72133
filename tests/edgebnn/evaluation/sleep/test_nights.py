from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.errors import DataError
from edgebnn.evaluation.sleep.nights import _parse, grid_index, read_night


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "night.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_a_night_is_read(tmp_path: Path) -> None:
    night = read_night(write(tmp_path, "time_s,activity,stage\n0,0,0\n30,12.5,1\n\n120,1e3,-1\n"))
    assert night.name == "night" and len(night) == 3
    np.testing.assert_array_equal(night.time_s, [0, 30, 120])
    np.testing.assert_array_equal(night.activity, [0, 12.5, 1000])
    np.testing.assert_array_equal(night.stage, [0, 1, -1])


def test_columns_in_any_order_and_foreign_ones(tmp_path: Path) -> None:
    text = "\ufeffstage , activity,note,time_s,sound_db,light_lux\r\n2,5,hello,1000,,3\r\n2.0,6,,1030,40,\r\n"
    night = read_night(write(tmp_path, text))
    np.testing.assert_array_equal(night.activity, [5, 6])
    np.testing.assert_array_equal(night.stage, [2, 2])
    assert read_night(write(tmp_path, "time_s,activity\n-30,1\n")).stage is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "column time_s"),
        ("time_s,activity\n", "no rows"),
        ("time_s\n0\n", "column activity"),
        ("time_s,activity,activity\n0,1,2\n", "one column activity"),
        ("time_s,activity,stage,stage\n0,1,2,0\n", "one column stage"),
        ("0,1\n30,2\n", "header"),
        ("time_s,activity\n0,1,2\n", "line 2: expected 2 values, got 3"),
        ("time_s,activity\n0,-1\n", "from 0 up"),
        ("time_s,activity\n0,nan\n", "expected a number"),
        ("time_s,activity\n0,\n", "expected a number"),
        ("time_s,activity\n0,1e999\n", "expected a number up to 1e+15"),
        ("time_s,activity\n0,1e308\n", "expected a number up to 1e+15"),
        ("time_s,activity\ninf,1\n", "time_s = 'inf'"),
        ("time_s,activity\n0,1\n0,1\n", "line 3: time_s = 0 after 0"),
        ("time_s,activity\n30,1\n0,1\n", "rows in order"),
        ("time_s,activity\n0,1\n1,1\n", "one for each 30 s"),
        ("time_s,activity\n0,1\n1e9,1\n", "more than a week"),
        ("time_s,activity,stage\n0,1,5\n", "stage = '5'"),
        ("time_s,activity,stage\n0,1,0.5\n", "stage = '0.5'"),
        ("time_s,activity,stage\n0,1,\n", "stage = ''"),
        ('time_s,activity\n0,"1\n', "no csv"),
        (b"time_s,activity\n\xff\xfe\n", "UTF-8"),
        (b"time_s,activity\n0,\x00\n", "zero bytes"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(DataError) as error:
        read_night(write(tmp_path, text))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_night(tmp_path / "none.csv")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='0123456789.,-eE+"\n\r \tnaif', max_size=60))
def test_any_rows_are_read_or_refused(rows: str) -> None:
    try:
        night = _parse("f", "f", "time_s,activity\n" + rows)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert (night.activity >= 0).all() and (np.diff(night.time_s) > 0).all()


def test_the_grid_follows_the_clock_and_keeps_every_row() -> None:
    np.testing.assert_array_equal(grid_index(np.array([5.0, 35, 64, 186])), [0, 1, 2, 6])
    np.testing.assert_array_equal(grid_index(np.array([0.0, 16, 32, 48, 95])), [0, 1, 2, 3, 4])
    assert grid_index(np.array([])).size == 0
