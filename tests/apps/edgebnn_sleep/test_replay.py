"""The contract of `edgebnn-sleep replay`, which others measure with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from edgebnn_sleep import cli

from edgebnn.evaluation.sleep.judge import simulate_judged_night

ROWS = 240
KEYS = ["time_s", "p_wake", "asleep", "stage", "ring"]


@pytest.fixture(scope="module")
def rows() -> list[str]:
    night = simulate_judged_night(11)
    kept = [row for row in range(ROWS) if not 100 <= row < 112]  # a gap
    return [f"{night.time_s[row]:g},{night.activity[row]:g}" for row in kept]


def write(folder: Path, rows: list[str], header: str = "time_s,activity") -> Path:
    file = folder / "night.csv"
    file.write_text("\n".join([header, *rows]) + "\n")
    return file


def replay(capsys: pytest.CaptureFixture[str], file: Path, *options: str) -> list[dict[str, Any]]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["replay", "--csv", str(file), *options])
    assert stopped.value.code == 0, capsys.readouterr().err
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["replay", *arguments])
    return int(str(stopped.value.code)), capsys.readouterr().err


def test_one_line_a_row(tmp_path: Path, rows: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    lines = replay(capsys, write(tmp_path, rows))
    assert [line["time_s"] for line in lines] == [int(row.split(",")[0]) for row in rows]
    for line in lines:
        assert list(line) == KEYS
        assert 0 <= line["p_wake"] <= 1 and type(line["asleep"]) is bool and line["ring"] is False
        assert type(line["stage"]) is int and (line["stage"] > 0) == line["asleep"]
    assert lines == replay(capsys, write(tmp_path, rows), "--json")


@pytest.mark.parametrize("rule", ["network", "motion", "cole-kripke"])
def test_a_prefix_gives_a_prefix(
    tmp_path: Path, rows: list[str], capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    options = ("--rule", rule, "--alarm-deadline", "6000", "--window", "30")
    whole = replay(capsys, write(tmp_path, rows), *options)
    for end in (1, 99, 101, 200, 220):
        part = replay(capsys, write(tmp_path, rows[:end]), *options)
        for line, other in zip(part[:-1], whole, strict=False):
            assert line == other
        assert {**part[-1], "ring": None} == {**whole[end - 1], "ring": None}


def test_other_columns_change_nothing(tmp_path: Path, rows: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    plain = replay(capsys, write(tmp_path, rows[:30]))
    more = [f"2,{row},41.5," for row in rows[:30]]
    assert replay(capsys, write(tmp_path, more, "stage,time_s,activity,sound_db,light_lux")) == plain


@pytest.mark.parametrize("rule", ["network", "motion", "cole-kripke"])
@pytest.mark.parametrize("deadline", [0, 1000, 3200.5, 5000, 7170, 99999])
@pytest.mark.parametrize("window", [0, 20])
def test_it_rings_once_and_in_time(
    tmp_path: Path, rows: list[str], capsys: pytest.CaptureFixture[str], rule: str, deadline: float, window: int
) -> None:
    lines = replay(
        capsys, write(tmp_path, rows), "--rule", rule, "--alarm-deadline", str(deadline), "--window", str(window)
    )
    (rang,) = [line["time_s"] for line in lines if line["ring"]]
    last = max(line["time_s"] for line in lines if line["time_s"] <= deadline)
    assert rang <= deadline
    assert rang == last or rang >= deadline - 60 * window


def test_motion_is_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{30 * row},{ {1: 10, 5: 10, 150: 100}.get(row, 0) }" for row in range(200)]
    file = write(tmp_path, rows)
    options = ("--alarm-deadline", "5000")
    lines = replay(capsys, file, *options)
    assert [line["time_s"] for line in lines if line["ring"]] == [4500]
    assert lines == replay(capsys, file, *options, "--rule", "motion", "--window", "30")


def test_a_gap_over_the_deadline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{30 * row},0" for row in range(100) if not 40 <= row < 60]
    lines = replay(capsys, write(tmp_path, rows), "--alarm-deadline", "1500", "--window", "5")
    assert [line["time_s"] for line in lines if line["ring"]] == [39 * 30]


def test_mistakes_are_one_sentence(tmp_path: Path, rows: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    file = str(write(tmp_path, rows))
    code, said = refused(capsys, "--csv", file, "--alarm-deadline", "-1")
    assert code == 1 and "--alarm-deadline" in said and said.count("\n") == 1
    code, said = refused(capsys, "--csv", file, "--alarm-deadline", "nan")
    assert code == 1 and "got nan" in said
    unix = str(write(tmp_path, ["1700000000,1", "1700000030,1"]))
    code, said = refused(capsys, "--csv", unix, "--alarm-deadline", "1699999999")
    assert code == 1 and "from 1700000000 to 1700000030, got 1699999999" in said
    file = str(write(tmp_path, rows))
    code, said = refused(capsys, "--csv", file, "--rule", "moon")
    assert code == 2 and "network, motion, cole-kripke" in said
    code, said = refused(capsys, "--csv", file, "--window", "91")
    assert code == 2
    code, said = refused(capsys, "--csv", file, "--model", "face")
    assert code == 1 and "task 'detect'" in said
    code, said = refused(capsys, "--csv", str(write(tmp_path, ["0,1", "0,2"])))
    assert code == 1 and "line 3" in said and said.count("\n") == 1
