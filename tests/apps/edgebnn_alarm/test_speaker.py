"""The speaker: goes on to the next output whatever the first one does; what aplay plays is measured from the file."""

from __future__ import annotations

import array
import importlib.util
import math
import os
import shutil
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from edgebnn_alarm import outputs as outputs_module
from edgebnn_alarm.outputs import Beeper, Output, OutputError, Program, open_output
from edgebnn_alarm.sounds import AT_ONCE, RATE_HZ, Fade
from edgebnn_alarm.speaker import Speaker


def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, f"{what} did not happen"
        time.sleep(0.005)


class Memory:
    """An output in memory, which fails as it is told."""

    def __init__(self, fails_after: int | None = None) -> None:
        self.fails_after, self.pieces, self.closed = fails_after, list[bytes](), False

    def write(self, pcm: bytes, *, loud: bool) -> None:
        if self.fails_after is not None and len(self.pieces) >= self.fails_after:
            raise OutputError("it was unplugged")
        self.pieces.append(pcm)

    def close(self) -> None:
        self.closed = True


class Rack:
    """Outputs by name; None cannot be opened, an exception is raised as it is."""

    def __init__(self, **outputs: Memory | Exception | None) -> None:
        self.outputs = outputs
        self.opened: list[str] = []

    def open(self, spec: str, rate_hz: int) -> Output:
        self.opened.append(spec)
        output = self.outputs[spec]
        if isinstance(output, Exception):
            raise output
        if output is None:
            raise OutputError("no such device")
        return output


def test_it_plays_a_loop_at_the_pace_of_time_until_silenced() -> None:
    output = Memory()
    speaker = Speaker(["a"], open_output=Rack(a=output).open)
    began_s = time.monotonic()
    speaker.play("beep", AT_ONCE)
    until(lambda: len(output.pieces) > 35, "more than one turn of the sound")
    took_s = time.monotonic() - began_s
    assert took_s > 35 * 0.04 - 0.5, "it does not run ahead of time"
    assert speaker.state.output == "a" and not speaker.state.silent
    speaker.silence()
    speaker.join(5)
    assert output.closed and not speaker.state.playing
    samples = array.array("h", b"".join(output.pieces))
    assert samples[: RATE_HZ // 10] == samples[RATE_HZ : RATE_HZ + RATE_HZ // 10]


def test_the_next_output_when_one_cannot_be_opened_breaks_or_raises_anything() -> None:
    good = Memory()
    rack = Rack(none=None, unplugged=Memory(fails_after=12), strange=ZeroDivisionError("boom"), good=good)
    speaker = Speaker(["none", "unplugged", "strange", "good"], open_output=rack.open)
    speaker.play("bell", Fade(10, 0.1))
    until(lambda: speaker.state.output == "good", "the last output")
    assert [failure.split(":")[0] for failure in speaker.state.failures] == ["none", "unplugged", "strange"]
    speaker.silence()
    speaker.join(5)


def test_all_outputs_are_tried_again_and_silence_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebnn_alarm.speaker.RETRY_S", 0.01)
    rack = Rack(a=None, b=None)
    speaker = Speaker(["a", "b"], open_output=rack.open)
    speaker.play("bell", AT_ONCE)
    until(lambda: len(rack.opened) > 6, "three rounds")
    assert speaker.state.silent
    rack.outputs["b"] = Memory()  # plugged in again
    until(lambda: speaker.state.output == "b", "sound")
    assert not speaker.state.silent
    speaker.silence()
    speaker.join(5)


def test_an_unknown_sound_is_the_bell() -> None:
    output = Memory()
    speaker = Speaker(["a"], open_output=Rack(a=output).open)
    speaker.play("rain", AT_ONCE)
    until(lambda: any(map(any, output.pieces)), "sound")
    assert any("bell is played instead" in failure for failure in speaker.state.failures)
    speaker.silence()
    speaker.join(5)


def test_a_program_that_ends_hangs_or_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs_module, "STUCK_S", 0.3)
    with pytest.raises(OutputError, match="cannot be started"):
        Program(["/no/such/program"])
    ends = Program([sys.executable, "-c", "import sys; sys.exit('no card')"])
    with pytest.raises(OutputError, match="no card"):
        for _ in range(1000):
            ends.write(bytes(4000), loud=True)
    ends.close()
    hangs = Program([sys.executable, "-c", "import time; time.sleep(100)"])
    with pytest.raises(OutputError, match="took no sound"):
        for _ in range(1000):
            hangs.write(bytes(4000), loud=True)
    before_s = time.monotonic()
    hangs.close()
    assert time.monotonic() - before_s < 2


