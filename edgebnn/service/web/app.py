"""The application object of a page: routes behind the access rules, with pages for errors, live values and metrics.

    app = make_app(
        [Route("/", home), Route("/stream.mjpg", hub.response), Route("/settings", change, methods=["POST"])],
        settings.web,
        title="Face detection",
        templates=Path(__file__).parent / "templates",
        live=lambda: {"fps": 9.8, "state": "streaming"},
    )
    with serve(app, settings.web) as server:
        print(server.url)

`home` is `async def home(request): return page(request, "home.html", events=...)`; a form in a template holds
`{{ forms.token(form_token) }}`; by the time a handler sees a POST it has been checked.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from edgebnn.service.metrics import Metrics
from edgebnn.service.web.access import Access, Envelope, Gate
from edgebnn.service.web.login import login_routes
from edgebnn.service.web.pages import HERE, make_templates
from edgebnn.service.web.problems import problem
from edgebnn.service.web_settings import WebSettings

SENTENCES = {404: "There is nothing here.", 405: "This cannot be done here."}


def make_app(
    routes: Sequence[BaseRoute],
    settings: WebSettings,
    *,
    title: str,
    version: str = "",
    navigation: Mapping[str, str] | None = None,
    templates: Path | None = None,
    static: Path | None = None,
    live: Callable[[], Mapping[str, Any]] | None = None,
    metrics: Metrics | None = None,
    state: Path | None = None,
    body_limits: Mapping[str, int] | None = None,
) -> Starlette:
    """A Starlette application with `routes` behind the access rules (access.py).

    version: of the software, shown below each page.
    navigation: path -> label of the links in the header.
    templates, static: folders of the application, over those of this package; /static/<name> is not secret.
    live: JSON values by name for GET /live, which live.js puts into elements with `data-live="name"`; called in the
        server's thread, so it must not block.
    metrics: served at GET /metrics.
    state: a file that keeps sign-ins over a restart.
    body_limits: bytes by path, where more than 64 KiB may be posted.
    """
    gate = Gate(settings, state=state)
    instance = secrets.token_hex(8)

    async def live_values(request: Request) -> Response:
        return JSONResponse({"instance": instance, "values": dict(live() if live else {})})

    async def metrics_text(request: Request) -> Response:
        assert metrics is not None
        text, media_type = metrics.text()
        return Response(text, headers={"Content-Type": media_type})

    own = [*login_routes(), Route("/live", live_values)]
    if metrics is not None:
        own.append(Route("/metrics", metrics_text))
    app = Starlette(
        routes=[*routes, *own, Mount("/static", _Static([*([static] if static else []), HERE / "static"]))],
        middleware=[
            Middleware(Envelope),
            Middleware(Access, gate=gate, body_limits=dict(body_limits or {})),
        ],
        exception_handlers={HTTPException: _http_problem},
    )
    app.state.gate = gate
    app.state.streams = set()
    app.state.templates = make_templates(
        [templates] if templates else [],
        static=[static] if static else [],
        title=title,
        version=version,
        navigation=navigation or {},
    )
    return app


class _Static(StaticFiles):
    """Files of several folders, the first that has one wins; browsers ask each time whether it changed."""

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__(directory=folders[0])
        self.all_directories = list(folders)

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return ("", None) if "\0" in path else super().lookup_path(path)

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = str(error.detail)
    if sentence == HTTPStatus(error.status_code).phrase:
        sentence = SENTENCES.get(error.status_code, sentence)
    return problem(request, error.status_code, sentence, headers=error.headers)
