"""Who is there: tracks to the events enter, leave and count, each after it has lasted a while."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from edgebnn.runtime.tracker import Tracks


@dataclass(frozen=True)
class Event:
    """What happened at `timestamp_ns` (monotonic clock, of the frame that showed it).

    enter: track `id` has stayed; leave: it has gone, after `stayed_s`; count: there are `count` people now. `count` is
    given with every kind.
    """

    kind: Literal["enter", "leave", "count"]
    timestamp_ns: int
    count: int
    id: int = 0
    stayed_s: float = 0.0


class Presence:
    """Turns the tracks of each frame into events.

    A track enters once it was seen for `enter_after_s`, and leaves when it ends, which the tracker decides. The count
    does not depend on ids, which may be lost and given anew: it rises to what was visible at all times in the last
    `enter_after_s`, and falls to the most that was visible at any time in the last `leave_after_s`. Both may change at
    any time.
    """

    def __init__(self, *, enter_after_s: float, leave_after_s: float) -> None:
        """Nobody is there."""
        self.enter_after_s, self.leave_after_s = enter_after_s, leave_after_s
        self.count = 0
        self._inside: dict[int, tuple[int, int]] = {}  # id: times of first and last sight
        self._visible: deque[tuple[int, int]] = deque([(0, 0)])  # (since, how many), until the next one
        self._began = False

    def update(self, tracks: Tracks, timestamp_ns: int) -> list[Event]:
        """The events of a frame, in the order leave, enter, count."""
        events = []
        alive = set(tracks.ids.tolist())
        for id_ in [id_ for id_ in self._inside if id_ not in alive]:
            events.append(self._leave(id_, timestamp_ns))
        for id_, age_s, seen in zip(tracks.ids.tolist(), tracks.age_s.tolist(), tracks.seen.tolist(), strict=True):
            if not seen:
                continue
            if id_ in self._inside:
                self._inside[id_] = (self._inside[id_][0], timestamp_ns)
            elif age_s >= self.enter_after_s:
                self._inside[id_] = (timestamp_ns - round(age_s * 1e9), timestamp_ns)
                events.append(Event("enter", timestamp_ns, self.count, id_))
        return events + self._recount(int(tracks.seen.sum()), timestamp_ns)

    def clear(self, timestamp_ns: int) -> list[Event]:
        """Everybody leaves: there is no picture any more."""
        events = [self._leave(id_, timestamp_ns) for id_ in list(self._inside)]
        self._visible = deque([(timestamp_ns, 0)])
        self._began = False
        if self.count:
            self.count = 0
            events.append(Event("count", timestamp_ns, 0))
        return events

    def _leave(self, id_: int, now_ns: int) -> Event:
        first, last = self._inside.pop(id_)
        return Event("leave", now_ns, self.count, id_, round((last - first) / 1e9, 3))

    def _recount(self, visible: int, now_ns: int) -> list[Event]:
        if not self._began:  # as long as anyone looked, nobody was there
            self._visible, self._began = deque([(now_ns, 0)]), True
        if visible != self._visible[-1][1]:
            self._visible.append((now_ns, visible))
        longest = max(self.enter_after_s, self.leave_after_s)
        while len(self._visible) > 1 and now_ns - self._visible[1][0] >= longest * 1e9:
            self._visible.popleft()
        least = min(self._within(self.enter_after_s, now_ns))
        most = max(self._within(self.leave_after_s, now_ns))
        count = max(least, min(self.count, most))
        if count == self.count:
            return []
        self.count = count
        return [Event("count", now_ns, count)]

    def _within(self, seconds: float, now_ns: int) -> list[int]:
        """How many were visible in the last `seconds`, this moment included."""
        counts, until = [self._visible[-1][1]], self._visible[-1][0]
        for since, visible in list(self._visible)[-2::-1]:
            if now_ns - until >= seconds * 1e9:
                break
            counts.append(visible)
            until = since
        return counts
