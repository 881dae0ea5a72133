"""How loud it is and how much of it is snoring, from a microphone; no sound is kept.

Levels are in dB relative to a full-scale sine, plus a calibration offset if one is configured: a microphone without
calibration tells louder from quieter, not decibels of sound pressure.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgebnn.errors import UnavailableError

log = logging.getLogger("edgebnn.sleep")

SAMPLE_RATE = 16_000
BLOCK = 4096
"""Samples of one spectrum: a quarter of a second."""
SNORE_HZ = (60.0, 500.0)
"""Where most of the energy of snoring lies: fundamental and first harmonics (Pevernagie et al. 2010)."""
SILENCE_DB = -120.0
Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """Levels of a stretch of time, dB: mean energy, its loudest quarter second, mean energy from 60 to 500 Hz."""

    level_db: float
    peak_db: float
    snore_db: float


class SoundMeter:
    """Sums energies of blocks; `take` gives the levels since the last call. Safe to feed from another thread."""

    def __init__(self, *, offset_db: float = 0.0) -> None:
        """`offset_db`: what makes dB of full scale dB of sound pressure for this microphone."""
        self._offset_db = offset_db
        self._lock = threading.Lock()
        self._rest = np.zeros(0, np.float32)
        self._window = np.hanning(BLOCK).astype(np.float32)
        frequencies = np.fft.rfftfreq(BLOCK, 1 / SAMPLE_RATE)
        self._snore = (frequencies >= SNORE_HZ[0]) & (frequencies <= SNORE_HZ[1])
        self._blocks, self._energy, self._peak, self._snoring = 0, 0.0, 0.0, 0.0

    def feed(self, samples: Samples) -> None:
        """Take in mono samples, float32 within -1 to 1; what does not fill a block waits for more. NaN counts as 0."""
        with self._lock:
            waiting = np.concatenate([self._rest, np.nan_to_num(samples, posinf=1, neginf=-1)])
            count = len(waiting) // BLOCK
            for block in waiting[: count * BLOCK].reshape(count, BLOCK):
                self._add(block - block.mean())
            self._rest = waiting[count * BLOCK :]

    def _add(self, block: Samples) -> None:
        spectrum = np.abs(np.fft.rfft(block * self._window)) ** 2
        # Parseval: twice the one-sided sum over N * sum(window^2) is the mean square.
        scale = 2 / (BLOCK * float(self._window @ self._window))
        energy = float(block @ block) / BLOCK
        self._blocks += 1
        self._energy += energy
        self._peak = max(self._peak, energy)
        self._snoring += float(spectrum[self._snore].sum()) * scale

    def take(self) -> Sound | None:
        """Levels since the last call; None when less than a block came."""
        with self._lock:
            blocks, energy, peak, snoring = self._blocks, self._energy, self._peak, self._snoring
            self._blocks, self._energy, self._peak, self._snoring = 0, 0.0, 0.0, 0.0
        if blocks == 0:
            return None
        return Sound(self._decibel(energy / blocks), self._decibel(peak), self._decibel(snoring / blocks))

    def _decibel(self, mean_square: float) -> float:
        # A full-scale sine has the mean square 1/2.
        return max(SILENCE_DB, 10 * float(np.log10(max(2 * mean_square, 1e-12)))) + self._offset_db


class Stream(Protocol):
    """An open input that calls back with samples until it is closed; `active` is False once the device is gone."""

    @property
    def active(self) -> bool:
        """Whether samples still come."""
        ...

    def close(self) -> None:
        """Let go of the device."""
        ...


OpenStream = Callable[[Callable[[Samples], None]], Stream]


class Microphone:
    """A meter on an input that may vanish and return: `levels` reopens it, and says so once each time."""

    def __init__(self, open_stream: OpenStream, *, offset_db: float = 0.0) -> None:
        """Nothing is opened yet."""
        self._open = open_stream
        self._meter = SoundMeter(offset_db=offset_db)
        self._stream: Stream | None = None
        self.problem = ""

    def levels(self) -> Sound | None:
        """Sound since the last call; None while there is no microphone, whose `problem` then says why."""
        if self._stream is not None and not self._stream.active:
            self._stream.close()
            self._stream = None
            self._complain("the microphone went away")
        if self._stream is None:
            try:
                self._stream = self._open(self._meter.feed)
            except UnavailableError as error:
                self._complain(str(error))
            else:
                if self.problem:
                    log.warning("microphone is back")
                self.problem = ""
        return self._meter.take()

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("no sound is measured: %s", problem)
        self.problem = problem

    def close(self) -> None:
        """Let go of the device."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def open_sound_card(device: str) -> OpenStream:
    """An opener of `device`, "default" or a name as `python -m sounddevice` lists them."""

    def open_stream(feed: Callable[[Samples], None]) -> Stream:
        try:
            import sounddevice
        except (ImportError, OSError) as error:  # OSError: the package is there and libportaudio2 is not
            raise UnavailableError(f"sound input needs sounddevice and libportaudio2: {error}") from None

        def called(samples: Any, frames: int, time: Any, status: Any) -> None:
            feed(samples[:, 0].copy())

        try:
            stream = sounddevice.InputStream(
                device=None if device == "default" else device,
                samplerate=SAMPLE_RATE,
                channels=1,
                dtype="float32",
                blocksize=BLOCK,
                callback=called,
            )
            stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise UnavailableError(f"microphone {device!r} cannot be opened: {error}") from None
        return stream  # type: ignore[no-any-return]

    return open_stream
