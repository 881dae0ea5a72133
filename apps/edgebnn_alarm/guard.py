"""The guard: run by a timer, it rings what is overdue although the clock should have rung it long ago.

It shares with the clock only what is pure (planner, calendar) and the files, which it reads; its own memory is a file.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgebnn.errors import DataError, EdgebnnError, UnavailableError
from edgebnn_alarm.belief import Belief, believe
from edgebnn_alarm.client import ask
from edgebnn_alarm.clock import Clock
from edgebnn_alarm.guard_memory import GuardMemory
from edgebnn_alarm.journal import Entry, Kind, fold
from edgebnn_alarm.occurrence import Key, Occurrence, occurrences
from edgebnn_alarm.planner import plan
from edgebnn_alarm.rows import Contents
from edgebnn_alarm.server import Server
from edgebnn_alarm.settings import Settings
from edgebnn_alarm.sounds import AT_ONCE
from edgebnn_alarm.speaker import Player
from edgebnn_alarm.store import read_only_contents
from edgebnn_alarm.wall_time import hh_mm, local

LOG = logging.getLogger("edgebnn.alarm.guard")
SOCKET = "guard.sock"
LOOK_S = 1.0
SECOND_LOOK_S = 5.0
"""The clock gets this chance to decide by itself: after a boot or a step of the clock both see the deadline at once."""


class Guard:
    """One run: look, and ring if something is overdue."""

    def __init__(
        self, settings: Settings, clock: Clock, speaker: Player, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Nothing happens yet."""
        self._settings, self._clock, self._speaker, self._sleep = settings, clock, speaker, sleep
        self._memory = GuardMemory(settings.state_dir)
        self._unwritten: list[Entry] = []
        self._stopped = False
        self._said: set[str] = set()

    def overdue(self) -> tuple[Belief, list[Occurrence]]:
        """What is so long past its deadline, within the grace, and undecided by clock and guard.

        Also what began to ring under a clock that has died since.
        """
        contents = self._contents()
        now, _ = believe(self._clock.read(), contents.memory)
        if not now.armed:
            return now, []
        zone = self._clock.zone()
        ledger = fold([*contents.journal, *self._memory.read(), *self._unwritten])
        today = local(now.utc_s, zone).date()
        late_from = today.fromordinal(today.toordinal() - 2)
        timetable = occurrences(contents.alarms.values(), zone, late_from, today.fromordinal(today.toordinal() + 1))
        late = []
        for ring in plan(now, contents.alarms, timetable, ledger, self._settings.rules).ring:
            began = ledger.ringing.get(ring.occurrence.key)
            late_s = now.utc_s - ring.occurrence.deadline_s if began is None else began.age_s(now)
            # What began to ring is the clock's own, as long as there is one.
            if late_s >= self._settings.guard.after_s and (began is None or not self._clock_lives()):
                late.append(ring.occurrence)
        return now, late

    def run(self) -> str:
        """Look, and ring until somebody stops it, the clock takes over, or the limit; the sentence of what happened."""
        if not self.overdue()[1]:
            try:
                self._memory.tidy()
            except OSError as error:  # four times a minute, and no person need act
                LOG.debug("what a killed guard has left stays: %s", error)
            return "nothing is overdue"
        self._sleep(SECOND_LOOK_S)
        now, late = self.overdue()
        late = [each for each in late if each.key not in self._decided_by_clock()]
        if not late:
            return "the clock has decided by itself"
        said = self._ring(now, late)
        while self._unwritten:  # the disk refuses: this process is the memory until nothing could ring again
            now, late = self.overdue()
            if late:
                said = self._ring(now, late)
            elif all(now.utc_s > (entry.deadline_s or 0) + self._settings.rules.grace_s for entry in self._unwritten):
                break
            self._sleep(LOOK_S)
            self._write([])
        return said

    def _ring(self, now: Belief, late: list[Occurrence]) -> str:
        zone = self._clock.zone()
        text = ", ".join(hh_mm(each.deadline_s, zone) for each in late)
        LOG.critical("the clock did not ring %s: the guard rings", text)
        alarm = self._contents().alarms.get(late[-1].key.alarm)
        self._speaker.play(alarm.sound if alarm else "bell", AT_ONCE)
        self._stopped = False
        try:
            end = self._wait({each.key for each in late}, now.boot_s + 60 * self._settings.guard.ring_min)
        finally:
            self._speaker.silence()
            self._speaker.join(2.0)
        if end != "taken over":
            kind: Kind = "stopped" if end == "stopped" else "unanswered"
            words = f"the guard rang {text}, which the clock had not: {end}"
            now, _ = believe(self._clock.read(), self._contents().memory)
            entry = Entry(utc_s=now.utc_s, boot_s=now.boot_s, boot_id=now.boot_id, kind=kind, text=words, by="guard")
            self._write([replace(entry, key=each.key, deadline_s=each.deadline_s) for each in late])
        return f"the guard rang {text}: {end}"

    def _wait(self, keys: set[Key], until_boot_s: float) -> str:
        """Until "stopped" by a person, "taken over" by the clock, or "unanswered"."""
        try:
            server = Server(self._settings.state_dir / SOCKET, self._answer)
        except UnavailableError as error:  # then `edgebnn-alarm stop` cannot stop it, but it rings
            LOG.error("%s", error)
            return self._watch(keys, until_boot_s, self._sleep)
        try:
            return self._watch(keys, until_boot_s, server.turn)
        finally:
            server.close()

    def _watch(self, keys: set[Key], until_boot_s: float, wait: Callable[[float], Any]) -> str:
        while not self._stopped:
            if self._clock.read().boot_s >= until_boot_s:
                return "unanswered"
            if all(self._taken(key) for key in keys):
                return "taken over"
            wait(LOOK_S / self._clock.speed)
        return "stopped"

    def _taken(self, key: Key) -> bool:
        ledger = fold(self._contents().journal)
        if key in ledger.ringing:
            return self._clock_lives()
        return ledger.settled(key)

    def _answer(self, line: bytes) -> tuple[dict[str, Any], bool]:
        if b'"stop"' in line:
            self._stopped = True
            return {"ok": True, "occurrences": []}, False
        return {"ok": False, "error": "the guard rings, since the clock is down: it understands stop only"}, False

    def _write(self, entries: list[Entry]) -> None:
        self._unwritten += entries
        if self._unwritten:
            try:
                self._memory.add(self._unwritten)
                self._unwritten = []
            except OSError as error:
                LOG.error("the guard's memory cannot be written: %s", error)

    def _contents(self) -> Contents:
        try:
            return read_only_contents(self._settings.state_dir, notice=self._say)
        except DataError as error:
            self._say(str(error))
            return Contents()

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            LOG.critical("%s", text)

    def _clock_lives(self) -> bool:
        try:
            ask(self._settings.socket, {"cmd": "status"}, timeout_s=2.0)
        except EdgebnnError:
            return False
        return True

    def _decided_by_clock(self) -> set[Key]:
        """What a living clock says it rings, though its disk does not take it."""
        try:
            status = ask(self._settings.socket, {"cmd": "status"}, timeout_s=2.0)
            entries = ask(self._settings.socket, {"cmd": "log", "limit": 200}, timeout_s=2.0)["entries"]
        except (EdgebnnError, KeyError):
            return set()
        said = {(each["alarm"], each["date"], each["time"], each["snooze"]) for each in [*status["ringing"], *entries]}
        late = self.overdue()[1]
        return {each.key for each in late if _as_said(each.key) in said}


def _as_said(key: Key) -> tuple[int, str, str, int]:
    return key.alarm, key.date.isoformat(), key.time.strftime("%H:%M"), key.snooze
