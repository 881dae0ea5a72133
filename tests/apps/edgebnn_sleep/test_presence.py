"""Who lies in the bed: breathing in thumbnails, and where movement ends."""

from __future__ import annotations

import numpy as np
import pytest
from edgebnn_sleep.motion import Motion
from edgebnn_sleep.presence import EMPTY_S, RHYTHM_FOUND, Presence, Rhythm


def breathing(
    rate_hz: float, *, amplitude: float, noise: float = 1.0, seed: int = 0, sway: float = 0.0
) -> float | None:
    """Strength found in 32 s of a chest that moves by `amplitude` thumbnail pixels; `sway`: slow change of light."""
    random, rhythm = np.random.default_rng(seed), Rhythm()
    rows, columns = np.mgrid[:60, :80]
    for number in range(130):
        time_s = number / 4
        shift = amplitude * np.sin(2 * np.pi * rate_hz * time_s)
        grey = 40 + 60 * np.exp(-((columns - 40) ** 2 / 200 + (rows - 30 - shift) ** 2 / 60))
        grey += random.normal(0, noise, grey.shape) + sway * np.sin(2 * np.pi * 0.2 * time_s)
        rhythm.add(grey.astype(np.float32), time_s)
    return rhythm.strength()


@pytest.mark.parametrize("rate_hz", [0.15, 0.25, 0.4])
@pytest.mark.parametrize(("amplitude", "noise"), [(0.1, 1.0), (0.5, 3.0)])
def test_breathing_is_found(rate_hz, amplitude, noise):
    assert breathing(rate_hz, amplitude=amplitude, noise=noise) > 2 * RHYTHM_FOUND


@pytest.mark.parametrize("seed", range(20))
def test_an_empty_bed_does_not_breathe(seed):
    assert breathing(0.25, amplitude=0, seed=seed) < RHYTHM_FOUND


def test_light_that_sways_does_not_breathe():
    assert breathing(0.25, amplitude=0, sway=5) < RHYTHM_FOUND


def test_faster_movements_are_no_breathing():
    assert breathing(1.2, amplitude=0.5) < RHYTHM_FOUND


def test_half_a_minute_is_needed():
    rhythm = Rhythm()
    for number in range(100):
        rhythm.add(np.zeros((60, 80), np.float32), number / 4)
    assert rhythm.strength() is None
    rhythm.forget()
    assert rhythm.strength() is None


def still(duration_s: float = 1.0) -> Motion:
    return Motion(0, 0, 0, 1, False, duration_s)


def inside() -> Motion:
    return Motion(5, 0.1, 0, 1, False, 1.0)


def outside() -> Motion:
    return Motion(0, 0, 0.1, 1, False, 1.0)


def watch(presence: Presence, *moves: Motion, start_s: float = 0.0) -> float:
    for number, motion in enumerate(moves):
        presence.saw(motion, start_s + number)
    return start_s + len(moves)


def test_lying_down_and_leaving():
    presence = Presence()
    now_s = watch(presence, *[outside()] * 3, *[inside()] * 5)
    assert presence.state == "in_bed"
    now_s = watch(presence, *[still()] * 1000, start_s=now_s)
    assert presence.state == "in_bed", "stillness alone says nothing"
    now_s = watch(presence, inside(), inside(), outside(), *[still()] * 59, start_s=now_s)
    assert presence.state == "in_bed", "not yet"
    left_s = now_s - 60
    now_s = watch(presence, *[still()] * 541, start_s=now_s)
    assert presence.state == "out_of_bed"
    assert presence.out_for_s(left_s + 600) == pytest.approx(600)
    watch(presence, *[inside()] * 5, start_s=now_s)
    assert presence.state == "in_bed"
    assert presence.out_for_s(now_s + 6) == 0


def test_a_sleeper_whose_partner_leaves_still_breathes():
    presence = Presence()
    now_s = watch(presence, *[inside()] * 5, outside(), *[still()] * 30)
    presence.breathes(now_s)
    watch(presence, *[still()] * 300, start_s=now_s)
    assert presence.state == "in_bed"


def test_nothing_for_half_an_hour_is_an_empty_bed():
    presence = Presence()
    now_s = watch(presence, *[still()] * int(2 * EMPTY_S))
    assert presence.state == "unknown", "nobody looked for breathing"
    presence = Presence()
    watch(presence, still())
    presence.breathless(EMPTY_S - 1)
    assert presence.state == "unknown"
    presence.breathless(EMPTY_S)
    assert presence.state == "out_of_bed"
    assert presence.out_for_s(now_s) == now_s


def test_a_twitch_in_an_empty_bed_is_nobody():
    presence = Presence()
    watch(presence, still())
    presence.breathless(EMPTY_S)
    now_s = EMPTY_S
    watch(presence, inside(), *[still()] * 10, start_s=now_s)
    assert presence.state == "out_of_bed"


def test_without_a_camera_nothing_is_known():
    presence = Presence()
    watch(presence, *[inside()] * 5)
    presence.lost()
    assert presence.state == "unknown" and presence.out_for_s(1e9) == 0
