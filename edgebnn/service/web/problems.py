"""What a client gets when something is wrong: a page for browsers, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edgebnn.service.web.pages import page


def wants_page(request: Request) -> bool:
    """Whether the client prefers HTML."""
    return "text/html" in request.headers.get("accept", "")


def problem(request: Request, status: int, sentence: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """`sentence` with an HTTP status: as a page, or as `{"error": sentence}`."""
    if not wants_page(request):
        return JSONResponse({"error": sentence}, status, headers=dict(headers or {}))
    try:
        heading = HTTPStatus(status).phrase
    except ValueError:
        heading = "Error"
    response = page(request, "problem.html", status=status, heading=heading, sentence=sentence)
    response.headers.update(headers or {})
    return response
