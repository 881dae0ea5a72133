"""The page of the service: the live picture, gauges, events, snapshots, settings."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

import edgebnn
from edgebnn.camera.open import is_camera
from edgebnn.errors import ConfigError
from edgebnn.service.board import Board
from edgebnn.service.live import LiveSettings
from edgebnn.service.metrics import Metrics
from edgebnn.service.web.app import make_app
from edgebnn.service.web.mjpeg import StreamHub
from edgebnn.service.web.pages import page
from edgebnn_face.picture import annotated, encoded
from edgebnn_face.pipeline import Rate, Result
from edgebnn_face.presence import Event
from edgebnn_face.settings import FaceSettings
from edgebnn_face.snapshots import NAME

if TYPE_CHECKING:
    from edgebnn_face.service import Service

HERE = Path(__file__).parent
SHOWN_EVENTS = 12
SHOWN_SNAPSHOTS = 60
BOARD_S = 2.0
STATES = {
    "starting": "Starting",
    "streaming": "Live",
    "camera_lost": "Camera lost",
    "stuck": "Camera stuck",
    "ended": "Ended",
}


class Page:
    """Routes, and what they show of a service."""

    def __init__(self, service: Service, live: LiveSettings[FaceSettings], *, metrics: Metrics, state: Path) -> None:
        """Make the application; who may see it is decided in edgebnn.service.web."""
        self._service, self._live = service, live
        self._hub: StreamHub[Result] = StreamHub(self._encode)
        self._rate = Rate()
        self._board: tuple[float, Board] | None = None
        metrics.gauge("stream_watchers", "How many watch the live picture.").set_function(lambda: self._hub.watchers)
        metrics.gauge("temperature_celsius", "Of the processor.").set_function(self._temperature_c)
        self.app = make_app(
            [
                Route("/", self._home),
                Route("/stream.mjpg", self._stream),
                Route("/snapshots", self._snapshots),
                Route("/snapshots/delete", self._delete_snapshots, methods=["POST"]),
                Route("/snapshots/{name}", self._snapshot),
                Route("/settings", self._settings, methods=["GET"]),
                Route("/settings", self._change, methods=["POST"]),
                Route("/settings/reset", self._reset, methods=["POST"]),
            ],
            live.current.web,
            title="Faces",
            version=edgebnn.__version__,
            navigation={"/": "Live", "/snapshots": "Snapshots", "/settings": "Settings"},
            templates=HERE / "templates",
            static=HERE / "static",
            live=self.values,
            metrics=metrics,
            state=state / "sessions.json",
        )

    def show(self, result: Result) -> None:
        """Send a picture to those who watch, if the stream is on."""
        settings = self._live.current.picture
        if settings.stream and self._hub.watched and self._rate.passes(result.frame.timestamp_ns, settings.stream_fps):
            self._hub.publish(result)

    def values(self) -> dict[str, Any]:
        """What /live says."""
        service = self._service
        status, figures, board = service.camera.status, service.pipeline.figures, self._read_board()
        away = status.state in ("camera_lost", "stuck", "ended")
        known = figures.frames > 0 and not (away and figures.count == 0)
        home = service.home
        rss = board.process_rss_bytes
        return {
            "state": status.state,
            "state_text": STATES[status.state],
            "reason": status.reason,
            "away": away,
            "camera_problem": ": ".join(filter(None, (STATES[status.state], status.reason))) if away else "",
            "source": _short(service.camera.source.name),
            "count": figures.count if known else None,
            "people": _people(figures.count) if known else "unknown",
            "fps": f"{figures.fps:.1f}",
            "camera_fps": f"{figures.camera_fps:.1f}",
            "latency": None if away else _number(figures.latency_ms),
            "worst_latency": None if away else _number(figures.worst_latency_ms),
            "inference": None if away else _number(figures.inference_ms),
            "motion": None if status.state != "streaming" else "moving" if figures.moving else "still",
            "temperature": None if board.temperature_c is None else f"{board.temperature_c:.0f}",
            "throttled": None if board.throttled_now is None else ", ".join(board.throttled_now) or "no",
            "memory": None if rss is None else f"{rss / 1e6:.0f}",
            "stream": self._live.current.picture.stream,
            "model_problem": service.detector.problem,
            "snapshot_problem": service.snapshots.failure and f"Snapshots are not kept: {service.snapshots.failure}.",
            "mqtt_problem": home.problem and f"No MQTT broker: {home.problem}.",
            "events": [_event(event, when.strftime("%H:%M:%S")) for event, when in self._last_events()],
        }

    def _last_events(self) -> list[tuple[Event, datetime]]:
        """Who came and left, the latest first; the count is seen anyway."""
        known = [known for known in list(self._service.events) if known[0].kind != "count"]
        return known[: -SHOWN_EVENTS - 1 : -1]

    def _encode(self, result: Result) -> bytes:
        settings = self._live.current.picture
        picture = annotated(result, width=settings.stream_width, blur=settings.blur_faces)
        return encoded(picture, quality=settings.quality)

    def _read_board(self) -> Board:
        now = time.monotonic()
        if self._board is None or now - self._board[0] > BOARD_S:
            self._board = now, self._service.board()
        return self._board[1]

    def _temperature_c(self) -> float:
        degrees = self._read_board().temperature_c
        return math.nan if degrees is None else degrees

    async def _home(self, request: Request) -> Response:
        return page(request, "home.html", now=self.values(), settings=self._live.current)

    async def _stream(self, request: Request) -> Response:
        if not self._live.current.picture.stream:
            raise HTTPException(403, "The live picture is switched off: switch it on in the settings.")
        return await self._hub.response(request)

    async def _snapshots(self, request: Request) -> Response:
        names = self._service.snapshots.names(SHOWN_SNAPSHOTS)
        shown = [
            {"name": name, "when": _when(name), "track": name.split("-")[1].removesuffix(".jpg")} for name in names
        ]
        return page(
            request,
            "snapshots.html",
            shown=shown,
            settings=self._live.current,
            problem=self._service.snapshots.failure,
            deleted="deleted" in request.query_params,
        )

    async def _snapshot(self, request: Request) -> Response:
        content = await run_in_threadpool(self._service.snapshots.read, request.path_params["name"])
        if content is None:
            raise HTTPException(404, "There is no such snapshot any more.")
        return Response(content, media_type="image/jpeg")

    async def _delete_snapshots(self, request: Request) -> Response:
        await run_in_threadpool(self._service.snapshots.clear)
        return RedirectResponse("/snapshots?deleted=1", 303)

    async def _settings(self, request: Request) -> Response:
        return self._settings_page(request, saved="saved" in request.query_params)

    async def _change(self, request: Request) -> Response:
        async with request.form() as form:
            values = {key: value for key, value in form.multi_items() if isinstance(value, str)}
        values.pop("form_token", None)
        target = "/" if values.pop("next", "") == "/" else "/settings?saved=1"
        try:
            await run_in_threadpool(self._live.change, values)
        except ConfigError as error:
            return self._settings_page(request, wrong=str(error), status=422)
        return RedirectResponse(target, 303)

    async def _reset(self, request: Request) -> Response:
        await run_in_threadpool(self._live.reset)
        return RedirectResponse("/settings?saved=1", 303)

    def _settings_page(self, request: Request, *, saved: bool = False, wrong: str = "", status: int = 200) -> Response:
        return page(
            request,
            "settings.html",
            status=status,
            fields=self._live.fields(),
            saved=saved,
            wrong=wrong,
            unsaved=self._live.unsaved,
            source=_short(self._service.camera.source.name),
        )


def _short(source: str) -> str:
    """A camera as it was written, of a file the name alone."""
    return source if is_camera(source) else Path(source).name


def _people(count: int) -> str:
    return "person here" if count == 1 else "people here"


def _number(value: float) -> str | None:
    if not math.isfinite(value):
        return None
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _event(event: Event, when: str) -> Mapping[str, str]:
    came = event.kind == "enter"
    text = f"Person {event.id} came" if came else f"Person {event.id} left after {_duration(event.stayed_s)}"
    return {"time": when, "kind": event.kind, "text": text}


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _when(name: str) -> str:
    """Of a snapshot's name, which holds local time."""
    assert NAME.fullmatch(name)
    return f"{name[0:4]}-{name[4:6]}-{name[6:8]} {name[9:11]}:{name[11:13]}:{name[13:15]}"
