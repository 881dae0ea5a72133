from __future__ import annotations

from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if find_spec("larq") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.training.report import write_report

HISTORY = [{"epoch": n, "step": 10 * n, "rate": 0.01 / n, "loss": 1 / n, "ap50_24": 0.1 * n} for n in (1, 2, 3)]


def layer(name: str, epoch: int) -> dict[str, Any]:
    flips = None if epoch == 1 else 0.1 / epoch
    return {"layer": name, "flips": flips, "saturated": 0.1, "constant": 0.0, "histogram": [1] * 20}


class Counted(HTMLParser):
    """Counts tags; every one that opens must close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.open: list[str] = []
        self.feed(page)
        assert not [tag for tag in self.open if tag not in ("meta", "img")]

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        while self.open.pop() != tag:
            pass


def test_a_run_of_three_epochs(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    write_report(
        file,
        title="face <script>",
        summary={"data": "a & b"},
        recipe='name = "face"',
        history=HISTORY,
        health=[[layer("one", n), layer("two", n)] for n in (1, 2, 3)],
        warnings=["one: does not settle <"],
        examples=[("picture 1", np.full((20, 30, 3), 200, np.uint8))],
    )
    page = file.read_text()
    assert Counted(page).counts["svg"] == 7  # loss, validation, rate, flips, saturated, constant, histogram
    assert Counted(page).counts["img"] == 1
    assert "<script>" not in page and "face &lt;script&gt;" in page and "a &amp; b" in page
    assert "does not settle &lt;" in page
    assert list(tmp_path.iterdir()) == [file]
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ), "nothing is loaded from elsewhere"


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    write_report(
        tmp_path / "report.html", title="x", summary={}, recipe="", history=[], health=[], warnings=[], examples=[]
    )
    assert "None." in (tmp_path / "report.html").read_text()


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    pages = []
    for name in ("a.html", "b.html"):
        write_report(
            tmp_path / name, title="x", summary={}, recipe="", history=HISTORY, health=[], warnings=[], examples=[]
        )
        pages.append((tmp_path / name).read_text())
    assert pages[0] == pages[1]
