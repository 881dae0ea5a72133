"""Button and lamp through the real gpiozero, on its simulated pins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from edgebnn_alarm.button import Button
from edgebnn_alarm.light import PwmLight

gpiozero = pytest.importorskip("gpiozero", reason="needs gpiozero (in the extra dev)")


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from gpiozero.pins.mock import MockFactory, MockPWMPin

    factory = MockFactory(pin_class=MockPWMPin)
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory
    factory.close()


def until(condition: Callable[[], Any]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_press_and_a_long_press(pins: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Button, "HOLD_S", 0.1)
    done: list[str] = []
    button = Button(17, pressed=lambda: done.append("pressed"), held=lambda: done.append("held"))
    pin = pins.pin(17)
    assert pin.state and not done, "pulled up: nobody presses"
    pin.drive_low()
    until(lambda: done == ["pressed", "held"])
    pin.drive_high()
    button.close()


def test_a_button_that_is_stuck_from_the_start_is_not_pressed(pins: Any) -> None:
    pins.pin(17).drive_low()
    done: list[str] = []
    button = Button(17, pressed=lambda: done.append("pressed"), held=lambda: done.append("held"))
    assert not done
    pins.pin(17).drive_high()
    pins.pin(17).drive_low()
    until(lambda: done == ["pressed"])
    button.close()


def test_the_lamp_goes_with_the_square(pins: Any) -> None:
    lamp = PwmLight(18)
    for level, duty in ((0.5, 0.25), (1.0, 1.0), (0.0, 0.0)):
        lamp.set(level)
        assert pins.pin(18).state == pytest.approx(duty)
    lamp._lamp.close()
