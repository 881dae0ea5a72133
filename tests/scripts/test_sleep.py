"""docs/sleep.md against the script that makes its tables."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from edgebnn_sleep.replay import score_night

from edgebnn.evaluation.sleep.judge import simulate_judged_night
from edgebnn.evaluation.sleep.rules import MOTION_SIZE, NETWORK_FIRST, NETWORK_LAST
from edgebnn.runtime.sleep_features import COUNT
from edgebnn.runtime.sleep_scorer import SleepScorer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/sleep.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sleep_table", ROOT / "scripts/sleep_table.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_table_of_two_nights(script: ModuleType) -> None:
    scorer = SleepScorer()
    nights = [(night, list(score_night(scorer, night))) for night in map(simulate_judged_night, range(2))]
    lines = list(script.tables("clinic", nights))
    rows = [line.split(" | ")[0] for line in lines]
    for name in ("| network, causal", "| cole-kripke, with the future", "| fixed", "| motion"):
        assert rows.count(name) == 1, name
        assert f"\n{name} |" in PAGE


def test_tables_go_between_the_marks(script: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    script.replace(page, "judged", ["one", "two"])
    text = page.read_text()
    assert "-->\none\ntwo\n<!-- end of judged -->" in text and "network, causal" not in text
    assert text.split("<!-- judged")[0] == PAGE.split("<!-- judged")[0]


def test_the_page_says_what_the_code_does() -> None:
    assert f"size {MOTION_SIZE} or more" in PAGE
    assert f"falls from {NETWORK_FIRST} when the window opens to {NETWORK_LAST} at the deadline" in PAGE
    assert f"{COUNT} numbers an epoch" in PAGE
    assert "experimental" in PAGE and "No result on people stands here yet" in PAGE
