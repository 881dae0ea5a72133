"""Simulated nights to train on: a semi-Markov hypnogram, movement as a Cox process, and the device that records it.

No public set has a bedside camera beside polysomnography, and sets of wrist activity cannot be shipped; so the weights
in the package come from these nights. Every night is another person, room and device: each parameter is drawn from a
wide range, because it is the ranges, not the middle, that must hold people.

- Bouts of a stage have Weibull lengths in a semi-Markov chain (Yang and Hursch 1973, Biometrics 29:667; Wang et al.
  2013, "Computational modeling of sleep stage dynamics using Weibull semi-Markov chains", on 244 patients). Brief
  awakenings are many and long ones few; apnoea cuts sleep into short bouts (Bianchi et al. 2010, PLoS One 5:e11356).
- Latency, efficiency and shares of the stages reach from healthy adults (Boulos et al. 2019, Lancet Respir. Med. 7:533)
  to a sleep clinic with 30 % wake and hardly any N3. REM sleep every 80 to 110 minutes, growing (Feinberg and Floyd
  1979, Psychophysiology 16:283).
- Movement is rarest in N3, then N2, REM, N1 (Wilde-Frenz and Schulz 1983, Percept. Mot. Skills 56:275). Most awakenings
  begin with a movement; who lies awake grows still: quiet wake is why actigraphy misses half of wake (Sadeh 2011, Sleep
  Med. Rev. 15:259). Arousals from apnoea and periodic limb movements come every 20 to 90 s in clusters.
- Devices: wrist counts with many zeros (in recordings of healthy sleepers 9 of 10 epochs of 30 s have none, and the
  others spread by a factor of 5), continuous wrist acceleration above a noise floor, a camera with noise, drifting
  light and a partner. Scale, exponent, threshold, steps and ceiling are drawn too. How camera energy follows movement
  is an assumption.
- Scorers disagree (Danker-Hopfe et al. 2009, J. Sleep Res. 18:74), and clocks of device and polysomnograph differ:
  labels shift by up to two epochs.

Rates and sizes that no paper gives are set so that, on the movements of its clinic, Cole and Kripke's formula at its
best scale (kappa .44) and an alarm that rings at a movement (58 % in wake or N1, 20 minutes early) do about as on
people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebnn.evaluation.sleep.nights import N1, N2, N3, REM, UNSCORED, WAKE, Floats, Stages

PER_MINUTE = 2
PER_HOUR = 120


@dataclass(frozen=True)
class GridNight:
    """A night on a grid of 30 s: `activity` (n,), nan where the device recorded nothing, and `stage` (n,)."""

    activity: Floats
    stage: Stages


def simulate_night(random: np.random.Generator) -> GridNight:
    """A night that only the generator's state determines."""
    person = _Person(random)
    stage = _hypnogram(random, person)
    moved = _movement(random, person, stage, _turn_over(random, person, stage))
    activity = _record(random, moved)
    return GridNight(activity, _score(random, stage))


class _Person:
    """What is drawn once a night; times in minutes."""

    def __init__(self, random: np.random.Generator) -> None:
        uniform = random.uniform
        self.epochs = int(uniform(5, 9.5) * PER_HOUR) if random.random() < 0.93 else int(uniform(2, 5) * PER_HOUR)
        self.clinic = random.random() < 0.75
        fragmented = uniform(0.9, 2.4) if self.clinic else uniform(0.6, 1.3)
        self.latency = uniform(10, 30) * np.exp(random.normal(0, 0.8))
        self.bout = 1 / fragmented
        self.wakes = (uniform(0.2, 0.65) if self.clinic else uniform(0.15, 0.45)) / np.sqrt(fragmented)
        """chance that a bout ends in wake"""
        self.long_wakes = uniform(0.06, 0.33) if self.clinic else uniform(0.02, 0.12)
        self.long_wake = uniform(6, 25)
        self.cycle = uniform(80, 110)
        self.deep = uniform(0, 0.12) if self.clinic else uniform(0.15, 0.5)
        self.rem = uniform(0.15, 0.55)
        # movement: chance of an epoch, and how large, by stage
        mover = np.exp(random.normal(0, 0.55))
        self.rate = mover * np.array(
            [0, uniform(0.06, 0.2), uniform(0.015, 0.06), uniform(0.005, 0.025), uniform(0.02, 0.08)]
        )
        self.still_rate = uniform(0.03, 0.14) * mover**0.5
        self.busy_rate = uniform(0.7, 0.98)
        self.calms = uniform(6, 45)
        """minutes until the awake lie still"""
        self.stirs = uniform(1 / 60, 1 / 8)
        """how often a minute the still begin to move again"""
        self.size_awake, self.size_asleep = uniform(1.6, 3.0), uniform(-0.8, 0.5)
        self.spread = uniform(0.8, 1.5)
        self.turns = uniform(0.5, 4)
        """changes of position an hour of sleep"""
        self.lightens = uniform(0.3, 0.9)
        """how many of them end in N1 or wake"""
        self.apnoea = uniform(0.1, 0.5) if self.clinic and random.random() < 0.6 else 0.0
        """share of sleep in clusters of arousals"""


