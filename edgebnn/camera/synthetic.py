"""A camera for tests: the bundled photograph's face wandering over a background, and faults on demand."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.camera.clock import Clock, Pace
from edgebnn.camera.frame import Frame, Image
from edgebnn.errors import InputError, UnavailableError
from edgebnn.samples import annotation, photograph

BAD = ("empty", "dtype", "shape", "size")
_HEAD = (110, 0, 228, 250)
"""x, y, width and height of head and shoulders in the photograph."""


@dataclass(frozen=True)
class Scene:
    """What a synthetic camera shows and when it fails; frames are counted from 1 through its whole life."""

    width: int = 640
    height: int = 480
    fps: float = 15.0
    """Frames per second; 0: each frame waits until it is asked for."""
    frames: int = 0
    """It ends after so many; 0: never."""
    faces: int = 1
    size: float = 0.35
    """Height of a face as a share of the picture's; less where the picture has no room for it."""
    shown: int = 0
    """The faces are there for so many frames, then away for `hidden`, and so on; 0: always there."""
    hidden: int = 0
    noise: int = 2
    """Mean of the sensor's noise, in grey levels; with 0 and no face each frame is the same."""
    missing: int = 0
    """So many openings fail at first."""
    lost_after: int = 0
    """The camera is lost after so many frames; 0: never."""
    lost_for: int = 0
    """Openings that fail when it was lost, before one succeeds."""
    stuck_after: int = 0
    """The camera repeats this frame; 0: never."""
    stuck_for: int = 0
    """How often it does; 0: for ever."""
    hang_after: int = 0
    """The camera blocks for ever after so many frames, once; 0: never."""
    bad_every: int = 0
    """Each frame whose number is a multiple of this is none; 0: never."""
    bad: str = "empty"
    """What such a frame is: one of BAD."""


_LIMITS: dict[str, tuple[float, float]] = {
    "width": (16, 8192),
    "height": (16, 8192),
    "fps": (0, 1000),
    "faces": (0, 32),
    "size": (0.01, 1),
    "noise": (0, 60),
}


def parse_scene(options: Mapping[str, str], *, width: int = 640, height: int = 480, fps: float = 15.0) -> Scene:
    """A scene from `name=value` options over these defaults; InputError names the option that is wrong."""
    kinds = {field.name: field.type for field in fields(Scene)}
    values: dict[str, float | int | str] = {"width": width, "height": height, "fps": fps}
    for name, text in options.items():
        if name not in kinds:
            raise InputError(f"expected options out of {', '.join(kinds)}, got {name!r}: check its name")
        if kinds[name] == "str":
            if text not in BAD:
                raise InputError(f"expected {name} out of {', '.join(BAD)}, got {text!r}")
            values[name] = text
            continue
        low, high = _LIMITS.get(name, (0, 10**9))
        try:
            value = int(text) if kinds[name] == "int" else float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            kind = "a whole number" if kinds[name] == "int" else "a number"
            raise InputError(f"expected {name} as {kind} between {low:g} and {high:g}, got {text!r}")
        values[name] = value
    return Scene(**values)  # type: ignore[arg-type]


class Synthetic:
    """The camera of a scene. What it counts goes on when it is opened again."""

    def __init__(self, scene: Scene, *, name: str = "synthetic:", clock: Clock | None = None) -> None:
        """Draw the background; nothing is opened yet."""
        self.name = name
        self.scene = scene
        self.paced = scene.fps > 0
        self.openings = 0
        self.given = 0
        self.woken = threading.Event()
        """Ends the blocking of `hang_after` (in a test, so that no thread is left behind)."""
        self._clock = clock or Clock()
        self._absent = scene.missing
        self._hung = False
        self._painter = _Painter(scene)

    def __enter__(self) -> Synthetic:
        """Nothing to open before the first frame."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    def boxes(self, number: int) -> npt.NDArray[np.float64]:
        """Where the faces of frame `number` (from 1) are: (n, 4) of x, y, width, height, drawn as in WIDER FACE."""
        return self._painter.boxes(number)

    def picture(self, number: int) -> Image:
        """Frame `number` (from 1), without faults."""
        return self._painter.paint(number)

    @property
    def live(self) -> bool:
        """A camera, until all frames of the scene were given."""
        return not 0 < self.scene.frames <= self.given

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; UnavailableError while the camera is missing, and when it is lost."""
        self.openings += 1
        if self._absent > 0:
            self._absent -= 1
            raise UnavailableError("the synthetic camera is missing: wait until it is back")
        scene = self.scene
        pace = Pace(self._clock)
        sequence = 0
        while self.live:
            if scene.fps > 0:
                pace.wait(round(1e9 / scene.fps))
            self.given += 1
            yield Frame(self._image(self.given), self._clock.now_ns(), sequence)
            sequence += 1
            if self.given == scene.hang_after and not self._hung:
                self._hung = True
                self.woken.wait()
            if self.given == scene.lost_after:
                self._absent = scene.lost_for
                raise UnavailableError("the synthetic camera was unplugged: wait until it is back")

    def _image(self, number: int) -> Image:
        scene = self.scene
        if (
            scene.stuck_after
            and number >= scene.stuck_after
            and (scene.stuck_for == 0 or number <= scene.stuck_after + scene.stuck_for)
        ):
            number = scene.stuck_after
        image = self._painter.paint(number)
        if scene.bad_every and number % scene.bad_every == 0:
            return _spoilt(image, scene.bad)
        return image


