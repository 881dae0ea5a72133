"""docs/bnn.md against the scripts that make its figures and tables."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

if any(importlib.util.find_spec(name) is None for name in ("larq", "matplotlib", "sklearn")):
    pytest.skip("needs the extras [train] and [dev]", allow_module_level=True)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/bnn.md").read_text(encoding="utf-8")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_figure_is_drawn_by_the_script_and_shown() -> None:
    shown = re.findall(r"!\[[^]]+\]\(figures/(\w+)\.png\)", PAGE)
    assert sorted(shown) == sorted(script("bnn_figures").FIGURES)
    for name in shown:
        assert (ROOT / f"docs/figures/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_figures_of_formulas_can_be_drawn() -> None:
    figures = script("bnn_figures")
    for name in ("binarization", "straight_through", "squared_hinge", "learning_rates", "shift_norm", "bit_planes"):
        assert figures.FIGURES[name]().axes
    figures.plt.close("all")


def test_the_tables_are_those_of_the_recorded_runs() -> None:
    table = script("bnn_table")
    rows = table.read_runs()
    wanted = {("digits-mlp", v) for v in table.PAPER} | {("digits-cnn", v) for v in table.PAPER | table.LATER}
    assert {(row["recipe"], row["variant"]) for row in rows} == wanted
    for recipe, variant in wanted:
        mine = [row for row in rows if (row["recipe"], row["variant"]) == (recipe, variant)]
        assert sorted(int(row["seed"]) for row in mine) == [0, 1, 2]
        test = np.array([float(row["test"]) for row in mine])
        shown = f"{100 * test.mean():.2f} ± {100 * np.sqrt(((test - test.mean()) ** 2).sum() / 2):.2f}"
        assert re.search(rf"\| {re.escape(variant)} \|.*{re.escape(shown)}", PAGE), (variant, shown)


@pytest.mark.parametrize("recipe", ["digits-mlp", "digits-cnn"])
def test_every_variant_is_a_valid_recipe(recipe: str) -> None:
    table = script("bnn_table")
    for changes in (table.PAPER | table.LATER).values():
        assert table.recipe_of(recipe, 2, changes).schedule.seed == 2
