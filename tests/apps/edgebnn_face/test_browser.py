"""The page in a real browser, on a desk and on a phone."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.apps.edgebnn_face.process import running, until

TOKEN = "correct horse battery staple"
PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}


def config(port: int, *, stream: bool = True) -> str:
    return f"""
[camera]
source = "synthetic:?width=320&height=240&fps=15&shown=60&hidden=30"
[picture]
stream = {str(stream).lower()}
[presence]
enter_after_s = 0.1
leave_after_s = 0.3
[web]
port = {port}
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def opened(chromium: Any, url: str, **options: Any) -> tuple[Any, list[str]]:
    """A page, and what goes wrong in it."""
    page = chromium.new_context(**options).new_page()
    page.set_default_timeout(60_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(url)
    return page, problems


def shot(page: Any) -> np.ndarray:
    """The live picture as it is on the screen (BGR)."""
    data = page.locator("#stream").screenshot()
    picture: np.ndarray = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return picture


def has_box(picture: np.ndarray) -> bool:
    """Whether a long, straight, saturated line is there."""
    saturated = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)[:, :, 1] > 90
    return bool(saturated.sum(axis=1).max() > 0.15 * picture.shape[1])


def differs(page: Any, before: np.ndarray) -> bool:
    now = shot(page)
    return now.shape == before.shape and (now != before).any()


def test_the_picture_moves_boxes_appear_and_all_comes_back_after_a_restart(
    tmp_path: Path, chromium: Any, port: int
) -> None:
    with running(tmp_path, config(port)) as face:
        page, problems = opened(chromium, face.url)
        until(lambda: page.evaluate("document.getElementById('stream').naturalWidth") == 320, face)
        before = shot(page)
        until(lambda: differs(page, before), face)
        until(lambda: has_box(shot(page)), face)
        until(lambda: page.locator("#count").inner_text() == "1", face)
        assert "Person 1 came" in page.locator("#events").inner_text()
        until(lambda: "left after" in page.locator("#events").inner_text(), face)
        assert float(page.locator("[data-live=fps]").inner_text()) > 0
        assert not problems
        face.stop()
    until(lambda: page.locator("#lost").is_visible())
    with running(tmp_path, config(port)) as face:
        until(lambda: not page.locator("#lost").is_visible(), face)
        before = shot(page)
        until(lambda: differs(page, before), face)
        page.close()
        assert face.stop() == 0


def test_on_a_phone_nothing_is_cut_off_and_the_picture_is_switched_on(tmp_path: Path, chromium: Any, port: int) -> None:
    environ = {"EDGEBNN_WEB_TOKEN": TOKEN}
    with running(tmp_path, config(port, stream=False), environ=environ) as face:
        page, problems = opened(chromium, face.url, **PHONE)
        page.fill("#token", TOKEN)
        page.click("button.primary")
        page.wait_for_url(f"{face.url}/")
        assert page.locator("text=The picture is off").is_visible()
        page.click("text=Show the picture")
        page.wait_for_selector("#stream")
        until(lambda: page.evaluate("document.getElementById('stream').naturalWidth") == 320, face)
        for path in ("/", "/settings", "/snapshots"):
            page.goto(face.url + path)
            assert page.evaluate("document.documentElement.scrollWidth") == 360, path
            targets = page.locator("main button:visible, main input:visible, nav a:visible, summary:visible")
            heights = [targets.nth(k).bounding_box()["height"] for k in range(targets.count())]
            assert min(heights) >= 24 and sorted(heights)[len(heights) // 2] >= 44, path
        page.goto(f"{face.url}/settings")
        page.fill("[name='detection.min_size']", "4000")
        page.click("text=Save")
        page.wait_for_selector("text=Saved")
        until(lambda: face_count(page, face.url) == "0", face)
        page.goto(f"{face.url}/settings")
        page.click("text=Back to the file's values")
        page.wait_for_selector("text=Saved")
        page.goto(face.url)
        page.wait_for_selector("text=The picture is off")  # as the file says
        assert not problems
        page.close()
        assert face.stop() == 0


def test_why_there_is_no_camera_is_said_also_without_the_picture(tmp_path: Path, chromium: Any, port: int) -> None:
    with running(tmp_path, f'[camera]\nsource = "synthetic:?missing=1000"\n[web]\nport = {port}\n') as face:
        page, problems = opened(chromium, face.url)
        until(lambda: page.locator("text=Camera lost: the synthetic camera is missing").is_visible(), face)
        assert not problems
        page.close()
        assert face.stop() == 0


def face_count(page: Any, url: str) -> str:
    page.goto(url)
    text: str = page.locator("#count").inner_text()
    return text
