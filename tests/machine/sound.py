"""What a machine without a sound card plays: ALSA's own file plugin in front of its null device."""

from __future__ import annotations

from array import array

from tests.machine.machine import Machine

RATE = 16000
FILE = "/var/lib/edgebnn/alarm/played.raw"
LEAST_PEAK = 2000
"""Of 32767: what is louder counts as heard."""
# Appended by a pipe: the plugin itself would begin the file anew with each program that plays.
CONFIGURATION = f"""
pcm.!default {{
  type plug
  slave {{ pcm recorder format S16_LE rate {RATE} channels 1 }}
}}
pcm.recorder {{
  type file
  slave.pcm "null"
  file "|cat >>{FILE}"
  format raw
}}
"""


def seconds_heard(machine: Machine, file: str = FILE) -> float:
    """Seconds of sound that was played so far, counted in tenths of a second that are not silent."""
    if not machine.path(file).exists():
        return 0.0
    octets = machine.path(file).read_bytes()
    played = array("h", octets[: len(octets) // 2 * 2])
    step = RATE // 10
    return sum(max(map(abs, played[at : at + step])) > LEAST_PEAK for at in range(0, len(played), step)) / 10
