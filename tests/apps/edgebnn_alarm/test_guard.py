"""The guard: rings what the clock should have rung long ago, whatever became of the clock and its files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from edgebnn_alarm.alarm import from_json
from edgebnn_alarm.belief import Memory
from edgebnn_alarm.client import ask
from edgebnn_alarm.clockwork import Clockwork
from edgebnn_alarm.guard import SOCKET, Guard
from edgebnn_alarm.guard_memory import FILE, GuardMemory
from edgebnn_alarm.journal import Entry, Kind
from edgebnn_alarm.light import NoLight
from edgebnn_alarm.occurrence import Key
from edgebnn_alarm.planner import Rules
from edgebnn_alarm.settings import GuardSettings, Service, Settings
from edgebnn_alarm.simulation import SimulatedClock, SimulatedSpeaker
from edgebnn_alarm.store import DATABASE, Store

from tests.apps.edgebnn_alarm.night import memory_folder

SEVEN_S = dt.datetime.fromisoformat("2026-11-24T07:00:00+00:00").timestamp()
KEY = Key(1, dt.date(2026, 11, 24), dt.time(7), 0)


class Room:
    """A dead clock's folder, a simulated machine, and a guard."""

    def __init__(self, folder: Path, after_s: float) -> None:
        self.folder = folder
        self.clock = SimulatedClock(SEVEN_S + after_s, booted_s=SEVEN_S - 9999)
        self.speaker = SimulatedSpeaker(self.clock)
        self.playing: list[bool] = []
        self.during: list[tuple[float, Callable[[], object]]] = []
        service = Service(state_dir=str(folder), socket=str(folder / "alarm.sock"))
        self.settings = Settings(service=service, guard=GuardSettings(ring_min=2))
        store = Store(folder)
        raw = {"id": 1, "time": "07:00", "weekdays": ["tue"], "sound": "chime"}
        store.put_alarm(from_json(raw), [])
        store.save_memory(
            Memory(boot_id="boot-1", kernel_epoch_s=SEVEN_S - 9999, offset_s=0, verified=True, utc_s=SEVEN_S)
        )
        store.close()

    def guard(self) -> Guard:
        made = Guard(self.settings, self.clock, self.speaker, sleep=self.sleep)
        return made

    def sleep(self, seconds: float) -> None:
        self.clock.true_s += seconds
        self.playing.append(self.speaker.playing)
        while self.during and self.during[0][0] <= self.clock.true_s - SEVEN_S:
            self.during.pop(0)[1]()

    def record(self, kind: Kind, ago_s: float = 0.0) -> None:
        store = Store(self.folder)
        at_s, boot_s = self.clock.true_s - ago_s, self.clock.peek().boot_s - ago_s
        until_s = at_s + 3600 if kind == "snoozed" else SEVEN_S
        store.append(
            [Entry(utc_s=at_s, boot_s=boot_s, boot_id="boot-1", kind=kind, text="", key=KEY, deadline_s=until_s)]
        )
        store.close()


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    with memory_folder() as folder:
        made = Room(folder, 61)
        # Its socket waits in real time; the simulated machine's wait is `sleep`.
        monkeypatch.setattr("edgebnn_alarm.guard.Server.turn", lambda server, seconds: made.sleep(seconds))
        yield made


@pytest.mark.parametrize(
    ("after_s", "rings"), [(-10, False), (30, False), (54, False), (61, True), (1700, True), (1900, False)]
)
def test_it_rings_from_a_minute_after_the_deadline_to_the_end_of_the_grace(
    room: Room, after_s: float, rings: bool
) -> None:
    room.clock.true_s = SEVEN_S + after_s
    said = room.guard().run()
    assert (len(room.speaker.sounds) == 1) == rings, said
    if rings:
        assert room.speaker.sounds[0][0] == "chime" and sum(room.playing) >= 119 and "unanswered" in said
    assert not room.speaker.playing


@pytest.mark.parametrize("kind", ["rang", "stopped", "snoozed", "skipped", "unanswered"])
def test_a_recorded_decision_is_enough(room: Room, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "_clock_lives", lambda guard: True)
    room.record(kind)
    assert room.guard().run() == "nothing is overdue" and not room.speaker.sounds


