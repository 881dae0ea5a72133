"""A small application behind a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgebnn.service.metrics import Metrics
from edgebnn.service.settings import SecretStr
from edgebnn.service.web import Server, StreamHub, WebSettings, make_app, page, serve

TOKEN = "correct-horse-battery"
HTML = {"Accept": "text/html"}


class Site:
    """An application under test: its server, what was posted to it, its stream of bytes."""

    def __init__(self, server: Server, hub: StreamHub[bytes], posted: list[dict[str, str]]) -> None:
        self.server = server
        self.hub = hub
        self.posted = posted
        self.url = server.url
        self._clients: list[httpx.Client] = []
        self._program = self.browser()
        del self._program.headers["Accept"]

    def browser(self) -> httpx.Client:
        """A client that keeps cookies, asks for pages and does not follow redirects."""
        client = httpx.Client(base_url=self.url, headers=HTML, timeout=20, verify=False, trust_env=False)
        self._clients.append(client)
        return client

    def signed_in(self) -> httpx.Client:
        client = self.browser()
        assert client.post("/login", data={"token": TOKEN}).status_code == 303
        return client

    def ask(self, path: str, method: str = "GET", **request: Any) -> httpx.Response:
        """One request of a program, without cookies of earlier ones."""
        self._program.cookies.clear()
        headers = {name: value.encode("latin-1") for name, value in request.pop("headers", {}).items()}
        return self._program.request(method, path, headers=headers, **request)

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        assert self.server.stop()


def cookie_header(client: httpx.Client) -> dict[str, str]:
    """The cookies of a browser, to be sent by hand."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}


def form_token(client: httpx.Client, path: str = "/") -> str:
    """What a form on the page holds."""
    found = re.search(r'name="form_token" value="(\w+)"', client.get(path).text)
    assert found
    return found[1]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """`start(token=..., ...)`: a running site; the keywords are settings of the page."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "home.html").write_text(
        '{% extends "base.html" %}{% block content %}<h1>Home</h1>'
        '<form method="post" action="/post">{{ forms.token(form_token) }}<input name="x"></form>{% endblock %}'
    )
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "own.css").write_text("p { color: red; }")
    (tmp_path / "secret.txt").write_text("not for browsers")
    running: list[Site] = []

    def start_site(*, state: Path | None = None, port: int = 0, **values: object) -> Site:
        if "token" in values:
            values["token"] = SecretStr(str(values["token"]))
        settings = WebSettings.model_validate({"port": port, **values})
        posted: list[dict[str, str]] = []

        async def home(request: Request) -> Response:
            return page(request, "home.html")

        async def post(request: Request) -> Response:
            body = await request.body()
            if request.headers.get("content-type", "").startswith("application/json"):
                posted.append(json.loads(body))
            else:
                async with request.form() as form:
                    posted.append({key: str(value) for key, value in form.items()})
            return JSONResponse({"received": len(body)})

        async def fail(request: Request) -> Response:
            raise RuntimeError("a bug")

        async def refuse(request: Request) -> Response:
            raise HTTPException(409, "Somebody else did that.")

        hub = StreamHub[bytes](lambda picture: picture)
        metrics = Metrics("test")
        metrics.counter("frames", "Frames.").inc(7)
        app = make_app(
            [
                Route("/", home),
                Route("/post", post, methods=["POST"]),
                Route("/import", post, methods=["POST"]),
                Route("/fail", fail),
                Route("/refuse", refuse),
                Route("/stream", hub.response),
            ],
            settings,
            title="Test",
            version="1.2.3",
            navigation={"/": "Home", "/other": "Other"},
            templates=tmp_path / "templates",
            static=tmp_path / "static",
            live=lambda: {"fps": 9.5, "nothing": None},
            metrics=metrics,
            state=state,
            body_limits={"/import": 1_000_000},
        )
        site = Site(serve(app, settings), hub, posted)
        running.append(site)
        return site

    yield start_site
    for site in running:
        site.stop()
