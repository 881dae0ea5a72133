"""SIGINT and SIGTERM: the first asks, the second acts as before, an ignored one stays ignored."""

from __future__ import annotations

import signal
import threading

import pytest

from edgebnn.interrupts import Stop, stopping

pytestmark = pytest.mark.usefixtures("interruptible")


def test_the_first_asks_and_the_second_acts_as_before() -> None:
    with stopping() as stop:
        assert stop.asked is None and stop.exit_code == 0
        signal.raise_signal(signal.SIGINT)
        assert stop.asked is signal.SIGINT and stop.exit_code == 130
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_afterwards_all_is_as_it_was() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.raises(ValueError), stopping() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.exit_code == 143
        raise ValueError
    assert {number: signal.getsignal(number) for number in before} == before


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stopping() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked is None
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked is signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_another_thread_leaves_signals_alone() -> None:
    seen: list[tuple[Stop, object]] = []

    def work() -> None:
        with stopping() as stop:
            seen.append((stop, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(Stop(), signal.default_int_handler)]
