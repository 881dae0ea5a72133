"""Nights written down by hand, for statistics, charts and pages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

from edgebnn_sleep.epochs import EPOCH_S, Epoch

BERLIN = ZoneInfo("Europe/Berlin")
EVENING = dt.datetime(2026, 11, 23, 22, 30, tzinfo=BERLIN)


def night(letters: Iterable[str], *, start: dt.datetime = EVENING, minutes: int = 5) -> list[Epoch]:
    """Epochs of a night in which each letter lasts `minutes`: w awake, s asleep, r restless, o out of bed, - nothing
    recorded, x camera lost."""
    epochs = []
    at = int(start.timestamp())
    for letter in letters:
        for _ in range(minutes * 60 // EPOCH_S):
            if letter != "-":
                epochs.append(_epoch(letter, at))
            at += EPOCH_S
    return epochs


def _epoch(letter: str, start_s: int) -> Epoch:
    if letter == "x":
        return Epoch(start_s, presence=None)
    asleep = letter in "sr"
    return Epoch(
        start_s,
        activity={"w": 40.0, "s": 0.0, "r": 6.0, "o": 0.0}[letter],
        moved_s=5.0 if letter in "wr" else 0.0,
        seen_s=30.0,
        presence=0 if letter == "o" else 1,
        sound_db=-50.0,
        snore_db=-60.0,
        light_lux=0.5,
        temperature_c=19.5,
        p_wake=0.1 if asleep else 0.9,
        asleep=int(asleep),
        restless=int(letter == "r"),
        stage=2 if asleep else 0,
    )
