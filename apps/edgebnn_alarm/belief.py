"""What the clock believes the time to be, from the kernel's clock and what it remembers: pure.

A Raspberry Pi without a battery-backed clock boots with a wrong one. Time never runs backwards over a power loss, so
max(saved time + time since boot, kernel clock) is a lower bound: an alarm on it may be late, never early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HOLD_S = 180.0
"""How long after a boot an unsynchronised clock waits for the network before it arms on the lower bound."""
STEP_S = 2.0
"""A larger change of kernel clock against time since boot is a step, a smaller one a slew."""

Status = Literal["verified", "unverified", "waiting"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the machine says: `kernel_s` since 1970 UTC, `boot_s` since boot (never steps), who this boot is."""

    kernel_s: float
    boot_s: float
    boot_id: str
    synchronised: bool
    battery: bool
    """The kernel's clock was set from a hardware clock at boot."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What must outlive a restart: where this boot's clock stood, its correction, and the last time believed."""

    boot_id: str
    kernel_epoch_s: float
    """Kernel clock minus time since boot."""
    offset_s: float
    """Believed time minus kernel clock: never negative."""
    verified: bool
    utc_s: float
    zone: str = ""
    """The zone that held then; "" is unknown."""


@dataclass(frozen=True, kw_only=True)
class Belief:
    """The time believed. `step_s` is by how much it jumped since the memory, within one boot."""

    utc_s: float
    boot_s: float
    boot_id: str
    status: Status
    step_s: float = 0.0

    @property
    def armed(self) -> bool:
        """Whether alarms ring on this time."""
        return self.status != "waiting"


def believe(reading: Reading, memory: Memory | None) -> tuple[Belief, Memory]:
    """The time to act on, and the memory to keep."""
    kernel_epoch_s = reading.kernel_s - reading.boot_s
    same_boot = memory is not None and memory.boot_id == reading.boot_id
    verified, offset_s = reading.synchronised, 0.0
    if not reading.synchronised:
        if memory is None:
            verified = reading.battery
        elif not same_boot:
            offset_s = max(0.0, memory.utc_s + reading.boot_s - reading.kernel_s)
            verified = reading.battery and offset_s == 0
        else:
            verified = memory.verified
            stepped_s = kernel_epoch_s - memory.kernel_epoch_s
            if abs(stepped_s) <= STEP_S:
                offset_s = memory.offset_s
            elif stepped_s > 0 or memory.offset_s > 0:  # a clock known to be behind is no truer after a step back
                offset_s = max(0.0, memory.offset_s - stepped_s)
            # else a step back of the clock that was believed: somebody corrected it, and is believed
    utc_s = reading.kernel_s + offset_s
    status: Status = "verified" if verified else "waiting" if reading.boot_s < HOLD_S else "unverified"
    step_s = 0.0
    if memory is not None and same_boot:
        jumped_s = (kernel_epoch_s + offset_s) - (memory.kernel_epoch_s + memory.offset_s)
        step_s = jumped_s if abs(jumped_s) > STEP_S else 0.0
    belief = Belief(utc_s=utc_s, boot_s=reading.boot_s, boot_id=reading.boot_id, status=status, step_s=step_s)
    return belief, Memory(
        boot_id=reading.boot_id, kernel_epoch_s=kernel_epoch_s, offset_s=offset_s, verified=verified, utc_s=utc_s
    )
