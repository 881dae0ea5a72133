"""`stream_clip.py CLIP PORT`: a network camera on loopback that shows a clip over and over, as MJPEG at 15 fps."""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2

RATE = 15.0


def read_pictures(clip: str) -> list[bytes]:
    """The frames of a clip as JPEG files."""
    video, pictures = cv2.VideoCapture(clip), []
    while True:
        good, frame = video.read()
        if not good:
            return pictures
        pictures.append(cv2.imencode(".jpg", frame)[1].tobytes())


PICTURES = read_pictures(sys.argv[1])


class Camera(BaseHTTPRequestHandler):
    """One client's stream."""

    def do_GET(self) -> None:
        """Frames until the client goes."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        number, began = 0, time.monotonic()
        while True:
            picture = PICTURES[number % len(PICTURES)]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + picture + b"\r\n")
            except OSError:
                return
            number += 1
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Camera).serve_forever()
