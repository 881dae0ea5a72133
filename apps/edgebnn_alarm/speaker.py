"""The speaker: a thread that plays a sound in a loop on the first output that works, the next one when it fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edgebnn_alarm.outputs import Output, OutputError, open_output
from edgebnn_alarm.sounds import Fade, Sound, load_sound, made, scaled

LOG = logging.getLogger("edgebnn.alarm.speaker")
PIECE_S = 0.04
AHEAD_S = 0.3
"""So much is written before it is due; a device that takes sound faster than time is not followed."""
RETRY_S = 2.0
"""When every output has failed, they are tried again after so long, for as long as it rings."""


@dataclass(frozen=True)
class SpeakerState:
    """What the speaker does: the output that takes sound, or None; why others failed since it began."""

    playing: bool = False
    output: str | None = None
    failures: tuple[str, ...] = field(default=())

    @property
    def silent(self) -> bool:
        """It should sound, and no output takes any."""
        return self.playing and self.output is None and bool(self.failures)


class Player(Protocol):
    """What the clockwork needs of a speaker; calls return at once and raise nothing."""

    @property
    def state(self) -> SpeakerState:
        """What it does."""

    def play(self, name: str, fade: Fade) -> None:
        """Play a sound in a loop, from the beginning, instead of what played."""

    def silence(self) -> None:
        """Be silent at once."""

    def join(self, timeout_s: float) -> None:
        """Wait for the last sound to have ended."""


class Speaker:
    """Plays one sound at a time. Calls return at once; what goes wrong is in `state`, never raised."""

    def __init__(
        self,
        outputs: Sequence[str],
        folder: Path | None = None,
        *,
        open_output: Callable[[str, int], Output] = open_output,
    ) -> None:
        """`outputs` in the order they are tried, see outputs.open_output; `folder` of WAV files."""
        self._outputs, self._folder, self._open_output = tuple(outputs), folder, open_output
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._state = SpeakerState()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> SpeakerState:
        """A consistent look at what it does."""
        with self._lock:
            return self._state

    def prepare(self) -> None:
        """Make the default sound now, so that the first ring does not wait for it."""
        threading.Thread(target=made, args=("bell",), name="sounds", daemon=True).start()

    def play(self, name: str, fade: Fade) -> None:
        """Play from the beginning, instead of what played."""
        self.silence()
        self._stop = threading.Event()
        with self._lock:
            self._state = SpeakerState(playing=True)
        arguments = (name, fade, self._stop)
        self._thread = threading.Thread(target=self._run, args=arguments, name="speaker", daemon=True)
        self._thread.start()

    def silence(self) -> None:
        """Be silent at once."""
        self._stop.set()
        with self._lock:
            self._state = SpeakerState()

    def join(self, timeout_s: float) -> None:
        """Wait for the last sound to have ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self, name: str, fade: Fade, stop: threading.Event) -> None:
        try:
            sound = load_sound(name, self._folder)
        except Exception as error:  # DataError; whatever else it is, something has to sound
            sound = made("bell")
            self._note(stop, f"{error}; bell is played instead")
        began_s = time.monotonic()
        while not stop.is_set():
            for spec in self._outputs:
                if stop.is_set():
                    return
                try:
                    self._play_on(spec, sound, fade, began_s, stop)
                except OutputError as error:
                    self._note(stop, f"{spec}: {error}")
                except Exception as error:  # whatever an output does, the next one gets its turn
                    LOG.exception("output %s", spec)
                    self._note(stop, f"{spec}: {error!r}")
            stop.wait(RETRY_S)

    def _play_on(self, spec: str, sound: Sound, fade: Fade, began_s: float, stop: threading.Event) -> None:
        output = self._open_output(spec, sound.rate_hz)
        try:
            size = max(1, int(PIECE_S * sound.rate_hz))
            piece_s = size / sound.rate_hz
            start_s, sent_s, position = time.monotonic(), 0.0, 0
            while not stop.is_set():
                piece = sound.samples[position : position + size]
                while len(piece) < size:
                    piece += sound.samples[: size - len(piece)]
                at_s = start_s + sent_s - began_s
                output.write(scaled(piece, fade.level(at_s)).tobytes(), loud=at_s % 1 < 0.5)
                position = (position + size) % len(sound.samples)
                sent_s += piece_s
                if sent_s > AHEAD_S:  # it survived the first pieces
                    self._playing_on(stop, spec)
                stop.wait(max(0.0, start_s + sent_s - AHEAD_S - time.monotonic()))
        finally:
            output.close()

    def _playing_on(self, stop: threading.Event, spec: str) -> None:
        with self._lock:
            if stop is self._stop and not stop.is_set() and self._state.output != spec:
                self._state = SpeakerState(True, spec, self._state.failures)

    def _note(self, stop: threading.Event, failure: str) -> None:
        LOG.warning("%s", failure)
        with self._lock:
            if stop is self._stop and not stop.is_set():
                failures = tuple(dict.fromkeys([*self._state.failures, failure]))[-8:]
                self._state = SpeakerState(True, None, failures)
