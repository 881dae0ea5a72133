"""Simulated nights that networks are judged on, never trained on: runs of sleep and wake, Poisson groups of movements.

The shape of the model and where it comes from:

- Runs of sleep are exponential, runs of wake have a power law of density exponent 2.2 (Lo et al. 2002, Europhys. Lett.
  57:625; Lo et al. 2004, PNAS 101:17545), cut off at 90 minutes. Apnoea makes runs of sleep shorter (Bianchi et al.
  2010, PLoS One 5:e11356).
- Sleep latency and the shares of the stages: healthy adults of about 50 years (Boulos et al. 2019, Lancet Respir. Med.
  7:533); N3 is rare in the clinic (1 to 3 %). Cycles of 90 minutes, REM sleep growing and N3 falling through the night
  (Feinberg and Floyd 1979, Psychophysiology 16:283).
- Groups of movements come after exponential intervals, the number of movements in an epoch is negative binomial
  (Gimeno, Sagales, Miguel and Ballarin, "The statistical distribution of wrist movements during sleep"). Their rate by
  stage falls in the order wake, N1, REM, N2, N3 (Wilde-Frenz and Schulz 1983, Percept. Mot. Skills 56:275).
- The awake lie still or are restless in turns.

`HEALTHY` and `CLINIC` are frozen. What papers give no number for (rates, how much of wake is still) was set, before any
network was trained, so that the formula of Cole and Kripke at its best scale reaches here (kappa .45 in 100 nights of
the clinic with 32 % wake, .43 in healthy ones) about what was measured on people: .44 on 100 clinic nights with 30 %
wake. It trades sensitivity for specificity otherwise than there (.84 and .60, there .91 and .49). So these nights check
that a network works on what it has not seen; they prove nothing about people. A test holds them to a digest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebnn.evaluation.sleep.nights import EPOCH_S, N1, N2, N3, REM, WAKE, Floats, Night, Stages

PER_HOUR = 3600 // EPOCH_S
CYCLE = 90 * 60 // EPOCH_S


@dataclass(frozen=True)
class Population:
    """Medians of a population; times in minutes, rates per hour."""

    latency: float
    sleep_run: float
    """mean length of sleep between two awakenings"""
    wake_run: float
    """shortest awakening"""
    wake_exponent: float
    """of the density of the lengths of awakenings"""
    deep: float
    """N3 at the start of the night, as a share of non-REM sleep"""
    rem: float
    """REM sleep at the end of the night, as a share of a cycle"""
    groups: tuple[float, float, float, float, float]
    """groups of movements by stage, wake that is still first"""
    restless_groups: float
    """groups of movements of the awake who are not still"""
    still_share: float
    """of wake"""


HEALTHY = Population(
    latency=13, sleep_run=22, wake_run=0.5, wake_exponent=2.2, deep=0.45, rem=0.5,
    groups=(9, 10, 3.5, 1.5, 5), restless_groups=110, still_share=0.42,
)  # fmt: skip
CLINIC = Population(
    latency=16, sleep_run=11, wake_run=0.5, wake_exponent=1.87, deep=0.05, rem=0.35,
    groups=(9, 14, 4.5, 2, 6), restless_groups=100, still_share=0.50,
)  # fmt: skip
POPULATIONS = {"healthy": HEALTHY, "clinic": CLINIC}
LONGEST_WAKE = 90.0  # minutes
TURNS = 12.0  # minutes that the awake take to lie still and be restless once


def simulate_judged_night(seed: int, population: Population = CLINIC) -> Night:
    """The night of a seed: 6 to 9 hours of counts like a wrist device's, every epoch scored."""
    random = np.random.default_rng((20261123, seed))
    stage = _hypnogram(random, population, int(random.integers(6 * PER_HOUR, 9 * PER_HOUR)))
    activity = _movements(random, population, stage)
    return Night(f"judged-{seed}", np.arange(len(stage)) * float(EPOCH_S), activity, stage)


def _hypnogram(random: np.random.Generator, how: Population, epochs: int) -> Stages:
    stage = np.full(epochs, WAKE, np.int64)
    spread = float(np.exp(random.normal(0, 0.4)))  # this sleeper's runs
    phase = random.uniform(0.85, 1.15)
    at = _epochs(how.latency * np.exp(random.normal(0, 0.8)))
    onset = at
    while at < epochs:
        length = _epochs(random.exponential(how.sleep_run * spread))
        for epoch in range(at, min(at + length, epochs)):
            stage[epoch] = _asleep(random, how, stage, epoch, at, (epoch - onset) * phase)
        at += length
        pareto = how.wake_run * random.random() ** (-1 / (how.wake_exponent - 1))
        at += _epochs(min(pareto, LONGEST_WAKE))
    return stage


def _asleep(random: np.random.Generator, how: Population, stage: Stages, epoch: int, since: int, slept: float) -> int:
    """The stage of an epoch of the sleep that began at `since`; stages tend to go on."""
    before = int(stage[epoch - 1]) if epoch > since else WAKE
    if before == WAKE or (before == N1 and random.random() < 0.6):
        return N1
    cycle, into = divmod(slept, CYCLE)
    rem_share = how.rem * min(0.35 + 0.22 * cycle, 1)
    if into > CYCLE * (1 - rem_share) and slept > CYCLE / 2:
        return REM if before == REM or random.random() < 0.3 else before
    if before in (N2, N3) and random.random() < 0.93:
        return before
    if random.random() < 0.04:
        return N1
    return N3 if random.random() < how.deep * 1.6 * np.exp(-cycle / 1.5) else N2


def _movements(random: np.random.Generator, how: Population, stage: Stages) -> Floats:
    """Counts of each epoch: a negative binomial number of movements, each worth some counts."""
    restless = _turns(random, len(stage), how.still_share)
    rate = np.array(how.groups)[stage]
    rate = np.where((stage == WAKE) & restless, how.restless_groups, rate)
    mover = np.exp(random.normal(0, 0.5))  # of this sleeper, while asleep
    rate = np.where(stage == WAKE, rate * np.exp(random.normal(0, 0.25)), rate * mover)
    # An awakening begins with a movement more often than not.
    rate = rate + 60.0 * ((stage == WAKE) & (np.roll(stage, 1) != WAKE))
    starts = random.poisson(rate / PER_HOUR)
    movements = np.zeros(len(stage))
    for epoch in np.flatnonzero(starts):
        lasts = random.geometric(0.75 if stage[epoch] != WAKE else 0.55)
        strength = 3.0 if stage[epoch] == WAKE else 1.6
        for at in range(epoch, min(epoch + lasts, len(stage))):
            movements[at] += 1 + random.negative_binomial(0.7, 0.7 / (0.7 + strength))
    worth = 12 * np.exp(random.normal(0, 0.5))
    counts: Floats = np.floor(movements * worth * np.exp(random.normal(0, 0.8, len(stage))))
    return counts


def _turns(random: np.random.Generator, epochs: int, still_share: float) -> npt.NDArray[np.bool_]:
    """Where the awake are restless: turns of exponential length, of which `still_share` are still."""
    out = np.zeros(epochs, np.bool_)
    at, restless = 0, bool(random.random() > still_share)
    while at < epochs:
        mean = TURNS * ((1 - still_share) if restless else still_share)
        length = _epochs(random.exponential(mean))
        out[at : at + length] = restless
        at, restless = at + length, not restless
    return out


def _epochs(minutes: float) -> int:
    return max(1, round(float(minutes) * 60 / EPOCH_S))
