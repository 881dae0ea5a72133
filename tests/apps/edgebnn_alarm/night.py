"""Nights: the clockwork in a simulated machine, a person, a monitor, faults, and an oracle of its own."""

from __future__ import annotations

import datetime as dt
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

from edgebnn_alarm import last_good_copy
from edgebnn_alarm.alarm import Alarm, from_json
from edgebnn_alarm.clockwork import Clockwork
from edgebnn_alarm.light import NoLight
from edgebnn_alarm.monitor import Hint
from edgebnn_alarm.occurrence import Key
from edgebnn_alarm.planner import Rules
from edgebnn_alarm.simulation import Crash, Faults, SimulatedClock, SimulatedSpeaker
from edgebnn_alarm.store import Store, StoreError

from edgebnn.errors import EdgebnnError
from tests.apps.edgebnn_alarm.scenarios import Scenario

LOOK_S = 900.0
RULES = Rules(grace_s=1800.0, ring_limit_s=1800.0)


@dataclass(frozen=True)
class Moment:
    """When something happened: by the clock of the world and by the one on the wall, in which boot."""

    true_s: float
    shown_s: float
    boots: int


@cache
def minutes(zone: str, from_min: int, to_min: int) -> list[tuple[dt.date, int]]:
    """What clocks show in every minute: the date, and the minute of the day."""
    info = ZoneInfo(zone)
    walls = (dt.datetime.fromtimestamp(60 * utc_min, info) for utc_min in range(from_min, to_min))
    return [(wall.date(), 60 * wall.hour + wall.minute) for wall in walls]


@cache
def deadlines(zone: str, time: dt.time, from_min: int, to_min: int) -> dict[dt.date, float]:
    """By walking through every minute: when clocks first show `time` or later on each date, or the next date."""
    wanted = 60 * time.hour + time.minute
    found: dict[dt.date, float] = {}
    walls = minutes(zone, from_min, to_min)
    latest = walls[0][0]
    for utc_min, (date, minute) in enumerate(walls[1:], from_min + 1):
        if date > latest:
            found.setdefault(latest, 60.0 * utc_min)  # Nuuk's clocks go from 22:59 to 0:00 in spring
            latest = date
        if minute >= wanted and date not in found:
            found[date] = 60.0 * utc_min
    return found