def _spoilt(image: Image, how: str) -> Image:
    spoilt: npt.NDArray[np.generic]
    if how == "empty":
        spoilt = np.empty((0, 0, 3), np.uint8)
    elif how == "dtype":
        spoilt = image.astype(np.float32)
    elif how == "shape":
        spoilt = image[:, :, 0]
    else:
        spoilt = image[: image.shape[0] // 2]
    return spoilt  # type: ignore[return-value]


class _Painter:
    """Frames of a scene by their number: a frame depends on nothing else."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        width, height = scene.width, scene.height
        rng = np.random.default_rng(1)
        coarse = rng.integers(70, 130, (6, 8, 1)) + rng.integers(0, 25, (6, 8, 3))
        self._background: Image = cv2.resize(coarse.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        self._noise = rng.integers(0, 2 * scene.noise + 1, (height + 29, width + 31, 3), dtype=np.uint8)
        x, y, w, h = _HEAD
        picture = cv2.cvtColor(cv2.imread(str(photograph())), cv2.COLOR_BGR2RGB)[y : y + h, x : x + w]
        face = np.array(annotation()["box"], np.float64)
        column = width / max(1, scene.faces)
        scale = min(scene.size * height / face[3], 0.8 * column / w, 0.8 * height / h)
        size = (max(1, round(w * scale)), max(1, round(h * scale)))
        self._head = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        self._face = (face - [x, y, 0, 0]) * [size[0] / w, size[1] / h, size[0] / w, size[1] / h]
        oval = np.zeros((h, w), np.float32)
        cv2.ellipse(oval, (w // 2, h // 2), (w // 2 - 16, h // 2 - 16), 0, 0, 360, 1.0, cv2.FILLED)
        self._opacity = cv2.resize(cv2.GaussianBlur(oval, (31, 31), 0), size, interpolation=cv2.INTER_AREA)[:, :, None]

    def boxes(self, number: int) -> npt.NDArray[np.float64]:
        boxes = [self._face + np.array([*corner, 0, 0]) for corner in self._corners(number)]
        return np.array(boxes).reshape(-1, 4)

    def paint(self, number: int) -> Image:
        scene = self._scene
        right, down = number * 7 % 31, number * 11 % 29
        noise = self._noise[down : down + scene.height, right : right + scene.width]
        image: Image = cv2.add(self._background, noise) if scene.noise else self._background.copy()
        height, width = self._head.shape[:2]
        for x, y in self._corners(number):
            under = image[y : y + height, x : x + width]
            under[:] = under + (self._head - under) * self._opacity
        return image

    def _corners(self, number: int) -> list[tuple[int, int]]:
        """Of the heads: each wanders in a column of its own."""
        scene = self._scene
        if scene.shown and (number - 1) % (scene.shown + scene.hidden) >= scene.shown:
            return []
        height, width = self._head.shape[:2]
        column = scene.width / max(1, scene.faces)
        corners = []
        for face in range(scene.faces):
            phase = number / 20 + 2.4 * face
            x = face * column + (column - width) * (0.5 + 0.5 * math.sin(phase))
            y = (scene.height - height) * (0.5 + 0.5 * math.sin(0.7 * phase + 1))
            corners.append((min(round(x), scene.width - width), round(y)))
        return corners
