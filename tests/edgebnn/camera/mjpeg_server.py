"""An MJPEG camera on loopback, as network cameras serve it: real HTTP, killed and brought back at will."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

from edgebnn.camera.synthetic import Scene, Synthetic

BOUNDARY = "next"


class MjpegServer:
    """Serves http://127.0.0.1:PORT/stream; with `password`, only to user:password.

    quiet_after: it stops sending after so many frames but keeps the connection. spoil: changes the bytes of a frame.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        password: str | None = None,
        quiet_after: int | None = None,
        spoil: Callable[[int, bytes], bytes] = lambda number, jpeg: jpeg,
    ) -> None:
        self.scene = Synthetic(Scene(width=320, height=240, size=0.6))
        self._stop = threading.Event()
        self._sockets: list[socket.socket] = []
        wanted = None if password is None else "Basic " + base64.b64encode(f"user:{password}".encode()).decode()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if wanted is not None and self.headers.get("Authorization") != wanted:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                server._sockets.append(self.connection)
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
                self.end_headers()
                number = 0
                while not server._stop.wait(0.02):
                    number += 1
                    if quiet_after is not None and number > quiet_after:
                        continue
                    jpeg = spoil(number, server.jpeg(number))
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    try:
                        self.wfile.write(head.encode() + jpeg + b"\r\n")
                    except OSError:
                        return

            def log_message(self, *arguments: object) -> None: ...

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def jpeg(self, number: int) -> bytes:
        data: np.ndarray = cv2.imencode(".jpg", cv2.cvtColor(self.scene.picture(number), cv2.COLOR_RGB2BGR))[1]
        return data.tobytes()

    def close(self) -> None:
        """As when its plug is pulled: connections end, nobody listens."""
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in self._sockets:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has gone already
        self._thread.join()
