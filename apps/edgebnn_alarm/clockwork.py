"""The clockwork: the planner's decisions carried out, one look at a time.

The order is what keeps the promises. To ring: sound first, then memory, then disk, since a disk may hang. To stop:
silence first. What only a person may do (set, delete, skip) is on the disk before it is answered.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from edgebnn.errors import InputError
from edgebnn_alarm.alarm import Alarm
from edgebnn_alarm.belief import believe
from edgebnn_alarm.clock import Clock
from edgebnn_alarm.decisions import Decisions
from edgebnn_alarm.explanation import doubt, rang_at_deadline, rang_by_hint
from edgebnn_alarm.journal import Entry, Kind
from edgebnn_alarm.light import Light
from edgebnn_alarm.monitor import SILENT_S, Hint, Monitor
from edgebnn_alarm.occurrence import Key, Occurrence, next_of, occurrence
from edgebnn_alarm.planner import Plan, Ring, Rules, plan
from edgebnn_alarm.sounds import AT_ONCE, Fade
from edgebnn_alarm.speaker import Player, SpeakerState
from edgebnn_alarm.store import Store
from edgebnn_alarm.timetable import Timetable, came_before, last_over
from edgebnn_alarm.wall_time import hh_mm, iso, local

SAVE_S = 300.0
"""How often the time is saved, the lower bound after a power loss."""
QUIET_S = 90.0
"""So long before something is due the disk is left alone."""
MAX_ALARMS = 200
MONITOR_ENTRIES = 40
"""At most so many entries about the monitor in a day."""

STATUS_WORDS = {
    "verified": "the clock is verified",
    "unverified": "the clock could not be verified for 3 min: armed on a time that may be too early",
    "waiting": "the clock is not verified yet",
}


class Clockwork:
    """The alarm clock without its socket: `tick` as often as you like, requests in between."""

    def __init__(self, *, clock: Clock, store: Store, speaker: Player, light: Light, rules: Rules) -> None:
        """Reads the clock and what the store holds; rings at the first `tick`."""
        self.store, self.speaker = store, speaker
        self.monitor = Monitor()
        self.decisions = Decisions(store)
        self.ledger = self.decisions.ledger
        self.plan = Plan()
        self.light = 0.0
        self.notices: list[str] = []
        self._clock, self._light, self._rules = clock, light, rules
        self._sounding: frozenset[Key] = frozenset()
        self._heard_failures: tuple[str, ...] = ()
        self._monitor_entries = (dt.date.min, 0)
        self._monitor_words: str | None = None
        self._timetable = Timetable()
        reading = clock.read()
        self.zone = clock.zone()
        saved = store.contents.memory
        self.now, self._memory = believe(reading, saved)
        self._checked_s = self.now.utc_s if saved is None else min(saved.utc_s, self.now.utc_s)
        self._time_news = [self._step()] if self.now.step_s else []
        alarms = store.contents.alarms.values()
        self._came = came_before(saved, alarms, self.zone) if saved is not None else frozenset()
        self._started_boot_s = self.now.boot_s
        self._saved_boot_s = -math.inf
        self._note_store()

    # -- time

    def tick(self) -> float:
        """Look at the clock and do what is due; returns the seconds after which something is due next."""
        self._look()
        self.plan = self._plan()
        if self.plan.ring:
            self._ring(self.plan.ring)
        self._speak_of_time()
        if self.plan.unanswered:
            self._end("unanswered", self.plan.unanswered, f"nobody came for {self._rules.ring_limit_s / 60:.0f} min")
        for each in self.plan.skip:
            text = f"skipped {hh_mm(each.deadline_s, self.zone)}: out of bed for 10 min with the camera alive"
            self.decisions.record([self._entry("skipped", text, key=each.key, deadline_s=each.deadline_s)])
        for each in self.plan.missed:
            at = local(each.deadline_s, self.zone).strftime("%Y-%m-%d %H:%M")
            text = f"missed {at}: the clock was off, or set forward, until after the grace"
            self.decisions.record([self._entry("missed", text, key=each.key, deadline_s=each.deadline_s)])
        if self.now.armed:
            self._checked_s, self._came = self.now.utc_s, self.plan.coming
        if self.plan.ring or self.plan.unanswered or self.plan.skip or self.plan.missed:
            self.plan = self._plan()
        self._shine(self.plan.light)
        self._speak_of_sound(self.speaker.state)
        self._speak_of_monitor()
        idle_s = math.inf if self.plan.idle_s is None else max(0.0, self.plan.idle_s)
        self._save(idle_s)
        self._note_store()
        return idle_s

    def _look(self) -> None:
        before, zone = self.now.status, self.zone
        self.now, self._memory = believe(self._clock.read(), self._memory)
        self.zone = self._clock.zone()
        if self.zone is not zone:
            self._time_news.append(f"the zone was changed from {zone.key} to {self.zone.key}")
        if self.now.step_s:
            self._time_news.append(self._step())
        elif self.now.status != before:
            self._time_news.append(STATUS_WORDS[self.now.status])

    def _step(self) -> str:
        before, after = iso(self.now.utc_s - self.now.step_s, self.zone), iso(self.now.utc_s, self.zone)
        return f"the clock was set from {before} to {after}, {self.now.status}"

    def _plan(self, hint: Hint | None = None) -> Plan:
        alarms = self.store.contents.alarms
        return plan(
            self.now,
            alarms,
            self._timetable.around(self.now.utc_s, alarms.values(), self.zone, checked_s=self._checked_s),
            self.ledger,
            self._rules,
            sounding=self._sounding,
            hint=hint is not None and hint.ring,
            hint_alarm=hint.alarm if hint else None,
            absent=self.monitor.absent(self.now.boot_s),
            checked_s=self._checked_s,
            came=self._came,
        )

    # -- ringing

    def _ring(self, rings: tuple[Ring, ...], reason: str = "") -> None:
        keys = [ring.occurrence.key for ring in rings]
        if not self._sounding:
            self._play(rings[-1])
        self._sounding |= frozenset(keys)
        entries = []
        for ring in rings:
            each, alarm = ring.occurrence, self.store.contents.alarms.get(ring.occurrence.key.alarm)
            kind: Kind = "rang"
            if ring.cause == "resume":
                kind, text = "resumed", f"rings on at {hh_mm(self.now.utc_s, self.zone)}: the service was restarted"
            elif ring.cause == "hint":
                text = rang_by_hint(each, self.now, self.zone, reason)
            else:
                text = rang_at_deadline(
                    each, self.now, self.zone, alarm=alarm, monitor=self.monitor, started_boot_s=self._started_boot_s
                )
            entries.append(self._entry(kind, text, key=each.key, deadline_s=each.deadline_s))
        self.decisions.record(entries)

    def _play(self, ring: Ring) -> None:
        alarm = self.store.contents.alarms.get(ring.occurrence.key.alarm)
        fade = AT_ONCE if alarm is None or ring.cause == "resume" else Fade(alarm.fade_s, alarm.start_level)
        self._heard_failures = ()
        self.speaker.play(alarm.sound if alarm else "bell", fade)

    def _end(self, kind: Kind, keys: Iterable[Key], text: str, *, by: str | None = None) -> list[Entry]:
        keys = tuple(keys)
        self._sounding -= frozenset(keys)
        if not self._sounding:
            self.speaker.silence()
        entries = [
            self._entry(kind, f"{kind} {hh_mm(self.now.utc_s, self.zone)}: {text}", by=by, key=key) for key in keys
        ]
        self.decisions.record(entries)
        return entries

    def take(self, entries: Iterable[Entry]) -> None:
        """Take over what the guard decided while this clock was down."""
        new = [entry for entry in entries if entry.key is not None and entry.key not in self.ledger.ended]
        self.decisions.record(new)

    # -- what a person may do

    def stop(self, *, by: str) -> list[Occurrence]:
        """End all that rings and the snoozes that wait."""
        self._look()
        stopped = self.ringing + self.ledger.waiting_snoozes(self.now)
        if self.ringing:  # at once, whatever the clock and the disk do then
            self.speaker.silence()
        self._end("stopped", [each.key for each in stopped], f"by {by}", by=by)
        self.plan = self._plan()
        return stopped

    def snooze(self, *, by: str, minutes: int | None = None) -> list[Occurrence]:
        """A pause for all that rings; InputError when nothing does or the limit is reached."""
        self._look()
        keys = [each.key for each in self.ringing]
        if not keys:
            raise InputError("nothing rings: there is nothing to snooze")
        alarms = {key: self.store.contents.alarms.get(key.alarm) for key in keys}
        for key, alarm in alarms.items():
            if alarm is not None and key.snooze >= alarm.snooze_limit:
                raise InputError(f"the limit of {alarm.snooze_limit} snoozes is reached: it rings until it is stopped")
        self.speaker.silence()
        self._sounding = frozenset()
        entries = []
        for key, alarm in alarms.items():
            chosen = minutes or (alarm.snooze_min if alarm else 9)
            until_s = self.now.utc_s + 60 * chosen
            text = f"snoozed {hh_mm(self.now.utc_s, self.zone)}: {chosen} min, to {hh_mm(until_s, self.zone)}, by {by}"
            entries.append(self._entry("snoozed", text, by=by, key=key, deadline_s=until_s))
        self.decisions.record(entries)
        self.plan = self._plan()
        return self.ledger.waiting_snoozes(self.now)

    def skip(self, *, by: str, alarm: int | None = None, date: dt.date | None = None, undo: bool = False) -> Occurrence:
        """Let an occurrence to come not ring, or `undo` that; InputError without one. StoreError: it will ring."""
        self._look()
        alarms = self.store.contents.alarms
        if alarm is not None and alarm not in alarms:
            raise self._no_alarm(alarm)
        chosen = [alarms[alarm]] if alarm is not None else list(alarms.values())
        coming = []
        for one in chosen:
            dated = occurrence(one, date, self.zone) if date is not None else None
            found = self._still_coming([dated] if dated else []) if date is not None else self._coming(one)
            coming += list(islice((each for each in found if (each.key in self.ledger.skipped) == undo), 1))
        if not coming:
            what = "skipped occurrence to take back" if undo else "occurrence to come that could be skipped"
            raise InputError(f"there is no {what}{f' on {date}' if date else ''}")
        each = min(coming)
        at = local(each.deadline_s, self.zone).strftime("%Y-%m-%d %H:%M")
        kind: Kind = "unskipped" if undo else "skipped"
        text = f"{kind} {at}, by {by}"
        self.decisions.store([self._entry(kind, text, by=by, key=each.key, deadline_s=each.deadline_s)])
        self.plan = self._plan()
        return each

    def set_alarm(self, alarm: Alarm, *, by: str) -> Alarm:
        """Store a new alarm (id 0) or a changed one; StoreError when the disk refuses, and nothing is changed."""
        self._look()
        alarms = self.store.contents.alarms
        if alarm.id and alarm.id not in alarms:
            raise self._no_alarm(alarm.id)
        if not alarm.id and len(alarms) >= MAX_ALARMS:
            raise InputError(f"expected at most {MAX_ALARMS} alarms, there are so many: delete one")
        self._not_ringing(alarm.id)
        if alarm.id == 0:
            alarm = replace(alarm, id=self.store.next_alarm_id())
        text = f"set alarm {alarm.id} {alarm.time:%H:%M} {alarm.name}".rstrip() + f", by {by}"
        over = last_over(self.now.utc_s, alarm, self.zone, before=alarms.get(alarm.id))
        entries = [self._entry("set", text, by=by, key=over.key if over else None)]
        if over and self.now.utc_s <= over.deadline_s + self._rules.grace_s and not self.ledger.settled(over.key):
            at = hh_mm(over.deadline_s, self.zone)
            entries.append(self._entry("passed", f"{at} was over when the alarm was set", key=over.key))
        self.decisions.put_alarm(alarm, entries)
        self.plan = self._plan()
        return alarm

    def delete_alarm(self, number: int, *, by: str) -> None:
        """Forget an alarm and its pending snooze; StoreError when the disk refuses, and nothing is changed."""
        self._look()
        if number not in self.store.contents.alarms:
            raise self._no_alarm(number)
        self._not_ringing(number)
        waiting = [each.key for each in self.ledger.waiting_snoozes(self.now) if each.key.alarm == number]
        entries = [self._entry("deleted", f"deleted alarm {number}, by {by}", by=by)]
        entries += [self._entry("stopped", "the alarm was deleted", by=by, key=key) for key in waiting]
        self.decisions.delete_alarm(number, entries)
        self.plan = self._plan()

    # -- what the monitor may do

    def hint(self, hint: Hint) -> tuple[bool, str]:
        """Ring early, if a window is open: (rang, why or why not)."""
        self._look()
        self.monitor.hear(hint, self.now.boot_s)
        if not hint.ring:
            return False, "heard"
        planned = self._plan(hint)
        if any(ring.cause == "hint" for ring in planned.ring):
            self._ring(planned.ring, hint.reason)
            self.plan = self._plan()
            return True, f"rings at {hh_mm(self.now.utc_s, self.zone)}"
        if not self.now.armed:
            return False, "the clock waits for the time"
        return False, "it rings already" if self.ledger.ringing else "no window is open"

    def test_sound(self, name: str) -> None:
        """Play a sound at full level; InputError while an alarm rings."""
        if self._sounding:
            raise InputError("an alarm rings: stop it first")
        self._heard_failures = ()
        self.speaker.play(name, AT_ONCE)

    # -- what can be seen

    @property
    def ringing(self) -> list[Occurrence]:
        """What rings, by deadline."""
        entries = self.ledger.ringing.items()
        return sorted(
            Occurrence(entry.deadline_s or entry.utc_s, key, entry.deadline_s or entry.utc_s) for key, entry in entries
        )

    @property
    def ringing_since_s(self) -> float | None:
        """When the first of what rings began."""
        return min((entry.utc_s for entry in self.ledger.ringing.values()), default=None)

    @property
    def sounding(self) -> bool:
        """Whether an alarm, not a test, has the speaker."""
        return bool(self._sounding)

    def next_occurrence(self, alarm: Alarm) -> Occurrence | None:
        """The next one of an alarm, skipped or not."""
        return next(iter(self._coming(alarm)), None)

    def next_ring(self) -> Occurrence | None:
        """The next one of all that will ring."""
        alarms = self.store.contents.alarms.values()
        coming = [self.plan.next] if self.plan.next else []
        if not coming:
            for alarm in alarms:
                coming += list(islice((each for each in self._coming(alarm) if each.key not in self.ledger.skipped), 1))
        return min(coming, default=None)

    def note(self, kind: Kind, text: str) -> None:
        """A notice for a person, in the journal too."""
        if text not in self.notices:
            self.notices = [*self.notices, text][-20:]
            self.decisions.record([self._entry(kind, text)])

    def write(self, kind: Kind, text: str) -> None:
        """An entry of the journal."""
        self.decisions.record([self._entry(kind, text)])

    def save(self) -> None:
        """Save the time, before the end."""
        self._saved_boot_s = -math.inf
        self._save(math.inf)

    # -- what is kept

    def _entry(
        self, kind: Kind, text: str, *, by: str | None = None, key: Key | None = None, deadline_s: float | None = None
    ) -> Entry:
        if kind in ("skipped", "stopped", "snoozed"):
            text += doubt(self.now)
        return Entry(
            utc_s=self.now.utc_s, boot_s=self.now.boot_s, boot_id=self.now.boot_id, kind=kind, text=text, by=by,
            key=key, deadline_s=deadline_s,
        )  # fmt: skip

    def _save(self, idle_s: float) -> None:
        """What the disk is still owed, but nothing routine when something is due soon: a disk may hang."""
        if not self.decisions.retry(self.now.boot_s):
            return
        if not self.now.armed:
            return  # what was saved before this boot says more than what is guessed now
        since_s = self.now.boot_s - self._saved_boot_s
        if since_s >= (SAVE_S if idle_s > QUIET_S else 2 * SAVE_S):
            self._saved_boot_s = self.now.boot_s
            self.decisions.save_memory(replace(self._memory, zone=self.zone.key or ""), self.now.boot_s)

    def _note_store(self) -> None:
        while self.store.notices:
            self.note("storage", self.store.notices.pop(0))

    # -- words

    def _speak_of_time(self) -> None:
        if self._clock.zone_problem is not None:
            self.note("clock", self._clock.zone_problem)
        if self._time_news:
            entries = [self._entry("clock", text) for text in self._time_news]
            self._time_news = []
            self._saved_boot_s = -math.inf
            self.decisions.record(entries)

    def _speak_of_sound(self, state: SpeakerState) -> None:
        fresh = [failure for failure in state.failures if failure not in self._heard_failures]
        self._heard_failures = tuple(dict.fromkeys([*self._heard_failures, *fresh]))
        for failure in fresh:
            self.write("sound", failure)

    def _speak_of_monitor(self) -> None:
        status = self.monitor.status
        if status is None:
            return
        words = (
            "the monitor is silent" if self.monitor.silent_s(self.now.boot_s) > SILENT_S else f"the monitor: {status}"
        )
        if words != self._monitor_words:
            self._monitor_words = words
            today = local(self.now.utc_s, self.zone).date()
            count = self._monitor_entries[1] if self._monitor_entries[0] == today else 0
            self._monitor_entries = (today, count + 1)
            if count < MONITOR_ENTRIES:
                self.write("monitor", words)

    def _shine(self, level: float) -> None:
        if level != self.light:
            self.light = level
            try:
                self._light.set(level)
            except Exception as error:  # a broken lamp is not the clock's end
                self.note("light", f"the light cannot be set: {error}")

    # -- small questions

    def _coming(self, alarm: Alarm) -> Iterable[Occurrence]:
        today = local(self.now.utc_s, self.zone).date() - dt.timedelta(days=1)
        return self._still_coming(next_of(alarm, self.zone, today))

    def _still_coming(self, found: Iterable[Occurrence]) -> Iterable[Occurrence]:
        for each in found:
            key = each.key
            if each.deadline_s > self.now.utc_s and key not in self.ledger.ended and key not in self.ledger.ringing:
                yield each

    def _not_ringing(self, number: int) -> None:
        if any(key.alarm == number for key in self.ledger.ringing):
            raise InputError(f"alarm {number} rings: stop it first")

    def _no_alarm(self, number: int) -> InputError:
        have = ", ".join(map(str, self.store.contents.alarms)) or "none"
        return InputError(f"there is no alarm {number}; there are {have}")
