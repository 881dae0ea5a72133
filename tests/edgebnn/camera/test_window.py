from __future__ import annotations

import signal
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edgebnn.camera.window import Window
from edgebnn.errors import UnavailableError
from edgebnn.interrupts import Stop

PICTURE = np.zeros((48, 64, 3), np.uint8)


class Desktop:
    """OpenCV's windows in memory; `keys` are pressed one after another, `visible` is what the window system says."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.visible: list[float] = []
        self.shown: list[np.ndarray] = []
        self.open: set[str] = set()

    def install(self, monkeypatch: pytest.MonkeyPatch, *, gui: str = "QT5") -> None:
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr(
            cv2, "getBuildInformation", lambda: f"\n  GUI:                           {gui}\n    QT: YES\n"
        )
        monkeypatch.setattr(cv2, "namedWindow", lambda title, flags: self.open.add(title))
        monkeypatch.setattr(cv2, "resizeWindow", lambda title, width, height: None)
        monkeypatch.setattr(cv2, "imshow", lambda title, image: self.shown.append(image))
        monkeypatch.setattr(cv2, "waitKey", lambda ms: self.keys.pop(0) if self.keys else -1)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda title, what: self.visible.pop(0) if self.visible else 1.0)
        monkeypatch.setattr(cv2, "destroyWindow", self.open.discard)


@pytest.fixture
def desktop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    made = Desktop()
    made.install(monkeypatch)
    yield made


def test_pictures_are_shown_until_q_or_escape(desktop: Desktop) -> None:
    window = Window("faces", stop=Stop())
    assert not desktop.open
    red = PICTURE.copy()
    red[:, :, 0] = 250
    assert window.show(red) and desktop.open == {"faces"}
    assert desktop.shown[0][0, 0].tolist() == [0, 0, 250]  # as OpenCV wants it
    for key in (ord("q"), 27):
        desktop.keys = [key]
        assert not window.show(PICTURE)
    window.close()
    window.close()
    assert not desktop.open


def test_a_single_picture_waits_for_a_key(desktop: Desktop) -> None:
    desktop.keys = [-1, -1, ord("x")]
    assert Window("faces", stop=Stop()).show(PICTURE, wait=True) and desktop.keys == []


def test_a_signal_ends_the_wait(desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, waits = Stop(), []

    def wait_key(ms: int) -> int:
        waits.append(ms)
        stop.asked = signal.SIGTERM if len(waits) == 3 else None
        return -1

    monkeypatch.setattr(cv2, "waitKey", wait_key)
    assert Window("faces", stop=stop).show(PICTURE, wait=True) and len(waits) == 3


def test_a_closed_window_ends_it_where_the_system_can_tell(desktop: Desktop) -> None:
    window = Window("faces", stop=Stop())
    desktop.visible = [0.0, 1.0, 0.0]  # not yet there, there, closed
    assert window.show(PICTURE) and window.show(PICTURE) and not window.show(PICTURE)
    window = Window("faces", stop=Stop())
    desktop.visible = [-1.0] * 5
    assert all(window.show(PICTURE) for _ in range(5))


def test_a_display_that_refuses(desktop: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(title: str, flags: int) -> None:
        error = cv2.error("no")
        error.err = "Can't initialize\n backend"
        raise error

    monkeypatch.setattr(cv2, "namedWindow", refuse)
    with pytest.raises(UnavailableError, match="refuses a window: Can't initialize backend"):
        Window("faces", stop=Stop()).show(PICTURE)


def test_without_a_display_or_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    desktop = Desktop()
    desktop.install(monkeypatch)
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UnavailableError, match=r"needs a display.*--save"):
        Window("faces", stop=Stop())
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    Window("faces", stop=Stop())
    desktop.install(monkeypatch, gui="NONE")
    with pytest.raises(UnavailableError, match=r"OpenCV with windows.*pip uninstall opencv-python-headless"):
        Window("faces", stop=Stop())
