#!/usr/bin/env python3
"""Takes the screenshots of the sleep page: a simulated night with the real monitor and clock, in Chromium."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 1.5,
    "is_mobile": True,
    "has_touch": True,
    "color_scheme": "dark",
    "locale": "en-GB",
}
DESK = {"viewport": {"width": 1120, "height": 900}, "color_scheme": "light", "locale": "en-GB"}
NIGHT_MS = 900_000


def main() -> None:
    """Write sleep-{alarm,ringing}-phone.png, sleep-page.png and sleep-night.png into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/figures"))
    parser.add_argument("--speed", type=float, default=300)
    parser.add_argument("--seed", type=int, default=14)
    options = parser.parse_args()
    command = [sys.executable, "-u", "-m", "edgebnn_sleep.cli", "simulate", "night", "--port", "0"]
    command += ["--speed", str(options.speed), "--seed", str(options.seed)]
    night = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert night.stdout is not None
        url = next(line.split()[-1] for line in night.stdout if line.startswith("The page:"))
        with sync_playwright() as started:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            phone, desk = (browser.new_context(**view).new_page() for view in (PHONE, DESK))
            take(phone, desk, url, options.folder)
            browser.close()
    finally:
        night.send_signal(signal.SIGINT)
        night.wait(30)


def take(phone: Page, desk: Page, url: str, folder: Path) -> None:
    """The pictures in the order of the night."""

    def shot(page: Page, name: str, **how: Any) -> None:
        page.screenshot(path=folder / name, **how)
        print(folder / name)

    phone.goto(f"{url}/alarms/new")
    phone.fill("#name", "Work")
    phone.fill("#time", "06:30")
    phone.evaluate("document.activeElement.blur()")
    shot(phone, "sleep-alarm-phone.png", clip={"x": 0, "y": 0, "width": 390, "height": 1180}, full_page=True)
    phone.goto(url)
    phone.wait_for_selector("#ringing:not([hidden])", timeout=NIGHT_MS)
    phone.wait_for_selector("#tonight >> text=/Rang /")
    phone.wait_for_selector(".why:not(:empty)")
    desk.goto(url)
    shot(desk, "sleep-page.png", full_page=True)
    shot(phone, "sleep-ringing-phone.png")
    phone.click("#stop")
    phone.wait_for_selector("#tonight >> text=/Stopped /")
    desk.goto(f"{url}/nights")
    desk.click("main h2 a")
    desk.wait_for_selector(".night-chart")
    shot(desk, "sleep-night.png", full_page=True)


if __name__ == "__main__":
    main()
