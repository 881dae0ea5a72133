from __future__ import annotations

import threading

from edgebnn.camera.clock import Clock, Pace, SimulatedClock


def test_simulated_time_passes_by_waiting_only() -> None:
    clock, event = SimulatedClock(5), threading.Event()
    assert clock.now_ns() == clock.now_ns() == 5
    assert not clock.wait(event, 2.5) and clock.now_ns() == 2_500_000_005
    clock.advance(0.5)
    event.set()
    assert clock.wait(event, 100) and clock.now_ns() == 3_000_000_005


def test_the_machines_clock_rises_and_a_set_event_ends_a_wait() -> None:
    clock, event = Clock(), threading.Event()
    event.set()
    before = clock.now_ns()
    assert clock.wait(event, 1000) and clock.now_ns() >= before
    assert not clock.wait(threading.Event(), -1)


def test_pace_is_steady_and_does_not_catch_up() -> None:
    clock, passed = SimulatedClock(), []
    pace = Pace(clock)
    for work_s in (0.0, 0.3, 0.9, 2.5, 0.0, 0.0):  # after each frame
        pace.wait(10**9)
        passed.append(clock.now_ns() / 1e9)
        clock.advance(work_s)
    assert passed == [0, 1, 2, 3, 5.5, 6.5]
