"""`python -m edgebnn_alarm.sounddevice_output RATE_HZ [DEVICE]`: plays 16-bit mono PCM from standard input.

A process of its own, so that a hanging or crashing sound library cannot take the clock along.
"""

from __future__ import annotations

import os
import sys


def play(rate_hz: int, device: str) -> None:
    """Play standard input to its end."""
    import sounddevice

    chosen = int(device) if device.isdigit() else device or None
    with sounddevice.RawOutputStream(
        samplerate=rate_hz, channels=1, dtype="int16", device=chosen, latency=0.2
    ) as stream:
        odd = b""
        while piece := os.read(0, rate_hz // 25 * 2):
            piece = odd + piece
            whole = len(piece) // 2 * 2
            stream.write(piece[:whole])
            odd = piece[whole:]


def main() -> int:
    """One sentence on standard error, and 1, when there is no sound."""
    try:
        play(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
    except Exception as error:  # PortAudioError cannot be named where PortAudio is not installed
        print(f"sounddevice cannot play: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
