"""A stream of JPEG pictures for many watchers: each picture is encoded once, and only while somebody watches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

logger = logging.getLogger("edgebnn.web")

Picture = TypeVar("Picture")
BOUNDARY = "picture"


class StreamHub(Generic[Picture]):
    """`publish` in the pipeline's thread, `Route("/stream.mjpg", hub.response)` in the page.

    One picture waits to be encoded, one encoded picture waits to be sent; newer ones replace them. So a slow watcher
    misses pictures, and neither the pipeline nor other watchers wait for him.
    """

    def __init__(self, encode: Callable[[Picture], bytes], *, most_watchers: int = 250) -> None:
        """`encode` gives the bytes of a JPEG; it runs in a thread of the hub and may draw, scale, blur."""
        self._encode = encode
        self._most_watchers = most_watchers
        self._condition = threading.Condition()
        self._waiting: Picture | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # In the event loop alone:
        self._part = b""
        self._sequence = 0
        self._news = asyncio.Event()
        self._watchers = 0

    @property
    def watchers(self) -> int:
        """How many watch."""
        return self._watchers

    @property
    def watched(self) -> bool:
        """Whether anybody watches; when not, a pipeline need not prepare pictures."""
        return self._watchers > 0

    def publish(self, picture: Picture) -> None:
        """Show a picture; it must not be changed afterwards. Returns at once, from any thread."""
        if not self.watched:
            return
        with self._condition:
            self._waiting = picture
            self._condition.notify()

    async def response(self, request: Request) -> Response:
        """The stream, multipart/x-mixed-replace; 503 when too many watch or the service stops."""
        if self._closed:
            raise HTTPException(503, "The service is about to stop.")
        if self._watchers >= self._most_watchers:
            raise HTTPException(503, f"{self._watchers} watch already: close another window.", {"Retry-After": "10"})
        request.app.state.streams.add(self)
        self._start()
        return StreamingResponse(self._parts(), media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")

    def close(self) -> None:
        """End all streams and the thread; from any thread."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all streams
                self._loop.call_soon_threadsafe(self._news.set)

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = threading.Thread(target=self._encode_forever, name="stream", daemon=True)
            self._thread.start()

    async def _parts(self) -> AsyncIterator[bytes]:
        self._watchers += 1
        seen = self._sequence
        try:
            yield f"--{BOUNDARY}\r\n".encode()
            while not self._closed:
                if seen == self._sequence:
                    await self._news.wait()
                    continue
                seen = self._sequence
                yield self._part
        finally:
            self._watchers -= 1

    def _encode_forever(self) -> None:
        while True:
            with self._condition:
                while self._waiting is None and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
                picture, self._waiting = self._waiting, None
            assert picture is not None
            try:
                jpeg = self._encode(picture)
            except Exception:
                logger.exception("a picture of the stream could not be encoded")
                continue
            # The boundary behind a picture makes browsers show it at once, not with the next one.
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
            part = head + jpeg + f"\r\n--{BOUNDARY}\r\n".encode()
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._deliver, part)
            except RuntimeError:  # the loop has ended
                return

    def _deliver(self, part: bytes) -> None:
        self._part = part
        self._sequence += 1
        news, self._news = self._news, asyncio.Event()
        news.set()
