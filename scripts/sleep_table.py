"""The tables of docs/sleep.md: the network and the classic formulas on the simulated nights that are kept for judging.

    .venv/bin/python scripts/sleep_table.py

It scores NIGHTS nights of each population of edgebnn.evaluation.sleep.judge by what `edgebnn-sleep evaluate` does, and
writes the tables between the marks in docs/sleep.md. The same comparison on nights of people: `edgebnn-sleep evaluate
--csv-dir DIR`.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from edgebnn_sleep.evaluate import Nights, compare, compare_alarms, stage_kappa
from edgebnn_sleep.replay import score_night

import edgebnn
from edgebnn.evaluation.sleep.judge import POPULATIONS, simulate_judged_night
from edgebnn.runtime.sleep_scorer import SleepScorer

PAGE = Path(__file__).parent.parent / "docs/sleep.md"
NIGHTS = 100
WINDOW_MIN = 30


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sleep")
    parser.add_argument("--nights", type=int, default=NIGHTS)
    parser.add_argument("--print", action="store_true", help="do not touch the page")
    given = parser.parse_args()
    scorer = SleepScorer(given.model)
    lines: list[str] = []
    for name, population in POPULATIONS.items():
        judged = [simulate_judged_night(seed, population) for seed in range(given.nights)]
        started = time.process_time()
        nights = [(night, list(score_night(scorer, night))) for night in judged]
        spent = time.process_time() - started
        epochs = sum(map(len, judged))
        lines += [*tables(name, nights), ""]
        print(f"{name}: {epochs:,} epochs, {1e6 * spent / epochs:.0f} us CPU each")
    lines.append(
        f"{given.nights} nights each; Python {platform.python_version()}, edgebnn {edgebnn.__version__}, "
        f"ai-edge-litert {version('ai-edge-litert')}, numpy {np.__version__}."
    )
    if given.print:
        print("\n".join(lines))
    else:
        replace(PAGE, "judged", lines)


def tables(name: str, nights: Nights) -> Iterator[str]:
    """Markdown of one population."""
    yield f"**{name}**"
    yield ""
    yield "| | accuracy | sensitivity | specificity | kappa | F1 of wake |"
    yield "|---|---|---|---|---|---|"
    for label, row in compare(nights).items():
        figures = (row.accuracy, row.sensitivity, row.specificity, row.kappa, row.f1_wake)
        yield f"| {label} | {' | '.join(f'{figure:.3f}'.removeprefix('0') for figure in figures)} |"
    yield ""
    yield f"| alarm, window of {WINDOW_MIN} min | in wake or N1 | minutes early |"
    yield "|---|---|---|"
    for label, alarm in compare_alarms(nights, window_min=WINDOW_MIN).items():
        yield f"| {label} | {100 * alarm.light_share:.1f} % | {alarm.minutes_early:.1f} |"
    yield ""
    yield f"Five stages (experimental): kappa {stage_kappa(nights):.2f}."


def replace(page: Path, mark: str, lines: Sequence[str]) -> None:
    """Put the lines between the marks of the page."""
    begin, end = f"<!-- {mark}: made by scripts/sleep_table.py -->", f"<!-- end of {mark} -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    page.write_text("\n".join([before + begin, *lines, end + after]), encoding="utf-8")


if __name__ == "__main__":
    main()
