"""The parts of pages in a real browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import pytest
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from edgebnn.service.live import LiveSettings
from edgebnn.service.settings import LIVE, Field, SecretStr, Settings
from edgebnn.service.web import Server, StreamHub, WebSettings, make_app, page, serve
from tests.edgebnn.service.conftest import wait_for
from tests.edgebnn.service.web.conftest import TOKEN

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}

HOME = """{% extends "base.html" %}
{% block content %}
<div class="columns">
<section class="card flush stream"><img data-stream="/stream.mjpg" alt="Live picture"></section>
<section class="card"><h1>Now</h1><span class="pill" data-live-state="state" data-live="state">starting</span>
<dl class="gauges">
<div class="gauge"><dt>Frames per second</dt><dd><span data-live="fps">0</span></dd></div>
<div class="gauge"><dt>Temperature</dt><dd><span data-live="temperature">?</span> <small>°C</small></dd></div>
</dl>
<meter id="load" data-live-value="load" min="0" max="1" aria-label="Load"></meter>
<p class="notice bad" id="away" data-live-show="away" hidden>The camera is away.</p></section>
<section class="card"><h2>Settings</h2>{{ forms.settings(fields, form_token, "/settings") }}</section>
<section class="card"><p class="notice warn">A warning</p><p class="notice good">All is well</p>
<p class="quiet">Quiet words</p><button class="danger">Stop</button></section>
</div>
{% endblock %}
"""


class Look(Settings):
    min_score: Annotated[float, LIVE] = Field(0.6, ge=0, le=1, description="Lowest score that counts as a face.")
    blur: Annotated[bool, LIVE] = Field(True, description="Blurred faces.")
    mode: Annotated[Literal["day", "night"], LIVE] = Field("day", description="The mode.")
    note: Annotated[str, LIVE] = Field("", max_length=20, description="A note.")


class Demo:
    """A page with everything on it, that can be stopped and started again."""

    def __init__(self, folder: Path, *, token: str | None = None) -> None:
        (folder / "home.html").write_text(HOME)
        (folder / "demo.toml").write_text("")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.folder = folder
        self.settings = WebSettings(port=port, token=SecretStr(token) if token else None)
        self.live = LiveSettings(folder / "demo.toml", Look, state=folder / "changes.json")
        self.values: dict[str, Any] = {
            "state": "streaming",
            "fps": 9.8,
            "temperature": None,
            "load": 0.5,
            "away": False,
        }
        self.brightness = 0
        self.hub: StreamHub[int]
        self.server: Server
        self._ended = threading.Event()
        self.start()
        self._camera = threading.Thread(target=self._publish)
        self._camera.start()

    def start(self) -> None:
        self.hub = StreamHub(_picture)
        app = make_app(
            [
                Route("/", self._home),
                Route("/stream.mjpg", self.hub.response),
                Route("/settings", self._change, methods=["POST"]),
            ],
            self.settings,
            title="Test page",
            version="1.2.3",
            navigation={"/": "Live", "/nights": "Nights"},
            templates=self.folder,
            live=lambda: self.values,
            state=self.folder / "sessions.json",
        )
        self.server = serve(app, self.settings)

    def stop(self) -> None:
        assert self.server.stop(timeout_s=20)

    def end(self) -> None:
        self._ended.set()
        self._camera.join()
        self.stop()

    def _publish(self) -> None:
        while not self._ended.wait(0.02):
            self.brightness = (self.brightness + 16) % 256
            self.hub.publish(self.brightness)

    async def _home(self, request: Request) -> Response:
        return page(request, "home.html", fields=self.live.fields())

    async def _change(self, request: Request) -> Response:
        async with request.form() as form:
            self.live.change({key: value for key, value in form.multi_items() if key != "form_token"})
        return RedirectResponse("/", 303)


def _picture(brightness: int) -> bytes:
    return cv2.imencode(".jpg", np.full((120, 160, 3), brightness, np.uint8))[1].tobytes()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """`open_page(url, ...)`: a page in a window of its own; at the end nothing may have gone wrong in the console."""
    contexts, complaints = [], []

    def complain(message: Any) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def open_one(url: str, **options: Any) -> Any:
        context = chromium.new_context(**options)
        contexts.append(context)
        opened = context.new_page()
        opened.on("console", complain)
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(url)
        return opened

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    running = Demo(tmp_path)
    yield running
    running.end()


@pytest.fixture
def signed_in(tmp_path: Path, open_page: Callable[..., Any]) -> Iterator[tuple[Demo, Any]]:
    """A page with a token, and a browser that has typed it."""
    running = Demo(tmp_path, token=TOKEN)
    try:
        opened = open_page(running.server.url)
        opened.fill("#token", TOKEN)
        opened.keyboard.press("Enter")
        opened.wait_for_selector("#setting-mode")
        yield running, opened
    finally:
        running.end()


def until(opened: Any, expression: str) -> None:
    """Until JavaScript is true; wait_for_function cannot be used, it needs eval, which the page's policy forbids."""
    wait_for(lambda: opened.wait_for_timeout(20) or opened.evaluate(expression), expression)


