from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edgebnn_sleep import cli
from edgebnn_sleep.evaluate import compare_alarms, read_staged

from edgebnn.errors import DataError
from edgebnn.evaluation.sleep.judge import CLINIC, simulate_judged_night
from edgebnn.evaluation.sleep.nights import N2, Floats, Night
from edgebnn.evaluation.sleep.scores import AlarmScores
from edgebnn.runtime.sleep_scorer import SleepScore


def write_csv(file: Path, night: Night, *, staged: bool = True) -> Path:
    assert night.stage is not None
    rows = ["time_s,activity,stage" if staged else "time_s,activity"]
    for row in zip(night.time_s.tolist(), night.activity.tolist(), night.stage.tolist(), strict=True):
        rows.append(",".join(f"{value:g}" for value in row[: 3 if staged else 2]))
    file.write_text("\n".join(rows) + "\n")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(3):
        write_csv(tmp_path / f"{seed}.csv", simulate_judged_night(seed, CLINIC))
    return tmp_path


def test_the_formulas_are_scored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(folder)
    report = json.loads(capsys.readouterr().out)
    assert report["nights"] == 3
    rows = report["sleep_wake"]
    assert rows["all asleep"]["kappa"] == 0 and rows["all asleep"]["sensitivity"] == 1
    names = ("cole-kripke, with the future", "sadeh, causal", "oakley, causal", "cole-kripke, causal", "motion, causal")
    for name in ("network, causal", *names):
        assert 0.2 < rows[name]["kappa"] < 0.8, name
    alarms = report["alarms"]
    assert list(alarms) == ["network", "motion", "cole-kripke", "fixed", "knows the stages"]
    assert alarms["fixed"]["minutes_early"] == 0
    assert alarms["fixed"]["light_share"] <= alarms["knows the stages"]["light_share"]
    assert 0 < alarms["motion"]["minutes_early"] <= 30
    assert len({row["alarms"] for row in alarms.values()}) == 1
    assert -0.2 < report["stage_kappa"] < 0.8


def _run(folder: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["evaluate", "--csv-dir", str(folder), "--json"])
    assert stopped.value.code == 0


def test_no_deadline_falls_into_a_gap() -> None:
    time_s = 30.0 * np.delete(np.arange(700), np.arange(490, 530))  # deadlines at the epochs 480, 540, 600, 660
    still = SleepScore(
        time_s=0, p_wake=0, p_light=0, asleep=True, restless=False, stage=2, moving=False, size=0, relative=0
    )

    def alarms(time_s: Floats) -> dict[str, AlarmScores]:
        night = Night("night", time_s, np.zeros(len(time_s)), np.full(len(time_s), N2))
        scores = [replace(still, time_s=at) for at in time_s.tolist()]
        return compare_alarms([(night, scores)], window_min=30)

    assert {row.alarms for row in alarms(time_s).values()} == {4}
    gone = alarms(time_s[(time_s < 30 * 535) | (time_s > 30 * 605)])
    assert {row.alarms for row in gone.values()} == {2} and gone["fixed"].minutes_early == 0
    assert {row.alarms for row in alarms(time_s[:300]).values()} == {0}


def test_files_without_stages_are_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_csv(folder / "plain.csv", simulate_judged_night(9), staged=False)
    assert len(read_staged(folder)) == 3
    assert "plain.csv" in capsys.readouterr().err


def test_nothing_to_score(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="csv-dir"):
        read_staged(tmp_path / "none")
    write_csv(tmp_path / "plain.csv", simulate_judged_night(9), staged=False)
    with pytest.raises(DataError, match="column stage"):
        read_staged(tmp_path)


def test_a_bad_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("time_s,activity,stage\n0,x,0\n")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["evaluate", "--csv-dir", str(tmp_path)])
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("edgebnn-sleep: ") and said.count("\n") == 1 and "line 2" in said
