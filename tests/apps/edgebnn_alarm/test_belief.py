"""What time it is believed to be: without a battery, over steps and restarts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgebnn_alarm.belief import Memory, Reading, believe
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_800_000_000.0
READING = Reading(kernel_s=NOW, boot_s=1000.0, boot_id="a", synchronised=False, battery=False)
SECONDS = st.floats(-1e8, 1e8)


def memory(reading: Reading, earlier: Memory | None = None) -> Memory:
    return believe(reading, earlier)[1]


def after(reading: Reading, seconds: float, step_s: float = 0.0, **changes: Any) -> Reading:
    moved = replace(reading, kernel_s=reading.kernel_s + seconds + step_s, boot_s=reading.boot_s + seconds)
    return replace(moved, **changes)


def test_synchronised_is_the_kernels_clock() -> None:
    old = memory(replace(READING, synchronised=True))
    belief, _ = believe(replace(READING, kernel_s=NOW - 1e6, boot_s=1.0, boot_id="b", synchronised=True), old)
    assert (belief.utc_s, belief.status) == (NOW - 1e6, "verified")


def test_without_a_battery_the_saved_time_is_the_lower_bound() -> None:
    old = memory(replace(READING, synchronised=True))
    booted = Reading(kernel_s=0.0, boot_s=10.0, boot_id="b", synchronised=False, battery=True)
    belief, new = believe(booted, old)
    assert (belief.utc_s, belief.status) == (NOW + 10, "waiting")
    assert not belief.armed
    belief, new = believe(after(booted, 170.0), new)
    assert (belief.utc_s, belief.status) == (NOW + 180, "unverified")
    # A restart of the service forgets nothing of this, although the saved time is old.
    belief, new = believe(after(booted, 5000.0), new)
    assert (belief.utc_s, belief.status, belief.step_s) == (NOW + 5010, "unverified", 0.0)
    # The network: a step to the true time, which is believed at once.
    belief, new = believe(after(booted, 5001.0, NOW + 9000.0, synchronised=True), new)
    assert (belief.utc_s, belief.status) == (NOW + 14001, "verified")
    assert abs(belief.step_s - 8990) < 1e-3


def test_with_a_battery_the_kernels_clock_is_verified() -> None:
    old = memory(replace(READING, synchronised=True))
    booted = Reading(kernel_s=NOW + 50, boot_s=10.0, boot_id="b", synchronised=False, battery=True)
    assert believe(booted, old)[0].status == "verified"


def test_a_person_who_sets_the_clock_is_believed() -> None:
    booted = Reading(kernel_s=0.0, boot_s=10.0, boot_id="b", synchronised=False, battery=False)
    new = memory(booted, memory(READING))
    for step_s, expected in ((1000.0, NOW + 310), (NOW + 5000, NOW + 5300), (-1e5, NOW + 310)):
        belief, _ = believe(after(booted, 300.0, step_s), new)
        assert abs(belief.utc_s - expected) < 1e-3  # a clock behind the saved time is not truer for being set back
    belief, _ = believe(after(READING, 300.0, -1e5), memory(READING))
    assert belief.utc_s == NOW + 300 - 1e5


@given(st.lists(st.tuples(st.floats(0, 1e5), SECONDS, st.booleans(), st.booleans()), max_size=8))
def test_time_goes_back_only_by_a_synchronised_or_corrected_clock(moves: list[tuple[float, float, bool, bool]]) -> None:
    reading, boot = READING, 0
    belief, known = believe(reading, None)
    for seconds, step_s, reboot, synchronised in moves:
        before = belief
        reading = after(reading, seconds, step_s, synchronised=synchronised)
        if reboot:
            boot += 1
            reading = replace(reading, boot_s=seconds, boot_id=str(boot))
        belief, known = believe(reading, known)
        assert known.offset_s >= 0
        if synchronised:
            assert belief.utc_s == reading.kernel_s and belief.status == "verified"
        elif reboot or step_s >= 0:
            assert belief.utc_s >= before.utc_s - 1e-3
        if not synchronised and reboot:
            assert belief.status == ("waiting" if seconds < 180 else "unverified")