def pixel(opened: Any) -> int:
    """The brightness in the middle of the stream's picture."""
    value = opened.evaluate(
        """() => {
          const canvas = document.createElement("canvas"), image = document.querySelector("[data-stream]");
          const draw = canvas.getContext("2d");
          draw.drawImage(image, 0, 0, 1, 1);
          return draw.getImageData(0, 0, 1, 1).data[0];
        }"""
    )
    assert isinstance(value, int)
    return value


def test_the_picture_moves_and_values_live(demo: Demo, open_page: Callable[..., Any]) -> None:
    opened = open_page(demo.server.url, viewport=PHONE)
    until(opened, "document.querySelector('[data-stream]').naturalWidth === 160")
    seen: set[int] = set()
    wait_for(lambda: opened.wait_for_timeout(20) or seen.add(pixel(opened)) or len(seen) > 5, "a picture that moves")
    until(opened, "document.querySelector('[data-live=fps]').textContent === '9.8'")
    assert opened.text_content("[data-live=temperature]") == "–"
    assert opened.evaluate("document.querySelector('#load').value") == 0.5
    assert opened.is_hidden("#away")
    demo.values = {**demo.values, "away": True, "state": "camera_lost", "temperature": "<b>51</b>"}
    until(opened, "!document.querySelector('#away').hidden")
    assert opened.get_attribute(".pill", "data-state") == "camera_lost"
    assert opened.text_content("[data-live=temperature]") == "<b>51</b>"  # text, not markup


def test_it_comes_back_after_a_restart(demo: Demo, open_page: Callable[..., Any]) -> None:
    opened = open_page(demo.server.url)
    until(opened, "document.querySelector('[data-live=fps]').textContent === '9.8'")
    demo.stop()
    until(opened, "!document.querySelector('#lost').hidden")
    demo.values = {**demo.values, "fps": 3.3}
    demo.start()
    until(opened, "document.querySelector('#lost').hidden")
    until(opened, "document.querySelector('[data-live=fps]').textContent === '3.3'")
    wait_for(lambda: opened.wait_for_timeout(20) or demo.hub.watched, "the stream asked for again")
    seen: set[int] = set()
    wait_for(lambda: opened.wait_for_timeout(20) or seen.add(pixel(opened)) or len(seen) > 3, "a picture that moves")
    opened.fill("#setting-note", "still mine")  # the form of before the restart is good
    opened.click("text=Save")
    wait_for(lambda: opened.wait_for_timeout(20) or demo.live.current.note == "still mine", "the change")


