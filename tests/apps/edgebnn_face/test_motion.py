from __future__ import annotations

import sys

import numpy as np
import pytest
from edgebnn_face.motion import GRID, MotionGate
from edgebnn_face.region import cells

RNG = np.random.default_rng(0)
NOISE = RNG.normal(0, 1, (16, 240, 320, 1)).astype(np.float32)


@pytest.fixture(autouse=True, params=range(3))
def rng(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three different noises, the same whatever runs before."""
    monkeypatch.setattr(sys.modules[__name__], "RNG", np.random.default_rng(request.param))


def scene(x: float | None = None, *, noise: float = 4.0, light: float = 0.0) -> np.ndarray:
    """A noisy grey room of 320x240 with, or without, a face-sized thing at x."""
    y = np.linspace(60, 160, 240, dtype=np.float32)[:, None, None]
    image = y + np.float32(light) + np.float32(noise) * NOISE[RNG.integers(16)]
    if x is not None:
        image[100:120, int(x) : int(x) + 20] += 50
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8), 3, axis=2)


def opened(gate: MotionGate, images: list[np.ndarray], *, fps: float = 10, since_s: float = 0) -> list[bool]:
    return [gate.update(image, round((since_s + k / fps) * 1e9)) for k, image in enumerate(images)]


def test_opens_first_and_closes_when_nothing_moves() -> None:
    gate = MotionGate(hold_s=1)
    assert opened(gate, [scene() for _ in range(30)]) == [True] * 10 + [False] * 20


def test_without_a_hold_it_is_open_while_something_moves() -> None:
    gate = MotionGate(hold_s=0)
    assert opened(gate, [scene(), *[scene(50)] * 2, *[scene(90)] * 2])[0]
    assert not any(opened(gate, [scene(90)] * 100, since_s=1)[80:])
    assert all(opened(gate, [scene(150 + 20 * k) for k in range(4)], since_s=20))


@pytest.mark.parametrize("fps", [2, 10, 30])
def test_opens_for_what_moves_fast_or_slowly(fps: float) -> None:
    for pixels_per_s in (8, 200):
        gate = MotionGate(hold_s=0.5)
        still = opened(gate, [scene(50) for _ in range(int(4 * fps))], fps=fps)
        moving = [scene(50 + pixels_per_s * k / fps) for k in range(1, int(1.2 * fps) + 1)]
        assert not still[-1]
        assert opened(gate, moving, fps=fps, since_s=4)[-1]


def test_a_change_of_light_is_no_motion() -> None:
    gate = MotionGate(hold_s=0.5)
    opened(gate, [scene() for _ in range(20)])
    assert not any(opened(gate, [scene(light=4.0 * min(k, 8)) for k in range(20)], since_s=2))


@pytest.mark.parametrize("noise", [2, 4, 8, 12])
def test_noise_in_the_dark_is_no_motion(noise: float) -> None:
    gate = MotionGate(hold_s=0.5)
    opened(gate, [scene(noise=noise) for _ in range(20)])
    assert not any(opened(gate, [scene(noise=noise) for _ in range(150)], since_s=2))
    assert opened(gate, [scene(50, noise=noise)], since_s=18)[0]


def test_who_fills_the_picture_moves_too() -> None:
    gate = MotionGate(hold_s=0.5)
    opened(gate, [scene() for _ in range(20)])
    near = scene()
    near[:, :288] = np.clip(near[:, :288] + RNG.normal(30, 40, (240, 288, 1)).repeat(3, 2), 0, 255)
    assert opened(gate, [near], since_s=3)[0]


def test_motion_outside_of_the_region_does_not_count() -> None:
    right_half = cells([[(0.5, 0), (1, 0), (1, 1), (0.5, 1)]], *GRID)
    gate = MotionGate(hold_s=0.5, mask=right_half)
    opened(gate, [scene() for _ in range(20)])
    assert not any(opened(gate, [scene(50 + 5 * k) for k in range(10)], since_s=2))
    assert opened(gate, [scene(200 + 5 * k) for k in range(10)], since_s=3)[-1]


def test_a_thing_that_was_put_down_becomes_background() -> None:
    gate = MotionGate(hold_s=0.5)
    opened(gate, [scene() for _ in range(20)])
    states = opened(gate, [scene(150) for _ in range(100)], since_s=2)
    assert states[0] and not states[-1]


def test_forget_opens_again_and_any_size_is_taken() -> None:
    gate = MotionGate(hold_s=0.5)
    opened(gate, [scene() for _ in range(20)])
    gate.forget()
    assert gate.update(scene()[:33, :47], 10**10)
    assert gate.update(np.zeros((1, 1, 3), np.uint8), 10**10) in (True, False)
