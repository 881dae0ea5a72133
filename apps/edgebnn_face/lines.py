"""Lines of JSON on standard output, for other programs; a reader who is slow or gone stops nothing."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TextIO

from edgebnn_face.pipeline import Result
from edgebnn_face.presence import Event

logger = logging.getLogger("edgebnn.lines")

WAITING = 500


class JsonLines:
    """Writes lines by a thread of its own; when more than WAITING wait for the reader, they are dropped and counted."""

    def __init__(self, stream: TextIO) -> None:
        """Nothing runs before `start`."""
        self.dropped = 0
        self._stream = stream
        self._waiting: queue.Queue[str | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, *, timeout_s: float = 1.0) -> None:
        """Write what is waiting, and stop; a reader who takes nothing is left behind."""
        try:
            self._waiting.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def put(self, line: Mapping[str, Any]) -> None:
        """Have a line written soon."""
        try:
            self._waiting.put_nowait(json.dumps(line))
        except queue.Full:
            self.dropped += 1

    def _run(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError) as error:  # ValueError: closed
                logger.warning("no more lines of JSON: %s", error)
                return


def event_line(event: Event, when: datetime) -> dict[str, Any]:
    """`{"event": "enter", "time": ISO 8601, "monotonic_s": ..., "count": ..., "id": ..., "stayed_s": ...}`.

    id is left out of a count, stayed_s of all but a leave.
    """
    line: dict[str, Any] = {
        "event": event.kind,
        "time": when.astimezone().isoformat(timespec="milliseconds"),
        "monotonic_s": event.timestamp_ns / 1e9,
        "count": event.count,
    }
    if event.kind != "count":
        line["id"] = event.id
    if event.kind == "leave":
        line["stayed_s"] = event.stayed_s
    return line


def frame_line(result: Result) -> dict[str, Any]:
    """`{"frame": ..., "monotonic_s": ..., "width", "height", "count", "latency_ms", "faces": [...]}`.

    A face is `{"id": ..., "box": [x, y, width, height], "score": ...}` in pixels of the frame; those that are hidden
    for a moment are left out.
    """
    tracks = result.tracks
    return {
        "frame": result.number,
        "monotonic_s": result.frame.timestamp_ns / 1e9,
        "width": result.frame.width,
        "height": result.frame.height,
        "count": result.count,
        "latency_ms": round(result.latency_ms, 2),
        "faces": [
            {"id": id_, "box": [round(v, 1) for v in box], "score": round(score, 4)}
            for id_, box, score, seen in zip(
                tracks.ids.tolist(), tracks.boxes.tolist(), tracks.scores.tolist(), tracks.seen.tolist(), strict=True
            )
            if seen
        ],
    }
