"""One connection of the server, with deadlines that uvicorn itself does not have.

A client that sends its request head too slowly, or does not read what it asked for, is cut off; when the house is
full, the one that has had no request at work for longest makes place.
"""

from __future__ import annotations

import asyncio
import logging

from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger("edgebnn.web")

HEAD_DEADLINE_S = 10.0
WRITE_DEADLINE_S = 20.0
LARGEST_HEAD = 16 * 1024  # bytes
SLICE = 1024


def make_protocol(
    *, most: int, head_s: float = HEAD_DEADLINE_S, write_s: float = WRITE_DEADLINE_S
) -> type[H11Protocol]:
    """A protocol class for uvicorn. most: connections. head_s: for a request head. write_s: for a full send buffer."""
    waiting: dict[Deadlines, None] = {}  # connections that have no request at work, the oldest first

    class Deadlines(H11Protocol):
        """uvicorn's HTTP/1.1 with two timers."""

        head_timer: asyncio.TimerHandle | None = None
        write_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > most:
                oldest = next(iter(waiting), self)
                oldest.cut_off("too many connections")
                if oldest is self:
                    return
            self._time_head()

        def data_received(self, data: bytes) -> None:
            for start in range(0, len(data), SLICE):  # h11 measures a head only while its end has not come
                if not self.transport.is_closing():
                    super().data_received(data[start : start + SLICE])
            self._time_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_head()
            self._stop_write()
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._time_head()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stop_write()
            self.write_timer = self.loop.call_later(write_s, self.cut_off, "it does not read")

        def resume_writing(self) -> None:
            self._stop_write()
            super().resume_writing()

        def cut_off(self, why: str) -> None:
            """End the connection without waiting for the client."""
            logger.debug("connection of %s cut off: %s", self.client, why)
            self._stop_head()
            self._stop_write()
            self.transport.abort()

        def _time_head(self) -> None:
            """Run the timer while a request is awaited: from the connection or the first byte after a response."""
            answered = self.cycle is None or self.cycle.response_complete
            kept_alive = self.timeout_keep_alive_task is not None  # uvicorn's own timer runs until the next byte
            if not answered or kept_alive:
                self._stop_head()
            elif self.head_timer is None:
                self.head_timer = self.loop.call_later(head_s, self.cut_off, "its request takes too long")
            if answered:
                waiting.setdefault(self)

        def _stop_head(self) -> None:
            waiting.pop(self, None)
            if self.head_timer is not None:
                self.head_timer.cancel()
                self.head_timer = None

        def _stop_write(self) -> None:
            if self.write_timer is not None:
                self.write_timer.cancel()
                self.write_timer = None

    return Deadlines