def test_signing_in_changing_settings_and_out(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    demo = Demo(tmp_path, token=TOKEN)
    try:
        opened = open_page(demo.server.url)
        assert opened.url.endswith("/login?next=/") and opened.is_hidden("nav")
        opened.fill("#token", TOKEN)
        opened.keyboard.press("Enter")
        opened.wait_for_selector("#setting-mode")
        assert opened.evaluate("document.cookie") == ""  # HttpOnly
        opened.fill("#setting-min_score", "0.25")
        opened.uncheck("#setting-blur")
        opened.select_option("#setting-mode", "night")
        opened.click("text=Save")
        opened.wait_for_selector("text=changed")
        assert demo.live.current == Look(min_score=0.25, blur=False, mode="night")
        demo.stop()
        demo.start()  # the session outlives it
        opened.goto(demo.server.url)
        assert opened.input_value("#setting-min_score") == "0.25" and not opened.is_checked("#setting-blur")
        opened.click("text=Sign out")
        opened.wait_for_selector("#token")
        opened.goto(demo.server.url)
        assert opened.url.endswith("/login?next=/")
    finally:
        demo.end()


def test_a_session_that_ends_leads_to_the_login(signed_in: tuple[Demo, Any]) -> None:
    demo, opened = signed_in
    demo.stop()
    (demo.folder / "sessions.json").unlink()
    demo.start()
    opened.wait_for_selector("#token")


def test_a_link_on_another_site_finds_one_still_signed_in(signed_in: tuple[Demo, Any]) -> None:
    demo, opened = signed_in
    link = f'<a href="{demo.server.url}/">my camera</a>'
    opened.context.route("http://other.test/", lambda route: route.fulfill(content_type="text/html", body=link))
    opened.goto("http://other.test/")
    opened.click("text=my camera")
    opened.wait_for_selector("#setting-mode")


def test_another_site_cannot_use_the_page(demo: Demo, open_page: Callable[..., Any], chromium: Any) -> None:
    """A foreign page in the same browser: its form is refused, its image stays empty, its frame too."""
    context = chromium.new_context()
    foreign = context.new_page()
    url = demo.server.url
    form = f'<form method="post" action="{url}/settings"><input name="note" value="evil"></form>'
    body = f'<img src="{url}/stream.mjpg"><iframe src="{url}/"></iframe>{form}'
    context.route("http://evil.test/", lambda route: route.fulfill(content_type="text/html", body=body))
    foreign.goto("http://evil.test/")
    until(foreign, "document.querySelector('img').complete")
    assert foreign.evaluate("document.querySelector('img').naturalWidth") == 0
    assert "Now" not in (foreign.frames[1].content() if len(foreign.frames) > 1 else "")
    with foreign.expect_navigation() as navigation:
        foreign.evaluate("document.forms[0].submit()")
    assert navigation.value.status == 403 and demo.live.current.note == ""
    context.close()


# Looks


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = ([r, g, b]) => [r, g, b]
    .map(value => value / 255).map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    return "white";
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("[hidden], .skip, .hidden, option")) continue;
    const [light, dark] = [getComputedStyle(element).color, behind(element)]
      .map(colour => luminance(rgba(colour))).sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) found.push(`${element.tagName} "${element.textContent.trim()}" ${ratio.toFixed(2)}`);
  }
  return found;
}"""


@pytest.mark.parametrize("theme", ["light", "dark", "night"])
def test_words_can_be_read_in_all_colours(demo: Demo, open_page: Callable[..., Any], theme: str) -> None:
    """WCAG 2.2 AA: contrast of 4.5 or more."""
    opened = open_page(demo.server.url, viewport=DESKTOP, reduced_motion="reduce")
    opened.select_option("#theme", theme)
    opened.evaluate("document.querySelector('#away').hidden = false")
    assert opened.evaluate(CONTRAST) == []
    opened.reload()
    assert opened.evaluate("document.documentElement.dataset.theme") == theme  # kept in this browser


def test_colours_follow_the_system(demo: Demo, open_page: Callable[..., Any]) -> None:
    def ground(scheme: str) -> str:
        opened = open_page(demo.server.url, color_scheme=scheme)
        return str(opened.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert ground("light") == "rgb(244, 246, 246)" and ground("dark") == "rgb(15, 21, 20)"


def test_at_night_the_screen_is_dark(demo: Demo, open_page: Callable[..., Any]) -> None:
    opened = open_page(demo.server.url, viewport=PHONE)
    opened.select_option("#theme", "night")
    opened.evaluate("document.querySelector('.stream').hidden = true")
    picture = cv2.imdecode(np.frombuffer(opened.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.mean() < 20 and picture[..., 0].mean() < 0.7 * picture[..., 2].mean()  # dim, little blue


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out_and_fingers_hit(demo: Demo, open_page: Callable[..., Any], width: int) -> None:
    opened = open_page(demo.server.url, viewport={"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    small = opened.evaluate(
        """() => [...document.querySelectorAll("button, select, input:not([type=hidden]), nav a")]
          .filter(e => e.checkVisibility())
          .map(e => [e.id || e.textContent, e.getBoundingClientRect()])
          .filter(([, box]) => box.height < 32 || box.width < 44).map(([name]) => name)"""
    )
    assert small == []


def test_keyboard_and_names(demo: Demo, open_page: Callable[..., Any]) -> None:
    opened = open_page(demo.server.url, viewport=DESKTOP)
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.textContent") == "To the content"
    assert opened.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    opened.keyboard.press("Tab")
    assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    unnamed = opened.evaluate(
        """() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea, img, meter")]
          .filter(e => !(e.labels?.length || e.getAttribute("aria-label") || e.hasAttribute("alt")))
          .map(e => e.outerHTML)"""
    )
    assert unnamed == []
    assert opened.evaluate("document.documentElement.lang") == "en" and opened.title() == "Test page"
