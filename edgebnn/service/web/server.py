"""uvicorn in a thread, with a clean stop."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from types import TracebackType

import uvicorn
from starlette.applications import Starlette

from edgebnn.errors import UnavailableError
from edgebnn.service.web.protocol import LARGEST_HEAD, make_protocol
from edgebnn.service.web_settings import WebSettings

logger = logging.getLogger("edgebnn.web")

SEND_BUFFER = 256 * 1024  # bytes in the kernel per connection: what a slow watcher of a stream lags behind


def serve(app: Starlette, settings: WebSettings) -> Server:
    """Start to serve `app` in a thread; returns when connections are accepted. UnavailableError: the port is in use."""
    listener = _listen(settings)
    server = Server(app, settings, listener)
    server.start()
    return server


class Server:
    """A page that is served; `with serve(...) as server:` stops it at the end."""

    def __init__(self, app: Starlette, settings: WebSettings, listener: socket.socket) -> None:
        """`listener` is bound and listens."""
        self._app = app
        self._listener = listener
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self.port: int = port
        self.url = f"http://{shown}:{port}"
        config = uvicorn.Config(
            app,
            http=make_protocol(most=settings.max_connections),
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=LARGEST_HEAD,
        )
        self._uvicorn = uvicorn.Server(config)
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Run the thread."""
        self._thread.start()
        logger.info("the page is at %s", self.url)

    @property
    def alive(self) -> bool:
        """Whether the server's thread runs."""
        return self._thread.is_alive()

    def stop(self, *, timeout_s: float = 5.0) -> bool:
        """End streams, finish requests, close the port; whether all of it was done in time."""
        for stream in list(self._app.state.streams):
            stream.close()
        self._uvicorn.should_exit = True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            logger.warning("the page did not stop within %.0f s", timeout_s)
            return False
        return True

    def __enter__(self) -> Server:
        """The server runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops."""
        self.stop()

    def _run(self) -> None:
        try:
            self._uvicorn.run(sockets=[self._listener])
        except Exception:
            logger.exception("the page has failed")
        finally:
            self._listener.close()


def _listen(settings: WebSettings) -> socket.socket:
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UnavailableError(f"{where} is no address to listen on ({error}): change web.host") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # connections inherit it
        listener.bind(address)
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            cure = f"stop the program that has it (`ss -ltnp 'sport = :{settings.port}'` shows it) or change web.port"
            raise UnavailableError(f"{where} is in use: {cure}") from None
        if error.errno == errno.EACCES:
            raise UnavailableError(f"{where} is not allowed: set web.port to 1024 or more") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise UnavailableError(f"{where}: this machine does not have the address: change web.host") from None
        raise UnavailableError(f"cannot listen on {where}: {error}") from None
    return listener
