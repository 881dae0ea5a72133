from __future__ import annotations

import io
import re

from rich.console import Console

from edgebnn.training.display import EPOCHS_SHOWN, Display

ROW = {"epoch": 1.0, "step": 10, "rate": 0.01, "loss": 0.25, "accuracy": 0.5}


def shown(*, terminal: bool, epochs: int) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False)
    with Display(total=200, done=0, console=console) as display:
        for epoch in range(1, epochs + 1):
            display.step(10 * epoch)
            display.epoch(ROW | {"epoch": float(epoch)})
        console.print(display._render())
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


def test_a_line_an_epoch_where_nobody_looks() -> None:
    lines = shown(terminal=False, epochs=3).splitlines()
    epochs = [line for line in lines if re.match(r"\d\d:\d\d:\d\d epoch \d", line)]
    assert len(epochs) == 3 and re.search(r"\(\d+ s\) loss 0.250 accuracy 0.500$", epochs[0])


def test_the_table_has_the_last_epochs_and_the_time_left() -> None:
    """Without steps nobody knows how much."""
    text = shown(terminal=True, epochs=EPOCHS_SHOWN + 3)
    table = text[text.rindex("epoch  seconds  loss") :]
    assert [int(row.split()[0]) for row in table.splitlines()[1 : EPOCHS_SHOWN + 1]] == list(range(4, EPOCHS_SHOWN + 4))
    assert re.search(r"training .* 130/200 \d:\d\d:\d\d left \d:\d\d:\d\d", table)
    assert re.search(r"training .* 0/200 \d:\d\d:\d\d left -:--:--", shown(terminal=True, epochs=0))


def test_workers_but_the_chief_are_silent() -> None:
    display = Display(total=20, done=0, shown=False)
    assert display.console.quiet
