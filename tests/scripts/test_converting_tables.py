"""docs/converting.md against the script that makes its tables."""

from __future__ import annotations

import importlib.util
import re

import pytest

if importlib.util.find_spec("larq_compute_engine") is None:
    pytest.skip("needs the extra [train]", allow_module_level=True)

from edgebnn.inspection.graph import parse
from tests.converters.conftest import delegate  # noqa: F401  (a fixture)
from tests.scripts.test_bnn import ROOT, script

PAGE = (ROOT / "docs/converting.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("delegate")
def test_chains_are_of_bits_and_can_be_timed() -> None:
    tables = script("converting_tables")
    content = tables.convert_network(lambda: tables.chain(40))
    names = [operator.name for operator in parse(content).main.operators]
    assert names == ["LceQuantize"] + 4 * ["LceBconv2d"]
    assert tables.time_all({"40": content}, 0.01)["40"] > 0


def test_the_page_names_the_script_and_its_rows() -> None:
    tables = script("converting_tables")
    shown = re.findall(r"^\| (float32|`?--int8`?|int8 sums too, [a-z ]+) \|", PAGE, re.MULTILINE)
    assert [row.strip("`") for row in shown] == [
        "float32",
        "--int8",
        "int8 sums too, least squared error",
        "int8 sums too, least to greatest value",
    ]
    for table in ("int8", "channels"):
        assert f"scripts/converting_tables.py {table}" in PAGE
    assert all(f"{channels} " in PAGE for channels in tables.CHANNELS if channels > 24)