class Night:
    """Runs a scenario and checks the promises after every look of the clock."""

    def __init__(self, scenario: Scenario, folder: Path, faults: Faults | None = None, *, crashes: bool = True) -> None:
        self.scenario, self.folder = scenario, folder
        self.faults = faults or Faults()
        self.clock = SimulatedClock(scenario.start_s, scenario.zone, booted_s=scenario.start_s - 3600)
        self.speaker = SimulatedSpeaker(self.clock)
        self.clockwork: Clockwork | None = None
        self.disk_fails = not crashes
        self.end_s = scenario.start_s + 3600 * scenario.hours
        self.events = sorted(scenario.events, key=lambda event: event.at_s)
        self.reactions = list(scenario.reactions)
        self.reaction: tuple[float, str] | None = None
        self.disturbed_s = scenario.start_s  # by the clock of the world: restart, step, change of zone or alarms
        self.back_s = 0.0  # when the machine or service comes back
        self.off = False
        self.may_skip: set[Key] = set()
        self.asked = Moment(scenario.start_s, scenario.start_s, 1)
        """When a person last asked to set an alarm; after a crash it holds, or does not."""
        self.made: dict[Key, Moment] = {}
        """Since when occurrences of what is set exist."""
        self.over: set[Key] = set()
        """What was over when it was made, by the clock and in the zone of then."""
        self.heard: set[Key] = set()
        """What rang, as somebody in the room knows it: it was to ring and there was sound."""
        self.done: set[Key] = set()
        """What was heard and has ended: it never rings again."""
        self.lost: set[Key] = set()
        """What is done, but a dying process had not brought that to a disk that refused: it may ring once more."""
        self.came: set[Key] = set()  # was still to come at some look
        self.looks = 0

    # -- the machine

    def run(self) -> None:
        try:
            with fast_copies(self.faults):
                self._prepare()
                while self.clock.true_s < self.end_s:
                    self._step()
                self._finish()
        finally:
            self.faults.kill()

    def _prepare(self) -> None:
        """Alarms are set in peace."""
        choose, self.faults.choose = self.faults.choose, lambda number, name: None
        self._start()
        assert self.clockwork is not None
        for raw in self.scenario.alarms:
            self.clockwork.set_alarm(from_json(raw), by="test")
        self._note_made()
        self.faults.choose, self.faults.calls = choose, 0
        self.clock.faults = self.speaker.faults = self.faults

    def _start(self) -> None:
        store = Store(self.folder, connect=self.faults.connect)
        self.clockwork = Clockwork(clock=self.clock, store=store, speaker=self.speaker, light=NoLight(), rules=RULES)
        self._note_made()

    def _die(self, back_after_s: float) -> None:
        if self.clockwork is not None:
            self._hear()
            if self.disk_fails:
                self.lost |= self.done & {
                    entry.key for entry in self.clockwork.decisions.unstored if entry.key is not None
                }
        self.speaker.die()
        self.faults.kill()
        self.clockwork = None
        self.back_s = self.clock.true_s + back_after_s

    @contextmanager
    def _alive(self) -> Iterator[None]:
        try:
            yield
        except Crash:
            self._die(0.3)

    def _step(self) -> None:
        if self.clockwork is None:
            self._pass_time(min(self.back_s, self.end_s))
            if self.clock.true_s >= self.end_s or self.clock.true_s < self.back_s:
                return
            self.disturbed_s = self.clock.true_s
            self.off = False
            with self._alive():
                self._start()
            if self.clockwork is None:
                return
        idle_s = 0.0
        with self._alive():
            assert self.clockwork is not None
            idle_s = self.clockwork.tick()
            self._check()
        if self.clockwork is not None:
            self._pass_time(min(self.clock.true_s + min(max(idle_s, 0.01), LOOK_S), self.end_s))

    def _pass_time(self, until_s: float) -> None:
        """To `until_s`, or to the next event or reaction, which happens."""
        due = self.events[0].at_s + self.scenario.start_s if self.events else float("inf")
        reacts = self.reaction[0] if self.reaction else float("inf")
        self.clock.true_s = max(self.clock.true_s, min(until_s, due, reacts))
        if self.reaction and reacts <= self.clock.true_s:
            self._react()
        elif self.events and due <= self.clock.true_s:
            event = self.events.pop(0)
            with self._alive():
                getattr(self, "_on_" + event.what)(event.value)

    # -- the person

    def _react(self) -> None:
        assert self.reaction is not None
        what, self.reaction = self.reaction[1], None
        if self.clockwork is None or not self.speaker.playing:
            self.reaction = (self.clock.true_s + 5, what) if self.clockwork is None else None
            return
        ringing = {each.key for each in self.clockwork.ringing}
        with self._alive():
            if what == "stop":
                self.clockwork.stop(by="test")
                self._answered(ringing)
            elif what == "snooze":
                try:
                    self.clockwork.snooze(by="test")
                    self._answered(ringing)
                except EdgebnnError as error:
                    assert "limit" in str(error)
                    assert self.speaker.playing
                    self.reaction = (self.clock.true_s + 30, "stop")

    def _answered(self, keys: set[Key]) -> None:
        assert not self.speaker.playing
        self.done |= keys

    # -- events

    def _on_hint(self, hint: Hint) -> None:
        if self.clockwork is not None:
            self.clockwork.hint(hint)

    def _on_kill(self, back_after_s: float) -> None:
        if self.clockwork is not None:
            self._die(back_after_s)

    def _on_power_cut(self, value: tuple[float, float, bool]) -> None:
        off_s, behind_s, synchronised = value
        self._die(off_s + 20)
        self.off = True
        self.clock.true_s += off_s
        self.clock.boot(error_s=-behind_s, synchronised=synchronised)
        self.disturbed_s = self.clock.true_s

    def _on_sync(self, value: None) -> None:
        self.clock.error_s, self.clock.synchronised = 0.0, True
        self.disturbed_s = self.clock.true_s

    def _on_step(self, seconds: float) -> None:
        """The kernel's clock is set, and holds as synchronised: what is true is then what it shows."""
        self.clock.error_s += seconds
        self.disturbed_s = self.clock.true_s

    def _on_zone(self, zone: str) -> None:
        self.clock.zone_name = zone
        self.disturbed_s = self.clock.true_s

    def _on_skip(self, undo: bool) -> None:
        if self.clockwork is None:
            return
        try:
            for alarm in self.clockwork.store.contents.alarms.values():  # a crash may come after it is stored
                self.may_skip |= {each.key for each in self.clockwork._coming(alarm)}
            key = self.clockwork.skip(by="test", undo=undo).key
            if undo:
                self.may_skip.discard(key)
        except StoreError:
            assert self.disk_fails
        except EdgebnnError:
            pass

    def _on_set(self, raw: dict[str, Any]) -> None:
        if self.clockwork is None:
            return
        self.disturbed_s = self.clock.true_s
        alarms = self.clockwork.store.contents.alarms
        self.asked = self._moment()
        number = raw.get("id", 0)
        try:
            self.clockwork.set_alarm(from_json(raw, onto=alarms.get(number)), by="test")
        except StoreError:
            assert self.disk_fails
        except EdgebnnError:
            pass  # it rings
        self._note_made()

    def _on_delete(self, number: int) -> None:
        if self.clockwork is not None:
            with suppress(EdgebnnError):
                self.clockwork.delete_alarm(number, by="test")

    def _moment(self) -> Moment:
        assert self.clockwork is not None
        return Moment(self.clock.true_s, self.clock.true_s + self._ahead_s(), self.clock.boots)

    def _ahead_s(self) -> float:
        """What the time that the clock goes by is ahead of the world's."""
        assert self.clockwork is not None
        now = self.clockwork.now
        return now.utc_s - (self.clock.booted_s + now.boot_s)

    def _note_made(self) -> None:
        """What was not there before was made by the last request."""
        expected = self._expected()
        self.over = {key for key in self.over if key in expected}
        self.over |= {key for key, at_s in expected.items() if key not in self.made and at_s <= self.asked.shown_s}
        self.made = {key: self.made.get(key, self.asked) for key in expected}

    # -- the oracle

    def _expected(self) -> dict[Key, float]:
        """Deadlines of this night and, when the clock believes to be in another year, around now."""
        assert self.clockwork is not None
        found, now_s = self._around(self.scenario.start_s), self.clockwork.now.utc_s
        return found if abs(now_s - self.scenario.start_s) < 3 * 86400 else found | self._around(now_s)

    def _around(self, instant_s: float) -> dict[Key, float]:
        """Deadlines of all alarms that are set, by walking through the minutes."""
        assert self.clockwork is not None
        low = int((instant_s - 86400) // 86400) * 1440
        found: dict[Key, float] = {}
        for alarm in self.clockwork.store.contents.alarms.values():
            for date, at_s in deadlines(
                self.clock.zone_name, alarm.time, low, low + 1440 * (4 + int(self.scenario.hours // 24))
            ).items():
                if rings(alarm, date):
                    found[Key(alarm.id, date, alarm.time, 0)] = at_s
        return found

    def _due(self, key: Key, at_s: float) -> bool:
        """Whether it is to ring at `at_s`: not if it was over when its alarm was set, and is by today's clock too."""
        if key not in self.over:
            return True
        made = self.made[key]
        if made.boots == self.clock.boots:
            return at_s > made.true_s + self._ahead_s()
        return at_s > min(made.shown_s, self.clock.booted_s + self._ahead_s())

    def _hear(self) -> None:
        assert self.clockwork is not None
        if self.speaker.playing:
            self.heard |= self.clockwork.ledger.ringing.keys()

    def _check(self) -> None:
        """The promises, after a look of the clock."""
        self.looks += 1
        clockwork = self.clockwork
        assert clockwork is not None
        now, ledger = clockwork.now, clockwork.ledger
        if self.clock.synchronised:
            assert now.armed and abs(now.utc_s - self.clock.true_s - self.clock.error_s) < 1e-3
        if not now.armed:
            assert not self.speaker.playing and now.boot_s < 180 and not self.clock.synchronised
            self.disturbed_s = self.clock.booted_s + 180
            return
        # It sounds as long as something rings, and only then.
        assert self.speaker.playing == bool(ledger.ringing), (self.speaker.playing, ledger.ringing)
        self._hear()
        self.done |= self.heard & ledger.ended
        # Nothing that is due is silent.
        for key, at_s in self._expected().items():
            if at_s > now.utc_s:
                self.came.add(key)
            if at_s <= now.utc_s <= at_s + RULES.grace_s and self._due(key, at_s) and key not in ledger.skipped:
                rings_or_rang = key in self.heard and (key in ledger.ringing or key in ledger.ended)
                assert rings_or_rang, f"{key} is due since {now.utc_s - at_s} s and does not ring"
        for each in ledger.waiting_snoozes(now):
            assert each.deadline_s > now.utc_s, f"snooze {each} is due"
        # Only a person skips.
        assert ledger.skipped <= self.may_skip, ledger.skipped - self.may_skip
        # What has ended stays silent; once more for each end that a crash took before the disk had it.
        again = self.done & ledger.ringing.keys()
        assert again <= self.lost, f"{again - self.lost} rings again"
        self.done -= again
        self.lost -= again
        self._check_new_rings()
        if self.speaker.playing and self.reaction is None and self.reactions:
            after_s, what = self.reactions.pop(0)
            if what != "sleep":
                self.reaction = (self.clock.true_s + after_s, what)

    def _check_new_rings(self) -> None:
        """Never early, never late."""
        clockwork = self.clockwork
        assert clockwork is not None
        for key, entry in clockwork.ledger.ringing.items():
            if entry.boot_s != clockwork.now.boot_s or entry.boot_id != clockwork.now.boot_id or key.snooze:
                continue  # an old one
            at_s = self._expected()[key]
            assert self._due(key, at_s), f"{key} rang, but was over when its alarm was set"
            window_min = clockwork.store.contents.alarms[key.alarm].window_min
            assert entry.utc_s >= at_s - 60 * window_min - 1e-3, f"{key} rang before its window"
            if entry.utc_s > at_s + 1:
                late_s = min(entry.utc_s - at_s, self.clock.true_s - self.disturbed_s)
                assert late_s <= 1, f"{key} rang {late_s} s late"

    def _finish(self) -> None:
        """The whole journal, as the disk has it: everything rang once or is accounted for."""
        self.faults.choose = lambda number, name: None
        if self.clockwork is None:
            self._start()
        assert self.clockwork is not None
        self.clockwork.tick()
        ledger, now = self.clockwork.ledger, self.clockwork.now
        if now.armed:
            for key, at_s in self._around(self.scenario.start_s).items():
                if key in self.came and self._due(key, at_s) and at_s + RULES.grace_s < now.utc_s:
                    assert key in self.heard | ledger.skipped | ledger.missed, f"{key} neither rang nor was it reported"
        self.faults.kill()
        with closing(sqlite3.connect(self.folder / "alarms.sqlite3")) as connection:
            rows = connection.execute(
                "SELECT alarm, date, time, snooze, count(*) FROM journal WHERE kind = 'rang' GROUP BY 1, 2, 3, 4"
            ).fetchall()
        assert all(row[-1] == 1 for row in rows), rows
        if not self.disk_fails:
            told = {Key(row[0], dt.date.fromisoformat(row[1]), dt.time.fromisoformat(row[2]), row[3]) for row in rows}
            assert self.done <= told, f"the journal does not say that {self.done - told} rang"


def rings(alarm: Alarm, date: dt.date) -> bool:
    """Whether an alarm rings on a date, said once more."""
    if not alarm.enabled:
        return False
    if alarm.date:
        return alarm.date == date
    return date.strftime("%a").lower() in alarm.weekdays and date not in alarm.except_dates


@contextmanager
def fast_copies(faults: Faults) -> Iterator[None]:
    """The last good copy without waiting for the disk, and with fault points."""

    def write(file: Path, content: bytes, *, mode: int) -> None:
        def replace() -> None:
            half = file.with_suffix(".half")
            half.write_bytes(content)
            half.replace(file)

        faults.call("write_state", replace)

    with mock.patch.object(last_good_copy, "write_state", write):
        yield


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder that needs no disk, where there is one."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as name:
        yield Path(name)


def crash_at(number: int, when: str) -> Callable[[int, str], tuple[str, BaseException] | None]:
    """A crash at one call."""
    return lambda n, name: (when, Crash()) if n == number else None