def _hypnogram(random: np.random.Generator, person: _Person) -> Stages:
    stage = np.full(person.epochs, WAKE, np.int64)
    at = onset = _epochs(person.latency)
    now = N1
    while at < person.epochs:
        slept = (at - onset) / PER_MINUTE
        if now == WAKE:
            long = random.random() < person.long_wakes
            minutes = person.long_wake * np.exp(random.normal(0, 0.8)) if long else random.weibull(0.8) * 1.3
        else:
            shape, scale = _BOUTS[now]
            minutes = random.weibull(shape) * scale * person.bout
        length = _epochs(min(minutes, 120))
        stage[at : at + length] = now
        at += length
        now = _next(random, person, now, slept + length / PER_MINUTE)
    if random.random() < 0.5:  # lies awake, or is woken, at the end
        stage[-_epochs(random.exponential(8)) :] = WAKE
    return stage


_BOUTS = {N1: (0.9, 2.0), N2: (0.9, 9.0), N3: (1.0, 14.0), REM: (0.9, 11.0)}
"""Weibull shape, scale in minutes, of a sleeper whose sleep is whole."""


def _next(random: np.random.Generator, person: _Person, now: int, slept: float) -> int:
    cycles, into = divmod(slept, person.cycle)
    rem_time = slept > 50 and into / person.cycle > 1 - person.rem * min(0.4 + 0.2 * cycles, 1.2)
    if now == WAKE:
        return N1 if random.random() < 0.85 else N2
    if now != N1 and random.random() < person.wakes * (0.4 if now == N3 else 1):
        return WAKE
    if now == N1:
        return WAKE if random.random() < 0.35 * person.wakes else (REM if rem_time and random.random() < 0.7 else N2)
    if rem_time and now != REM and random.random() < 0.7:
        return REM
    if now == N2:
        return N3 if random.random() < person.deep * 2 * np.exp(-cycles / 2) else N1
    return N2 if now == N3 or random.random() < 0.6 else N1


def _turn_over(random: np.random.Generator, person: _Person, stage: Stages) -> npt.NDArray[np.bool_]:
    """Where the sleeper changes position (n,); some of it lightens sleep, in `stage` itself."""
    turns: npt.NDArray[np.bool_] = (stage != WAKE) & (random.random(len(stage)) < person.turns / PER_HOUR)
    for epoch in np.flatnonzero(turns & (random.random(len(stage)) < person.lightens)):
        piece = stage[epoch : epoch + random.geometric(0.4)]
        piece[piece != WAKE] = WAKE if random.random() < 0.35 else N1
    return turns


def _movement(random: np.random.Generator, person: _Person, stage: Stages, turns: npt.NDArray[np.bool_]) -> Floats:
    """How much the body moved in each epoch, 0 for not at all."""
    count = len(stage)
    awake = stage == WAKE
    busy = _restlessness(random, person, awake)
    chance = np.where(awake, person.still_rate + (person.busy_rate - person.still_rate) * busy, person.rate[stage])
    chance = chance * np.exp(_drift(random, count, minutes=random.uniform(3, 30), deviation=random.uniform(0.1, 0.6)))
    wakes = awake & ~np.roll(awake, 1)
    wakes[0] = False
    chance = np.where(wakes, np.maximum(chance, random.uniform(0.4, 0.95)), chance)
    moves = random.random(count) < np.clip(chance, 0, 0.98)
    size = np.where(
        awake, person.size_asleep + (person.size_awake - person.size_asleep) * (0.3 + 0.7 * busy), person.size_asleep
    )
    size = np.where(wakes, np.maximum(size, person.size_awake * 0.8), size)
    size, moves = np.where(turns, person.size_awake, size), moves | turns
    amount = moves * np.exp(random.normal(size, person.spread))
    if person.apnoea:
        cluster = _drift(random, count, minutes=20, deviation=1) > _upper_tail(person.apnoea)
        period = random.uniform(20, 90) / 30
        jerks = ~awake & cluster & (random.random(count) < random.uniform(0.1, 0.5) / max(period, 1))
        amount = amount + jerks * np.exp(random.normal(person.size_asleep - 0.3, 0.7, count))
    # A movement at the end of an epoch goes on in the next.
    spill = np.roll(amount, 1) * (random.random(count) < 0.15) * random.uniform(0, 0.6, count)
    spill[0] = 0
    total: Floats = amount + spill
    return total


