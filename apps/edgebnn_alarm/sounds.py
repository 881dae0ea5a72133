"""Sounds as 16-bit mono PCM: three made from sine waves, others from WAV files; and the fade-in."""

from __future__ import annotations

import array
import functools
import math
import sys
import wave
from dataclasses import dataclass
from pathlib import Path

from edgebnn.errors import DataError

RATE_HZ = 22_050
MAX_SECONDS = 300
QUIETEST = 0.01
"""Level at which a fade from 0 begins: a geometric fade cannot begin at 0."""


@dataclass(frozen=True)
class Sound:
    """One turn of a sound that is played in a loop: `samples` of type 'h' at `rate_hz`."""

    name: str
    rate_hz: int
    samples: array.array[int]


@dataclass(frozen=True)
class Fade:
    """From `start_level` (amplitude, share of full level) to full level over `seconds`, evenly in decibels."""

    seconds: float
    start_level: float

    def level(self, after_s: float) -> float:
        """Amplitude 0 to 1, `after_s` seconds after the beginning."""
        if after_s >= self.seconds:
            return 1.0
        start = max(QUIETEST, self.start_level)
        return float(start ** (1 - max(0.0, after_s) / self.seconds))


AT_ONCE = Fade(0, 1)


def scaled(samples: array.array[int], level: float) -> array.array[int]:
    """The samples at a level of 0 to 1."""
    return samples if level >= 1 else array.array("h", [int(level * sample) for sample in samples])


def load_sound(name: str, folder: Path | None) -> Sound:
    """A sound of BUILT_IN, or of the file `name` or `name`.wav in `folder`; DataError when it cannot be had."""
    if name in BUILT_IN:
        return made(name)
    if folder is None:
        raise DataError(f"there is no sound {name!r} and no folder of sounds: expected {', '.join(BUILT_IN)}")
    file = next((file for file in (folder / name, folder / f"{name}.wav") if file.is_file()), folder / f"{name}.wav")
    return read_wav(file)


def read_wav(file: Path) -> Sound:
    """A WAV file of 8 to 32 bit PCM, channels averaged; DataError when it is none, silent or longer than 5 minutes."""
    try:
        with wave.open(str(file)) as reader:
            channels, width, rate_hz, frames = reader.getparams()[:4]
            if not 4_000 <= rate_hz <= 192_000 or frames > MAX_SECONDS * rate_hz or channels > 8:
                raise DataError(
                    f"{file}: expected 4 to 192 kHz, at most 8 channels and {MAX_SECONDS} s, got {rate_hz} Hz, "
                    f"{channels} channels, {frames / max(1, rate_hz):.0f} s"
                )
            raw = reader.readframes(frames)
    except DataError:
        raise
    except Exception as error:  # on damaged files wave raises RuntimeError, struct.error and more
        raise DataError(f"{file} cannot be read as a WAV file: {error or 'it is damaged'}") from None
    raw = raw[: len(raw) // (width * channels) * (width * channels)]
    if width == 1:  # unsigned
        samples = array.array("h", [(byte - 128) * 256 for byte in raw])
    else:  # the upper two bytes of each little-endian sample
        upper = bytearray(len(raw) // width * 2)
        upper[0::2], upper[1::2] = raw[width - 2 :: width], raw[width - 1 :: width]
        samples = array.array("h", bytes(upper))
        if sys.byteorder == "big":
            samples.byteswap()
    if channels > 1:
        parts = [samples[channel::channels] for channel in range(channels)]
        samples = array.array("h", [sum(frame) // channels for frame in zip(*parts, strict=True)])
    if len(samples) < rate_hz // 10 or max(map(abs, samples)) < 1000:
        raise DataError(f"{file}: expected at least 0.1 s of sound, it is shorter or silent")
    return Sound(file.name, rate_hz, samples)


@functools.cache
def made(name: str) -> Sound:
    """A sound of BUILT_IN."""
    seconds, notes = BUILT_IN[name]
    samples = [0.0] * int(seconds * RATE_HZ)
    for start_s, hertz, decay_s, length_s in notes:
        first = int(start_s * RATE_HZ)
        for i in range(min(int(length_s * RATE_HZ), len(samples) - first)):
            t = i / RATE_HZ
            envelope = min(1.0, t / 0.005, (length_s - t) / 0.005) * math.exp(-t / decay_s)
            turn = 2 * math.pi * hertz * t
            samples[first + i] += envelope * (math.sin(turn) + 0.3 * math.sin(2 * turn))
    peak = max(map(abs, samples))
    return Sound(name, RATE_HZ, array.array("h", [int(29_000 * sample / peak) for sample in samples]))


# name: (seconds of one turn, notes of (start s, frequency Hz, decay s, length s)). 500 to 2000 Hz: what small
# loudspeakers and ageing ears both have.
BUILT_IN: dict[str, tuple[float, tuple[tuple[float, float, float, float], ...]]] = {
    "bell": (2.0, ((0.0, 880.0, 0.5, 1.8), (0.0, 1318.5, 0.35, 1.2), (0.7, 880.0, 0.5, 1.2))),
    "chime": (
        3.0,
        ((0.0, 523.25, 0.6, 1.5), (0.5, 659.25, 0.6, 1.5), (1.0, 783.99, 0.6, 1.5), (1.5, 1046.5, 0.7, 1.5)),
    ),
    "beep": (1.0, ((0.0, 1000.0, 9.0, 0.1), (0.2, 1000.0, 9.0, 0.1), (0.4, 1000.0, 9.0, 0.1))),
}
