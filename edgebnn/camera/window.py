"""A window on the desktop that shows pictures."""

from __future__ import annotations

import os
import re

import cv2

from edgebnn.camera.frame import Image
from edgebnn.errors import UnavailableError
from edgebnn.interrupts import Stop

_ESCAPE = 27


class Window:
    """Opens with the first picture; the user closes it, or presses q or Escape."""

    def __init__(self, title: str, *, stop: Stop) -> None:
        """UnavailableError without a display, or with an OpenCV that has no windows."""
        gui = re.search(r"^\s*GUI:\s*(\S+)", cv2.getBuildInformation(), re.MULTILINE)
        if gui is not None and gui[1] == "NONE":
            raise UnavailableError(
                f"--show needs an OpenCV with windows, this one (cv2 {cv2.__version__}) has none: "
                "pip uninstall opencv-python-headless, then pip install opencv-python or apt install python3-opencv"
            )
        # Without a display Qt would end the process.
        if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
            raise UnavailableError(
                "--show needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set: run it on the desktop, or"
                " write pictures with --save DIR"
            )
        self._title = title
        self._stop = stop
        self._open = False
        self._visible = False

    def show(self, image: Image, *, wait: bool = False) -> bool:
        """Show an RGB picture, until a key is pressed or a signal comes if `wait`; whether the user wants to see more.

        UnavailableError when the display refuses.
        """
        try:
            if not self._open:
                cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
                cv2.resizeWindow(self._title, image.shape[1], image.shape[0])
                self._open = True
            cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            while True:
                key = cv2.waitKey(50 if wait else 1) & 0xFF
                visible = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1  # GTK: never, it cannot tell
                if key in (ord("q"), _ESCAPE) or (self._visible and not visible):
                    return False
                self._visible = visible
                if not wait or key != 0xFF or self._stop.asked is not None:
                    return True
        except cv2.error as error:
            raise UnavailableError(f"the display refuses a window: {' '.join(str(error.err).split())}") from None

    def close(self) -> None:
        """Close it if it is open."""
        if self._open:
            cv2.destroyWindow(self._title)
            self._open = False
