"""Awake, restless or asleep, epoch by epoch, and whether now is a good moment to ring; never from later epochs."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgebnn.errors import EdgebnnError, InputError
from edgebnn.evaluation.sleep.nights import UNSCORED
from edgebnn.evaluation.sleep.rules import DEFAULT_RULE, RULES, PastColeKripke
from edgebnn.runtime.sleep_features import SleepFeatures, movement_of
from edgebnn.runtime.sleep_scorer import SleepScore, SleepScorer

log = logging.getLogger("edgebnn.sleep")


@dataclass(frozen=True)
class Score:
    """What is made of an epoch; `reason` says why an alarm may ring now, empty when it should not."""

    p_wake: float
    asleep: bool
    restless: bool
    stage: int
    reason: str


class Scorer(Protocol):
    """The network, or what stands in for it."""

    def begin(self) -> None:
        """A new night begins with the next epoch."""

    def add(self, time_s: float, activity: float | None) -> SleepScore:
        """The score of the epoch at `time_s`; InputError unless time goes on."""


class MovementScorer:
    """Without a network: awake by the formula of Cole and Kripke on this night's own scale, and no stages."""

    def __init__(self) -> None:
        """A night begins."""
        self.begin()

    def begin(self) -> None:
        """See Scorer."""
        self._features = SleepFeatures()
        self._formula = PastColeKripke()
        self._last_s = -math.inf

    def add(self, time_s: float, activity: float | None) -> SleepScore:
        """See Scorer."""
        if time_s <= self._last_s:
            raise InputError(
                f"expected an epoch after {self._last_s:.12g} s, got one at {time_s:.12g} s: begin() a new night"
            )
        self._last_s = time_s
        moving, size, relative = movement_of(self._features.add(activity))
        index = self._formula.add(time_s, relative)
        # The formula has a threshold, no probability; this one passes one half there.
        p_wake = index / (1 + index)
        asleep = index < 1
        return SleepScore(
            time_s=time_s, p_wake=p_wake, p_light=p_wake, asleep=asleep, restless=asleep and moving, stage=UNSCORED,
            moving=moving, size=size, relative=relative,
        )  # fmt: skip


class NightScorer:
    """Scores nights one after the other and applies a ring rule; a network that fails is replaced, and it is said."""

    def __init__(
        self,
        *,
        rule: str = DEFAULT_RULE,
        window_left: Callable[[], float] = lambda: 1.0,
        make_network: Callable[[], Scorer] = SleepScorer,
    ) -> None:
        """`rule`: one of RULES. `window_left()`: 1 when a wake window opens, 0 at its deadline."""
        self._rule_name, self._window_left = rule, window_left
        self.problem = ""
        """Why the network is not used, one sentence; empty while it is."""
        self._scorer: Scorer
        try:
            self._scorer = make_network()
        except EdgebnnError as error:
            self._scorer = self._do_without(error)
        self.begin()

    def begin(self) -> None:
        """A new night begins with the next epoch."""
        self._scorer.begin()
        self._rule = RULES[self._rule_name]()
        self._awake_epochs = 0

    def add(self, time_s: float, activity: float | None) -> Score | None:
        """The score of an epoch; None for one in which nothing was seen. A clock that was set back begins anew."""
        try:
            score = self._scorer.add(time_s, activity)
        except InputError:
            self.begin()
            score = self._scorer.add(time_s, activity)
        except Exception as error:  # whatever the runtime raises: the night goes on without the network
            self._scorer = self._do_without(error)
            score = self._scorer.add(time_s, activity)
        if activity is None:
            return None
        self._rule.add(score)
        self._awake_epochs = 0 if score.asleep else self._awake_epochs + 1
        reason = self._rule.reason(self._window_left()) or ""
        if reason and not score.asleep:
            reason += f", awake {self._awake_epochs} epoch{'s' if self._awake_epochs > 1 else ''}"
        elif reason:
            reason += f" in {'restless ' if score.restless else ''}sleep"
        return Score(score.p_wake, score.asleep, score.restless, score.stage, reason)

    def _do_without(self, error: Exception) -> MovementScorer:
        self.problem = f"the sleep network cannot be used, movement alone tells awake from asleep ({error})"
        log.error("%s", self.problem)
        return MovementScorer()
