"""Sound levels of generated samples, by the meter and through the microphone that may vanish."""

from __future__ import annotations

import numpy as np
import pytest
from edgebnn_sleep.sound import BLOCK, SAMPLE_RATE, SILENCE_DB, Microphone, SoundMeter, open_sound_card

from edgebnn.errors import UnavailableError


def tone(hertz: float, amplitude: float = 1.0, seconds: float = 4.096) -> np.ndarray:
    time_s = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time_s)).astype(np.float32)


def measure(samples: np.ndarray, **options):
    meter = SoundMeter(**options)
    meter.feed(samples)
    return meter.take()


@pytest.mark.parametrize(("amplitude", "level_db"), [(1.0, 0.0), (0.1, -20.0), (0.001, -60.0)])
def test_level_of_a_tone(amplitude, level_db):
    sound = measure(tone(1000, amplitude))
    assert sound.level_db == pytest.approx(level_db, abs=0.05)
    assert sound.peak_db == pytest.approx(level_db, abs=0.05)
    assert sound.snore_db < level_db - 40


def test_snoring_band():
    assert measure(tone(200, 0.1)).snore_db == pytest.approx(-20, abs=0.1)
    assert measure(tone(200, 0.1) + tone(3000, 0.5)).snore_db == pytest.approx(-20, abs=0.3)


def test_white_noise_fills_the_band_by_its_width():
    noise = np.random.default_rng(1).normal(0, 0.1, SAMPLE_RATE * 8).astype(np.float32)
    sound = measure(noise)
    assert sound.level_db == pytest.approx(-20 + 3.01, abs=0.2)
    assert sound.snore_db - sound.level_db == pytest.approx(10 * np.log10(440 / 8000), abs=0.3)


def test_a_clap_shows_in_the_peak():
    quiet = np.zeros(SAMPLE_RATE * 8, np.float32)
    quiet[20_000 : 20_000 + BLOCK] = tone(900, 0.5, BLOCK / SAMPLE_RATE)[:BLOCK]
    sound = measure(quiet)
    assert sound.peak_db > sound.level_db + 10


def test_silence_and_a_constant_voltage():
    assert measure(np.zeros(BLOCK, np.float32)).level_db == SILENCE_DB
    assert measure(np.full(BLOCK, 0.5, np.float32)).level_db == SILENCE_DB


def test_calibration():
    assert measure(tone(1000, 0.1), offset_db=94).level_db == pytest.approx(74, abs=0.05)


def test_pieces_of_any_length_sum_up():
    samples = np.random.default_rng(2).normal(0, 0.1, BLOCK * 6).astype(np.float32)
    meter, at = SoundMeter(), 0
    for length in (1, 100, BLOCK, 3, 9000, 10**6):
        meter.feed(samples[at : at + length])
        at += length
    assert meter.take().level_db == pytest.approx(measure(samples).level_db, abs=1e-6)
    assert meter.take() is None


def test_damaged_samples_do_not_spread():
    samples = tone(1000, 0.1)
    samples[100] = np.nan
    samples[200] = np.inf
    assert np.isfinite(measure(samples).level_db)


class Card:
    """A sound card in memory: it may be absent, and may be pulled out."""

    def __init__(self) -> None:
        self.present, self.opened, self.closed = True, 0, 0
        self.active = False

    def open(self, feed):
        if not self.present:
            raise UnavailableError("no such device")
        self.feed, self.active = feed, True
        self.opened += 1
        return self

    def close(self) -> None:
        self.active = False
        self.closed += 1


def test_microphone_comes_and_goes(caplog):
    card = Card()
    card.present = False
    microphone = Microphone(card.open)
    assert microphone.levels() is None and microphone.levels() is None
    assert microphone.problem == "no such device"
    assert caplog.text.count("no such device") == 1, "said once"
    card.present = True
    assert microphone.levels() is None and microphone.problem == ""
    card.feed(tone(1000, 0.1))
    assert microphone.levels().level_db == pytest.approx(-20, abs=0.05)
    card.active = False  # pulled out
    card.present = False
    assert microphone.levels() is None and microphone.problem
    card.present = True
    microphone.levels()
    assert card.opened == 2 and card.closed == 1
    microphone.close()
    assert card.closed == 2


def test_no_such_sound_card():
    with pytest.raises(UnavailableError, match=r"cannot be opened|needs sounddevice"):
        open_sound_card("no such card, surely")(lambda samples: None)
