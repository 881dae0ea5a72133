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
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from edgebnn_sleep.evaluate import Nights, compare, compare_alarms, stage_kappa
from edgebnn_sleep.replay import score_night

import edgebnn
from edgebnn.evaluation.sleep.judge import POPULATIONS, simulate_judged_night
from edgebnn.evaluation.sleep.nights import WAKE, Floats, Night
from edgebnn.evaluation.sleep.scores import Bools, score_sleep_wake
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
    tables_by_mark = {"judged": lines, "devices": list(devices(scorer, -(-given.nights // 4)))}
    for mark, table in tables_by_mark.items():
        if given.print:
            print("\n".join([*table, ""]))
        else:
            replace(PAGE, mark, table)


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


def devices(scorer: SleepScorer, count: int) -> Iterator[str]:
    """Markdown: kappa on nights of the clinic whose counts another device would have recorded otherwise."""
    yield "| clinic nights as another device might record them | kappa | sensitivity | specificity |"
    yield "|---|---|---|---|"
    for label, change in DEVICES.items():
        awake, said = [], []
        for seed in range(count):
            night = simulate_judged_night(seed)
            assert night.stage is not None
            kept, activity = change(np.random.default_rng(seed), night.activity)
            part = Night(night.name, night.time_s[kept], activity[kept], night.stage[kept])
            awake.append(part.stage == WAKE)
            said.append(np.array([not score.asleep for score in score_night(scorer, part)]))
        row = score_sleep_wake(np.concatenate(awake), np.concatenate(said))
        figures = (row.kappa, row.sensitivity, row.specificity)
        yield f"| {label} | {' | '.join(f'{figure:.3f}'.removeprefix('0') for figure in figures)} |"


Change = Callable[[np.random.Generator, Floats], tuple[Bools, Floats]]


def _all_rows(change: Callable[[np.random.Generator, Floats], Floats]) -> Change:
    return lambda random, counts: (np.ones(len(counts), np.bool_), change(random, counts))


DEVICES: dict[str, Change] = {
    "as they are": _all_rows(lambda random, counts: counts),
    "in millionths": _all_rows(lambda random, counts: counts * 1e-6),
    "square root": _all_rows(lambda random, counts: np.sqrt(counts)),
    "square": _all_rows(lambda random, counts: counts**2),
    "on a floor of 3 +- 0.3": _all_rows(lambda random, counts: counts + 3 + random.normal(0, 0.3, len(counts))),
    "on a floor of 20 +- 4": _all_rows(
        lambda random, counts: np.maximum(counts + 20 + random.normal(0, 4, len(counts)), 0)
    ),
    "ceiling at 50 counts": _all_rows(lambda random, counts: np.minimum(counts, 50)),
    "in steps of 30 counts": _all_rows(lambda random, counts: np.floor(counts / 30)),
    "a tenth of the rows missing": lambda random, counts: (random.random(len(counts)) >= 0.1, counts),
}


def replace(page: Path, mark: str, lines: Sequence[str]) -> None:
    """Put the lines between the marks of the page."""
    begin, end = f"<!-- {mark}: made by scripts/sleep_table.py -->", f"<!-- end of {mark} -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    page.write_text("\n".join([before + begin, *lines, end + after]), encoding="utf-8")


if __name__ == "__main__":
    main()
