"""What a person sees of a run: a line an epoch; on a terminal a live table of the last ones, with the time left."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

EPOCHS_SHOWN = 10
_NOT_SHOWN = ("epoch", "step", "rate")


class Display:
    """Of one run of `total` steps; a context, in which `console` prints above the table."""

    def __init__(self, *, total: int, done: int, shown: bool = True, console: Console | None = None) -> None:
        """Begin at step `done`, on stderr without a `console`; nothing appears unless `shown`."""
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True, quiet=not shown)
        self._rows: list[tuple[Mapping[str, float], float]] = []
        self._began = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=self.console,
            # A validation is long beside a step: look far back.
            speed_estimate_period=600,
        )
        self._bar = self._progress.add_task("training", total=total, completed=done)
        self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=2, transient=True)

    def __enter__(self) -> Display:
        """Show it, on a terminal."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        """Leave the lines of the epochs behind."""
        self._live.stop()

    def step(self, done: int) -> None:
        """`done` steps are taken."""
        self._progress.update(self._bar, completed=done)

    def epoch(self, row: Mapping[str, float]) -> None:
        """An epoch has ended with these figures."""
        now = time.monotonic()
        seconds, self._began = now - self._began, now
        self._rows.append((row, seconds))
        shown = " ".join(f"{name} {row[name]:.3f}" for name in row if name not in _NOT_SHOWN)
        self.console.print(f"{time.strftime('%H:%M:%S')} epoch {row['epoch']:g} ({seconds:.0f} s) {shown}")

    def _render(self) -> RenderableType:
        if not self._rows:
            return self._progress
        names = [name for name in self._rows[-1][0] if name not in _NOT_SHOWN]
        table = Table("epoch", "seconds", *names, box=None, header_style="bold")
        for row, seconds in self._rows[-EPOCHS_SHOWN:]:
            table.add_row(f"{row['epoch']:g}", f"{seconds:.0f}", *(f"{row[name]:.3f}" for name in names))
        return Group(table, self._progress)