def _restlessness(random: np.random.Generator, person: _Person, awake: npt.NDArray[np.bool_]) -> Floats:
    """0 (still) to 1 of the awake: high at first, then falling, and up again from time to time."""
    out = np.zeros(len(awake))
    fall = np.exp(-1 / (person.calms * PER_MINUTE))
    level = random.random()
    stirs = random.random(len(awake)) < person.stirs / PER_MINUTE
    for epoch in np.flatnonzero(awake):
        if epoch and not awake[epoch - 1]:
            level = random.beta(1.2, 1.2)
        elif stirs[epoch]:
            level = random.beta(2, 1.2)
        out[epoch] = level
        level *= fall
    return out


def _record(random: np.random.Generator, moved: Floats) -> Floats:
    """What one of the devices makes of movement."""
    count = len(moved)
    kind = random.choice(3, p=[0.4, 0.4, 0.2])
    value = moved * np.exp(random.normal(0, random.uniform(0, 0.4), count))
    if kind == 2:  # a camera: hidden under the blanket, a partner, a lamp
        value = value * np.exp(_drift(random, count, minutes=60, deviation=0.4))
        if random.random() < 0.4:
            partner = _Person(random)
            stage = np.resize(_hypnogram(random, partner), count)
            other = _movement(random, partner, stage, _turn_over(random, partner, stage))
            value = value + other * random.uniform(0.02, 0.4)
        lamps = random.random(count) < random.uniform(0, 2) / PER_HOUR / 2
        value = value + lamps * random.uniform(0, 20, count)
    tremor = np.exp(random.normal(0, random.uniform(0.05, 0.4), count))
    if kind == 0:  # counts: small movements get lost
        value = np.maximum(value * tremor - random.uniform(0, 1.2), 0)
    power = random.uniform(0.45, 1.3)
    value = value**power
    if kind > 0:
        floor = np.exp(random.uniform(np.log(0.003), np.log(0.5)))
        still = floor * tremor * np.exp(_drift(random, count, minutes=90, deviation=random.uniform(0, 0.15)))
        value = value + still if random.random() < 0.5 else np.sqrt(value**2 + still**2)
    if random.random() < 0.3:
        value = np.minimum(value, np.quantile(value, random.uniform(0.97, 1)) + 1e-9)
    if kind == 0 and random.random() < 0.8:
        value = np.round(value * random.uniform(1, 30)) if random.random() < 0.8 else np.round(value * 2)
    value = value * np.exp(random.uniform(np.log(1e-4), np.log(1e4)))
    return _lose(random, value)


def _lose(random: np.random.Generator, value: Floats) -> Floats:
    """Rows that are missing, and a device that is not worn."""
    if random.random() < 0.15:
        for _ in range(random.integers(1, 4)):
            at, length = random.integers(0, len(value)), _epochs(random.exponential(15))
            value[at : at + length] = np.nan
    if random.random() < 0.05:
        value[random.random(len(value)) < random.uniform(0, 0.1)] = np.nan
    return value


def _score(random: np.random.Generator, stage: Stages) -> Stages:
    """The stages as they come to be labelled."""
    shift = int(random.choice([-2, -1, 0, 1, 2], p=[0.05, 0.15, 0.6, 0.15, 0.05]))
    scored = np.roll(stage, shift)
    # Two scorers differ most where the stage changes.
    change = scored != np.roll(scored, 1)
    swap = change & (random.random(len(scored)) < 0.25)
    scored = np.where(swap, np.roll(scored, 1), scored)
    if random.random() < 0.5:  # unscored at the beginning: electrodes are checked, the person reads
        scored[: _epochs(random.exponential(10))] = UNSCORED
    return scored


def _drift(random: np.random.Generator, count: int, *, minutes: float, deviation: float) -> Floats:
    """A stationary Gaussian process that forgets in so many minutes."""
    keep = float(np.exp(-1 / (minutes * PER_MINUTE)))
    noise = random.normal(0, deviation * np.sqrt(1 - keep**2), count)
    out = np.empty(count)
    level = random.normal(0, deviation)
    for epoch, step in enumerate(noise.tolist()):
        level = level * keep + step
        out[epoch] = level
    return out


def _upper_tail(share: float) -> float:
    """The standard normal value that so much lies above, to within 0.01 (Tukey's lambda)."""
    return float(((1 - share) ** 0.135 - share**0.135) / 0.1975)


def _epochs(minutes: float) -> int:
    return max(1, round(float(minutes) * PER_MINUTE))
