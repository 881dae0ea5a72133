"""Who may ask for what: the middleware in front of every page.

Host     the name a browser asks for must be one of ours (against DNS rebinding): an address, localhost, the name of
         this machine, or one of `allowed_hosts`.
Sign in  with a token configured, all but the login page and its style needs a session cookie or
         `Authorization: Bearer TOKEN`; without one everybody on this machine may look.
Forms    whatever changes something must come from our own page: Origin and Sec-Fetch-Site say so, and the form holds
         a token made from the browser's cookie. A Bearer token needs neither: no browser sends it by itself.
Foreign  other sites may link to a page, not embed its pictures or call it from scripts.
Size     a body is read before the application sees it, up to a limit and within a deadline.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from python_multipart.exceptions import FormParserError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgebnn.service.web.problems import problem, wants_page
from edgebnn.service.web.sessions import Attempts, Sessions, form_token, is_id, new_id
from edgebnn.service.web_settings import WebSettings

logger = logging.getLogger("edgebnn.web")

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
HOST = re.compile(r"(?:(?P<name>[a-z0-9._-]+)|\[(?P<ipv6>[0-9a-f:.]+)\])(?::[0-9]{1,5})?")
BODY_LIMIT = 64 * 1024  # bytes
BODY_DEADLINE_S = 10.0
ASK_AGAIN = '<!doctype html><meta http-equiv="refresh" content="0"><title>One moment</title>'
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; media-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: browsers then send `Origin: null` with forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class Gate:
    """The rules of one page: names, token, sessions, cookies."""

    def __init__(self, settings: WebSettings, *, state: Path | None = None, attempts: Attempts | None = None) -> None:
        """`state`: the file that keeps sessions over a restart."""
        self.settings = settings
        self.token = settings.token.get_secret_value() if settings.token else ""
        self.sessions = Sessions(self.token, days=settings.session_days, state=state) if self.token else None
        self.attempts = attempts or Attempts()
        name = socket.gethostname().lower()
        own = (settings.host, name, f"{name}.local", "localhost")
        self.hosts = {host.lower() for host in (*own, *settings.allowed_hosts)}

    @property
    def cookie_name(self) -> str:
        """Of this service alone: cookies of one machine are shared by its ports."""
        return f"edgebnn_{self.settings.port}"

    def cookie(self, session_id: str) -> str:
        """The Set-Cookie header of a session; an empty id ends it."""
        age = 86400 * self.settings.session_days if session_id else 0
        return f"{self.cookie_name}={session_id}; Max-Age={age}; Path=/; HttpOnly; SameSite=Strict"

    def is_token(self, given: str) -> bool:
        """Whether `given` is the token; takes as long for a nearly right one as for a wrong one."""
        return bool(self.token) and hmac.compare_digest(given.encode(), self.token.encode())

    def session_id(self, request: Request) -> str:
        """The id in the browser's cookie, open or not; empty without one."""
        found = request.cookies.get(self.cookie_name, "")
        return found if is_id(found) else ""

    def has_bearer(self, request: Request) -> bool:
        """Whether the request carries the right token; a wrong one counts as an attempt."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.token or self.attempts.wait_s(address(request)):
            return False
        if self.is_token(given.strip()):
            return True
        self.attempts.fail(address(request))
        return False

    def is_our_host(self, host: str) -> bool:
        """Whether a Host header names this page; an address always does, as nobody can rebind one."""
        found = HOST.fullmatch(host.lower())
        if found is None:
            return False
        name = (found["name"] or found["ipv6"]).rstrip(".")
        if name in self.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class Access:
    """ASGI middleware; `scope["state"]` of what it lets through has `form_token` (str) and `signed_in` (bool)."""

    def __init__(self, app: ASGIApp, *, gate: Gate, body_limits: Mapping[str, int]) -> None:
        """`body_limits`: bytes by path, where more than BODY_LIMIT is wanted."""
        self.app = app
        self.gate = gate
        self.body_limits = body_limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        session_id = self.gate.session_id(request)
        bearer = self.gate.has_bearer(request)
        fresh_id = "" if session_id or bearer or not wants_page(request) else new_id()
        state = scope.setdefault("state", {})
        state["form_token"] = form_token(session_id or fresh_id)
        state["signed_in"] = self.gate.sessions is None or bearer or self.gate.sessions.is_open(session_id)
        refusal = self._refuse_foreign(request)
        if refusal is None and fresh_id and _from_elsewhere(request):
            # A link on another site: browsers hold the cookie back, and ours must not replace the one they have.
            await HTMLResponse(ASK_AGAIN)(scope, receive, send)
            return
        refusal = refusal or self._refuse_stranger(request)
        if refusal is None and request.method not in SAFE_METHODS:
            try:
                body = await self._body(request)
            except HTTPException as error:
                refusal = problem(request, error.status_code, error.detail, headers={"Connection": "close"})
            else:
                if not bearer and not await self._is_our_form(Request(scope, _replay(body, receive)), session_id):
                    refusal = problem(request, 403, "This form is out of date: reload the page and send it again.")
                receive = _replay(body, receive)
        if fresh_id:
            send = _with_header(send, "Set-Cookie", self.gate.cookie(fresh_id))
        await (refusal or self.app)(scope, receive, send)

    def _refuse_foreign(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if not self.gate.is_our_host(host):
            return problem(
                request, 421, f"{host[:100]!r} is not a name of this page: add it to web.allowed_hosts if it should be."
            )
        linked = request.method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
        if _from_elsewhere(request) and not linked:
            return problem(request, 403, "Other sites may link to this page, not use it.")
        return None

    def _refuse_stranger(self, request: Request) -> Response | None:
        path = request.scope["path"]  # not request.url, which the Host header is a part of
        if request.state.signed_in or path == "/login" or path.startswith("/static/"):
            return None
        if wants_page(request):
            target = path if request.method in SAFE_METHODS else "/"
            return RedirectResponse(f"/login?next={quote(target)}", 303)
        return problem(request, 401, "Sign in first: POST the token to /login or send it as `Authorization: Bearer`.")

    async def _body(self, request: Request) -> bytes:
        """The whole body; HTTPException when it is too large, too slow or cut off."""
        limit = self.body_limits.get(request.scope["path"], BODY_LIMIT)
        too_large = HTTPException(413, f"At most {limit} bytes are taken here.")
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > limit:
            raise too_large
        body = bytearray()

        async def read() -> None:
            async for chunk in request.stream():
                body.extend(chunk)
                if len(body) > limit:
                    raise too_large

        try:
            await asyncio.wait_for(read(), BODY_DEADLINE_S + limit / 1e6)
        except asyncio.TimeoutError:
            raise HTTPException(408, "The rest of the request did not come.") from None
        except ClientDisconnect:
            raise HTTPException(400, "The request was cut off.") from None
        return bytes(body)

    async def _is_our_form(self, request: Request, session_id: str) -> bool:
        """Whether a page of ours sent this: the browser says so, and the form's token fits the browser's cookie."""
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != request.headers.get("host", "").lower():
            return False
        if request.scope["path"] == "/login":  # needs the one token there is: nobody gains by sending it for another
            return True
        given: object = request.headers.get("x-form-token")
        if given is None:
            try:
                async with request.form(max_files=4, max_fields=200) as form:
                    given = form.get("form_token")
            except (HTTPException, FormParserError):  # not what its content type says
                return False
        return (
            bool(session_id)
            and isinstance(given, str)
            and hmac.compare_digest(given.encode(), form_token(session_id).encode())
        )


class Envelope:
    """ASGI middleware around everything: security headers, and one sentence for what went wrong inside."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is what it goes around."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except FormParserError:
            answer = problem(Request(scope), 400, "The form is damaged.")
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            answer = problem(Request(scope), 500, "Something went wrong here; the log says what.")
        else:
            return
        if not started:
            await answer(scope, receive, send_with_headers)


def address(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


def _from_elsewhere(request: Request) -> bool:
    """Whether the browser says that another site made it ask."""
    return request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none")


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read before, then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_header(send: Send, name: str, value: str) -> Send:
    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if name not in headers:
                headers.append(name, value)
        await send(message)

    return send_with_header
