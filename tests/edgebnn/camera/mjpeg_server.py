"""An MJPEG camera on loopback, as network cameras serve it: real HTTP, killed and brought back at will."""

from __future__ import annotations

import base64
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import cv2
import numpy as np

from edgebnn.camera.synthetic import Scene, Synthetic
from tests.edgebnn.camera.plug import Plug

BOUNDARY = "next"


class MjpegServer(Plug):
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
        wanted = None if password is None else "Basic " + base64.b64encode(f"user:{password}".encode()).decode()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if wanted is not None and self.headers.get("Authorization") != wanted:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
                self.end_headers()
                number = 0
                while not server.pulled.wait(0.02):
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

        super().__init__(Handler, port=port)

    def jpeg(self, number: int) -> bytes:
        data: np.ndarray = cv2.imencode(".jpg", cv2.cvtColor(self.scene.picture(number), cv2.COLOR_RGB2BGR))[1]
        return data.tobytes()
