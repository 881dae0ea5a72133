"""Sounds and fades, measured; WAV files, good and hostile."""

from __future__ import annotations

import array
import io
import math
import struct
import wave
from pathlib import Path

import pytest
from edgebnn_alarm.sounds import BUILT_IN, RATE_HZ, Fade, load_sound, made, read_wav, scaled
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebnn.errors import DataError


def rms(samples: array.array[int]) -> float:
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_sounds_are_loud_and_loop_without_a_click(name: str) -> None:
    sound = made(name)
    assert len(sound.samples) == BUILT_IN[name][0] * RATE_HZ
    assert 25_000 < max(map(abs, sound.samples)) <= 32_767 and rms(sound.samples) > 2500
    assert abs(sound.samples[0] - sound.samples[-1]) < 1500


def test_a_fade_is_even_in_decibels() -> None:
    fade = Fade(30, 0.01)
    levels = [20 * math.log10(fade.level(t)) for t in (0, 7.5, 15, 22.5, 30, 99)]
    assert levels == pytest.approx([-40, -30, -20, -10, 0, 0])
    assert Fade(0, 0).level(0) == 1 and 0 < Fade(10, 0).level(0) < 0.02
    assert rms(scaled(made("bell").samples, 0.1)) == pytest.approx(0.1 * rms(made("bell").samples), rel=0.01)


def write_wav(file: Path, *, width: int = 2, channels: int = 1, rate_hz: int = 8000, seconds: float = 0.5) -> None:
    with wave.open(str(file), "wb") as writer:
        writer.setparams((channels, width, rate_hz, 0, "NONE", ""))
        for i in range(int(seconds * rate_hz)):
            value = math.sin(2 * math.pi * 440 * i / rate_hz)
            sample = int(value * (2 ** (8 * width - 1) - 1))
            raw = struct.pack("B", sample + 128) if width == 1 else sample.to_bytes(4, "little", signed=True)[:width]
            writer.writeframes(raw * channels)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_files_of_every_width(tmp_path: Path, width: int, channels: int) -> None:
    write_wav(tmp_path / "a.wav", width=width, channels=channels)
    sound = load_sound("a", tmp_path)
    assert (sound.rate_hz, len(sound.samples)) == (8000, 4000)
    expected = [int(32_767 * math.sin(2 * math.pi * 440 * i / 8000)) for i in range(4000)]
    assert max(abs(a - b) for a, b in zip(sound.samples, expected, strict=True)) < (600 if width == 1 else 4)


def test_wav_files_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    write_wav(tmp_path / "short.wav", seconds=0.05)
    write_wav(tmp_path / "slow.wav", rate_hz=2000)
    with wave.open(str(tmp_path / "silent.wav"), "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(bytes(16_000))
    for name in ("text", "empty", "short", "slow", "silent", "none"):
        with pytest.raises(DataError, match=name):
            load_sound(name, tmp_path)
    with pytest.raises(DataError, match="no folder of sounds"):
        load_sound("rain", None)


def good_wav() -> bytes:
    with io.BytesIO() as memory, wave.open(memory, "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        writer.writeframes(array.array("h", [20_000, -20_000] * 500).tobytes())
        writer.close()
        return memory.getvalue()


GOOD = good_wav()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_changed_bytes_give_a_sound_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = tmp_path_factory.getbasetemp() / "changed.wav"
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    file.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        assert len(read_wav(file).samples) > 0
    except DataError as error:
        assert "\n" not in str(error)
