from __future__ import annotations

from pathlib import Path

from tests.apps.edgebnn_face.soak import MOST_GROWTH_KB, soak


def test_memory_stays_over_5000_frames(tmp_path: Path) -> None:
    figures = soak(5000, tmp_path)
    assert figures["growth_kb"] < MOST_GROWTH_KB, figures
    assert figures["exit_code"] == 0 and figures["visits"] >= 10, figures
