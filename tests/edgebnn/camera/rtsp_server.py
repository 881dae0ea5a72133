"""An RTSP camera on loopback: MJPEG in RTP packets inside the RTSP connection (RFC 2326, RFC 2435)."""

from __future__ import annotations

import socketserver
import struct

import cv2

from edgebnn.camera.synthetic import Scene, Synthetic
from tests.edgebnn.camera.plug import Plug

PART = 1400
"""Bytes of a JPEG's scan in a packet."""


class RtspServer(Plug):
    """Serves rtsp://127.0.0.1:PORT/stream to who plays it, until closed."""

    def __init__(self, *, port: int = 0, width: int = 320, height: int = 240) -> None:
        self.scene = Synthetic(Scene(width=width, height=height, size=0.6))
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                try:
                    server._serve(self)
                except OSError:
                    return  # the client or the server has gone

        super().__init__(Handler, port=port)

    def _serve(self, client: socketserver.StreamRequestHandler) -> None:
        while (first := client.rfile.readline().decode()).strip():
            headers = {}
            while line := client.rfile.readline().decode().strip():
                name, value = line.split(":", 1)
                headers[name.lower()] = value.strip()
            method, answer, body = first.split()[0], [f"CSeq: {headers['cseq']}"], ""
            if method == "OPTIONS":
                answer.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
            elif method == "DESCRIBE":
                body = (
                    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:track\r\n"
                )
                answer += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
            elif method == "SETUP":
                answer += ["Session: 1", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"]
            client.wfile.write(("\r\n".join(["RTSP/1.0 200 OK", *answer, "", body])).encode())
            if method == "PLAY":
                self._play(client)
            if method in ("PLAY", "TEARDOWN"):
                return

    def _play(self, client: socketserver.StreamRequestHandler) -> None:
        number = packet = 0
        while not self.pulled.wait(0.02):
            number += 1
            width, height = self.scene.scene.width, self.scene.scene.height
            tables, scan = _parts(cv2.imencode(".jpg", cv2.cvtColor(self.scene.picture(number), cv2.COLOR_RGB2BGR))[1])
            for offset in range(0, len(scan), PART):
                part = scan[offset : offset + PART]
                last = offset + PART >= len(scan)
                rtp = struct.pack(">BBHII", 0x80, 26 | last << 7, packet & 0xFFFF, number * 1800, 7)
                jpeg = struct.pack(">IBBBB", offset, 1, 255, width // 8, height // 8)  # type-specific 0; 4:2:0
                if offset == 0:
                    jpeg += struct.pack(">BBH", 0, 0, len(tables)) + tables
                payload = rtp + jpeg + part
                client.wfile.write(b"$\0" + struct.pack(">H", len(payload)) + payload)
                packet += 1


def _parts(jpeg: object) -> tuple[bytes, bytes]:
    """The two quantization tables and the scan of a baseline JPEG with standard Huffman tables."""
    data = jpeg.tobytes()  # type: ignore[attr-defined]
    tables, at = b"", 2
    while True:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        segment = data[at + 4 : at + 2 + length]
        if marker == 0xDB:
            tables += b"".join(segment[start + 1 : start + 65] for start in range(0, len(segment), 65))
        at += 2 + length
        if marker == 0xDA:
            return tables, data[at:-2]
