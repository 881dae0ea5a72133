"""What every source of pictures gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


class Frame:
    """One picture, RGB uint8 (H, W, 3), shared by all who look at it: nobody writes into it.

    timestamp_ns: of a camera, when it was taken, on the monotonic clock; in a video, from its start; else 0.
    sequence: 0, 1, 2, ... as the source counts; a gap is a frame that was lost.
    small: the same view in fewer pixels, for a model, where the camera makes one beside `image`; else `image` itself.
    """

    __slots__ = ("_image", "_size", "_small", "sequence", "timestamp_ns")

    def __init__(
        self,
        image: Image | Callable[[], Image],
        timestamp_ns: int,
        sequence: int,
        *,
        small: Image | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        """`image` may be a function that fetches it when it is first asked for; then `size` is its (width, height)."""
        self._image = image
        self._size = size
        self._small = small
        self.timestamp_ns = timestamp_ns
        self.sequence = sequence

    @property
    def image(self) -> Image:
        """The picture at full size; who has no need of it spares a copy of it by not asking."""
        return self._image() if callable(self._image) else self._image

    @property
    def small(self) -> Image:
        """The picture for a model."""
        return self.image if self._small is None else self._small

    @property
    def width(self) -> int:
        """Of `image`, in pixels."""
        return self.image.shape[1] if self._size is None else self._size[0]

    @property
    def height(self) -> int:
        """Of `image`, in pixels."""
        return self.image.shape[0] if self._size is None else self._size[1]

    def numbered(self, sequence: int) -> Frame:
        """The same picture under another number."""
        return Frame(self._image, self.timestamp_ns, sequence, small=self._small, size=self._size)


class Source(Protocol):
    """Frames in order: `with source: for frame in source: ...`; again from a new opening, as often as wanted.

    Iterating raises InputError when a file cannot be read, UnavailableError when a camera is not there or goes away.
    A frame that arrived but could not be decoded is one of no pixels.
    """

    @property
    def name(self) -> str:
        """As its user wrote it, without a password."""
        ...

    @property
    def live(self) -> bool:
        """A camera, which is lost when its frames end; else a file."""
        ...

    @property
    def paced(self) -> bool:
        """Frames come at their own rate, so that who is slow misses some; else each waits until it is asked for."""
        ...

    def __enter__(self) -> Source:
        """Nothing is opened before the first frame is asked for."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the file or the camera."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Open it and yield its frames."""
        ...


def fault(image: object) -> str | None:
    """Why `image` is none that a frame may hold: "empty", "dtype", "shape"; None when it is one."""
    if not isinstance(image, np.ndarray):
        return "shape"
    if image.size == 0:
        return "empty"
    if image.dtype != np.uint8:
        return "dtype"
    return None if image.ndim == 3 and image.shape[2] == 3 else "shape"