def test_a_beeper_gets_tones_and_silence(tmp_path: Path) -> None:
    fifo = tmp_path / "event"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    beeper = Beeper(str(fifo))
    for loud in (True, True, False, True):
        beeper.write(b"", loud=loud)
    beeper.close()
    events = list(struct.iter_unpack("@llHHi", os.read(reader, 9999)))
    os.close(reader)
    assert [event[4] for event in events if event[2] == 0x12 and event[3] == 2] == [2500, 0, 2500, 0]
    with pytest.raises(OutputError, match="cannot be opened"):
        Beeper(str(tmp_path / "none"))


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    for _ in range(5):
        speaker = Speaker(["a"], open_output=Rack(a=Memory()).open)
        speaker.play("beep", AT_ONCE)
        speaker.play("bell", AT_ONCE)
        speaker.silence()
        speaker.join(5)
    until(lambda: threading.active_count() <= before, "the end of all threads")


# -- what was played, measured from the file that ALSA wrote


def alsa_to_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ALSA's default device writes a file instead of sounding."""
    file = folder / "played.raw"
    (folder / "asound.conf").write_text(
        f'pcm.!default {{ type plug slave.pcm "recorder" }}\n'
        f'pcm.recorder {{ type file slave.pcm "paced" file "{file}" format "raw" }}\n'
        f"pcm.paced {{ type null }}\n"
    )
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(folder / "asound.conf"))
    return file


def loudness(file: Path, *, from_s: float, seconds: float, rate_hz: int = RATE_HZ) -> float:
    samples = array.array("h", file.read_bytes()[: file.stat().st_size // 2 * 2])
    part = samples[int(from_s * rate_hz) : int((from_s + seconds) * rate_hz)]
    return math.sqrt(sum(sample * sample for sample in part) / max(1, len(part)))


@pytest.mark.skipif(shutil.which("aplay") is None, reason="needs aplay (Debian: alsa-utils)")
def test_aplay_plays_the_fade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = alsa_to_file(tmp_path, monkeypatch)
    speaker = Speaker(["aplay"])
    speaker.play("bell", Fade(4, 0.05))
    until(lambda: file.exists() and file.stat().st_size > 2 * 2 * RATE_HZ * 3.2, f"3 s of sound ({speaker.state})")
    speaker.silence()
    speaker.join(5)
    first, second = loudness(file, from_s=0, seconds=0.6), loudness(file, from_s=2, seconds=0.6)
    assert first > 50, "it is silent"
    # One turn of the bell is 2 s: the same part a turn later is louder by 2 s of 4 s of 26 dB.
    assert 20 * math.log10(second / first) == pytest.approx(13, abs=1)


@pytest.mark.skipif(
    importlib.util.find_spec("sounddevice") is None or shutil.which("aplay") is None,
    reason="needs sounddevice and ALSA",
)
def test_sounddevice_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = alsa_to_file(tmp_path, monkeypatch)
    output = open_output("sounddevice", RATE_HZ)
    tone = array.array("h", [int(20_000 * math.sin(i / 5)) for i in range(RATE_HZ // 10)]).tobytes()
    try:
        for _ in range(200):
            output.write(tone, loud=True)
            if file.exists() and file.stat().st_size > len(tone) * 3:
                break
    except OutputError as error:
        if "PortAudio library not found" in str(error) or "Error querying device" in str(error):
            pytest.skip(f"PortAudio finds no device: {error}")
        raise
    finally:
        output.close()
    assert max(map(abs, array.array("h", file.read_bytes()[: file.stat().st_size // 2 * 2]))) > 10_000
