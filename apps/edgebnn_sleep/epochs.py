"""An epoch: what was measured in 30 s, and how frames, sound and sensors are gathered into one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from edgebnn_sleep.motion import Motion
from edgebnn_sleep.presence import Presence
from edgebnn_sleep.sound import Sound

EPOCH_S = 30
LEAST_SEEN_S = 10.0
"""An epoch in which the camera saw less than this has no activity: a gap is no stillness."""


@dataclass(frozen=True)
class Epoch:
    """30 s of a night; None where nothing was measured.

    start_s: Unix time, a multiple of 30. activity: movement, any scale from 0. moved_s: seconds with movement.
    presence: 1 in bed, 0 out of bed. p_wake, asleep, restless: what was made of it. stage: 0 wake, 1 N1, 2 N2,
    3 N3, 4 REM, -1 not scored; experimental, movement alone does not tell stages apart.
    """

    start_s: int
    activity: float | None = None
    moved_s: float | None = None
    seen_s: float = 0.0
    presence: int | None = None
    sound_db: float | None = None
    peak_db: float | None = None
    snore_db: float | None = None
    light_lux: float | None = None
    temperature_c: float | None = None
    humidity_percent: float | None = None
    pressure_hpa: float | None = None
    co2_ppm: float | None = None
    p_wake: float | None = None
    asleep: int | None = None
    restless: int | None = None
    stage: int = -1


COLUMNS = tuple(field.name for field in fields(Epoch))


class Gathering:
    """The epoch that is being measured."""

    def __init__(self, start_s: int) -> None:
        """Nothing seen yet."""
        self.start_s = start_s
        self.seen_s = 0.0
        self._energy = 0.0
        self._moved_s = 0.0

    def saw(self, motion: Motion, *, gap_s: float = 2.0) -> None:
        """Add the movement between two frames; nothing is seen between frames `gap_s` apart, or when light changed."""
        if motion.light_changed or motion.duration_s > gap_s:
            return
        self.seen_s += motion.duration_s
        self._energy += motion.energy * motion.duration_s
        if motion.area > 0:
            self._moved_s += motion.duration_s

    @property
    def activity(self) -> float | None:
        """Energy over the epoch so far, as if the camera had seen all of it; None if it saw too little."""
        return self._energy / self.seen_s * EPOCH_S if self.seen_s >= LEAST_SEEN_S else None

    def finish(self, presence: Presence, sound: Sound | None, environment: dict[str, float]) -> Epoch:
        """The epoch, not yet scored."""
        levels: dict[str, Any] = dict(environment)
        if sound is not None:
            levels |= {"sound_db": sound.level_db, "peak_db": sound.peak_db, "snore_db": sound.snore_db}
        return Epoch(
            start_s=self.start_s,
            activity=self.activity,
            moved_s=min(self._moved_s, float(EPOCH_S)) if self.activity is not None else None,
            seen_s=min(self.seen_s, float(EPOCH_S)),
            presence={"in_bed": 1, "out_of_bed": 0}.get(presence.state),
            **levels,
        )
