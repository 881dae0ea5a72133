"""A bed as an infrared camera sees it, drawn with numpy: what moves, how the light is, how noisy the sensor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HEIGHT, WIDTH = 240, 320
Image = npt.NDArray[np.uint8]


class Bedroom:
    """Frames (240, 320, 3) with a body at `x, y`, 120 x 90 pixels, in front of a patterned blanket."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        self.rows, self.columns = rows, columns
        self.room = 40 + 30 * np.sin(columns / 23) * np.cos(rows / 31) + self.random.normal(0, 6, (HEIGHT, WIDTH))
        self.body = 90 + self.random.normal(0, 10, (90, 120))
        self.x, self.y = 100, 60

    def frame(self, *, gain: float = 1, offset: float = 0, noise: float = 8, light: float | npt.NDArray = 1) -> Image:
        """One picture: noise, in grey levels at gain 1, is amplified with the picture, as in a sensor."""
        picture = self.room.astype(np.float32)
        picture[self.y : self.y + 90, self.x : self.x + 120] = self.body
        picture = (picture * light * gain + offset).astype(np.float32)
        picture += noise * gain * self.random.standard_normal(picture.shape, np.float32)
        return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)

    def lamp(self) -> npt.NDArray:
        """Light from the upper right corner, which no change of gain could imitate."""
        return 0.3 + 2.5 * np.exp(-((self.columns - 300) ** 2 + (self.rows - 20) ** 2) / 20_000)
