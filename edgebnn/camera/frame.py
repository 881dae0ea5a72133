"""What every source of pictures gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Frame:
    """One picture: RGB uint8 (H, W, 3).

    timestamp_ns: of a camera, when it was taken, on the monotonic clock; in a video, from its start; else 0.
    sequence: 0, 1, 2, ... as the source counts; a gap is a frame that was lost.
    """

    image: npt.NDArray[np.uint8]
    timestamp_ns: int
    sequence: int


class Source(Protocol):
    """Frames in order: `with source: for frame in source: ...`.

    Iterating raises InputError when a file cannot be read, UnavailableError when a camera cannot.
    """

    name: str

    def __enter__(self) -> Source:
        """Nothing is opened before the first frame is asked for."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the file or the camera."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Iterate from the start, once."""
        ...
