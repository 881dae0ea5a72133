"""The sunrise light on a GPIO pin; one that hangs on MQTT is driven by the monitor from `status`."""

from __future__ import annotations

from typing import Any, Protocol


class Light(Protocol):
    """A lamp of 0 to 1."""

    def set(self, level: float) -> None:
        """Shine so brightly; may raise anything, a broken lamp is not the clock's end."""


class NoLight:
    """No lamp is configured."""

    def set(self, level: float) -> None:
        """See Light."""


class PwmLight:
    """A lamp on a PWM pin, through gpiozero; made when first used."""

    def __init__(self, pin: int) -> None:
        """`pin`: BCM number."""
        self._pin = pin
        self._lamp: Any = None

    def set(self, level: float) -> None:
        """See Light. The eye sees ratios: the duty cycle goes with the square."""
        if self._lamp is None:
            if level == 0:
                return
            from gpiozero import PWMLED

            self._lamp = PWMLED(self._pin)
        self._lamp.value = level * level
