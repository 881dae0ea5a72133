"""POST /login swaps the token for a cookie; POST /logout ends the session."""

from __future__ import annotations

import logging
import math
import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from edgebnn.service.web.access import Gate, address
from edgebnn.service.web.pages import page
from edgebnn.service.web.problems import problem, wants_page

logger = logging.getLogger("edgebnn.web")
LOCAL_PATH = re.compile(r"/(?![/\\])[!-~]*")


def login_routes() -> list[Route]:
    """The routes; the rules are `request.app.state.gate`."""
    return [
        Route("/login", _form, methods=["GET"]),
        Route("/login", _login, methods=["POST"]),
        Route("/logout", _logout, methods=["POST"]),
    ]


async def _form(request: Request) -> Response:
    if request.state.signed_in:
        return RedirectResponse(_next(request), 303)
    return page(request, "login.html", next=_next(request))


async def _login(request: Request) -> Response:
    gate: Gate = request.app.state.gate
    if gate.sessions is None:
        return RedirectResponse(_next(request), 303)
    wait_s = math.ceil(gate.attempts.wait_s(address(request)))
    if wait_s:
        sentence = f"Too many wrong tokens: try again in {wait_s} s."
        return problem(request, 429, sentence, headers={"Retry-After": str(wait_s)})
    async with request.form(max_files=0, max_fields=10) as form:
        given = form.get("token")
    if not isinstance(given, str) or not gate.is_token(given.strip()):
        gate.attempts.fail(address(request))
        logger.warning("a wrong token from %s", address(request))
        if not wants_page(request):
            return problem(request, 401, "The token is wrong.")
        return page(request, "login.html", status=401, next=_next(request), wrong=True)
    session_id = gate.sessions.open()
    logger.info("signed in from %s", address(request))
    return RedirectResponse(_next(request), 303, headers={"Set-Cookie": gate.cookie(session_id)})


async def _logout(request: Request) -> Response:
    gate: Gate = request.app.state.gate
    if gate.sessions is not None:
        gate.sessions.close(gate.session_id(request))
    return RedirectResponse("/login", 303, headers={"Set-Cookie": gate.cookie("")})


def _next(request: Request) -> str:
    """Where to go after signing in: a path of this page, never another site."""
    path = request.query_params.get("next", "/")
    return path if LOCAL_PATH.fullmatch(path) and not path.startswith("/login") else "/"
