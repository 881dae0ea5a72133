"""The button on the clock, through gpiozero: edges only, so that one that is stuck never keeps an alarm quiet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Button:
    """A button between a pin and ground: a press does `pressed`, a press of `HOLD_S` does `held` as well.

    The callbacks come from gpiozero's thread.
    """

    HOLD_S = 3.0

    def __init__(self, pin: int, *, pressed: Callable[[], None], held: Callable[[], None]) -> None:
        """`pin`: BCM number. Raises what gpiozero raises, which is many things."""
        from gpiozero import Button as Pin

        self._pin: Any = Pin(pin, pull_up=True, bounce_time=0.05, hold_time=self.HOLD_S)
        self._pin.when_pressed = pressed
        self._pin.when_held = held

    def close(self) -> None:
        """Let go of the pin."""
        self._pin.close()