def test_what_began_to_ring_under_a_clock_that_died_rings_on(room: Room) -> None:
    room.record("rang", ago_s=60)
    assert "the guard rang" in room.guard().run()


def test_once_only_and_the_clock_knows(room: Room) -> None:
    room.guard().run()
    room.clock.true_s = SEVEN_S + 300
    assert room.guard().run() == "nothing is overdue" and len(room.speaker.sounds) == 1
    store = Store(room.folder)
    clockwork = Clockwork(clock=room.clock, store=store, speaker=room.speaker, light=NoLight(), rules=Rules())
    clockwork.take(GuardMemory(room.folder).read())
    clockwork.tick()
    assert not room.speaker.playing
    assert [entry.by for entry in store.contents.journal if entry.kind == "unanswered"] == ["guard"]
    store.close()


def test_the_clock_gets_a_second_chance(room: Room) -> None:
    room.during = [(66, lambda: room.record("rang"))]
    assert room.guard().run() == "the clock has decided by itself" and not room.speaker.sounds


def test_it_gives_way_when_the_clock_comes_back(room: Room) -> None:
    room.during = [(80, lambda: room.record("stopped"))]
    assert "taken" in room.guard().run()
    assert 5 < sum(room.playing) < 30 and not (room.folder / FILE).exists()


def test_a_person_stops_it(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = room.guard()

    def stop() -> None:
        assert guard._answer(b'{"cmd": "list"}\n')[0]["ok"] is False
        assert guard._answer(b'{"cmd": "stop"}\n')[0]["ok"]

    room.during = [(80, stop)]
    assert "stopped" in guard.run() and not room.speaker.playing
    assert [entry.kind for entry in GuardMemory(room.folder).read()] == ["stopped"]


def test_it_listens_in_the_clocks_folder(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebnn_alarm.server import Server

    monkeypatch.undo()
    guard = room.guard()
    server = Server(room.folder / SOCKET, guard._answer)
    import threading

    asked = threading.Thread(target=ask, args=(room.folder / SOCKET, {"cmd": "stop"}))
    asked.start()
    while not guard._stopped:
        server.turn(0.1)
    server.turn(0.1)
    asked.join(5)
    server.close()
    assert not asked.is_alive()


def test_damaged_tables_are_read_from_the_copy_and_it_says_so(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    (room.folder / DATABASE).write_bytes(b"x" * 9000)
    for suffix in ("-wal", "-shm"):
        (room.folder / (DATABASE + suffix)).unlink(missing_ok=True)
    assert "the guard rang 07:00" in room.guard().run()
    assert "the last good copy is used" in caplog.text


def test_without_any_table_it_says_so(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    (room.folder / DATABASE).unlink()
    (room.folder / "alarms.json").unlink()
    assert room.guard().run() == "nothing is overdue"
    assert "there is no last good copy" in caplog.text


def test_a_disk_that_takes_nothing_does_not_make_it_ring_twice(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(memory: GuardMemory, entries: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(GuardMemory, "add", refuse)
    room.guard().run()
    assert len(room.speaker.sounds) == 1
    assert room.clock.true_s > SEVEN_S + 1800  # until nothing could ring again it was its own memory


def test_it_waits_for_the_time_as_the_clock_does(room: Room) -> None:
    room.clock.boot(error_s=-1e9, synchronised=False)
    room.clock.true_s += 20
    assert room.guard().run() == "nothing is overdue"
    room.clock.true_s += 170
    assert "the guard rang" in room.guard().run()


def test_what_a_killed_guard_has_half_written_goes(room: Room) -> None:
    half, clocks = room.folder / ".guard.json.x1_y2z3w", room.folder / ".alarms.json.x1_y2z3w"
    for file in (half, clocks):
        file.write_text("{")
    room.clock.true_s = SEVEN_S - 10
    assert room.guard().run() == "nothing is overdue"
    assert not half.exists() and clocks.exists()


def test_a_damaged_memory_is_an_empty_one(tmp_path: Path) -> None:
    memory = GuardMemory(tmp_path)
    for text in ("", "{}", "[[1]]", "[3]", '[["a"]]'):
        (tmp_path / FILE).write_text(text)
        assert memory.read() == []
