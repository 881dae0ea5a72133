"""The page: tonight, the alarms, past nights, what can be taken away and brought back."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

import edgebnn
from edgebnn.errors import DataError, EdgebnnError, InputError, UnavailableError
from edgebnn.service.metrics import Metrics
from edgebnn.service.web.app import make_app
from edgebnn.service.web.pages import page
from edgebnn.service.web.problems import problem
from edgebnn.service.web_settings import WebSettings
from edgebnn_sleep import backup
from edgebnn_sleep.alarm_form import NEW, SOUNDS, WEEKDAYS, read_form
from edgebnn_sleep.clock import ClockClient, RefusedError
from edgebnn_sleep.nights import FIRST_NIGHT, LAST_NIGHT
from edgebnn_sleep.store import Store
from edgebnn_sleep.timekeeping import Time
from edgebnn_sleep.views import Views

HERE = Path(__file__).parent
DIGITS = re.compile("[0-9]{1,9}")
EXPORTS: dict[str, tuple[str, Callable[..., Iterator[str]]]] = {
    "epochs.csv": ("text/csv", backup.epochs_csv),
    "epochs.json": ("application/json", backup.epochs_json),
    "intervals.csv": ("text/csv", backup.intervals_csv),
    "intervals.json": ("application/json", backup.intervals_json),
}


class Page:
    """Routes; what they show is made in views.py. Handlers without `async` run in a thread each: they may wait."""

    def __init__(
        self,
        *,
        views: Views,
        clock: ClockClient,
        store: Store,
        time: Time,
        settings: WebSettings,
        metrics: Metrics | None = None,
        sessions: Path | None = None,
        on_journal: Callable[[], object] = lambda: None,
    ) -> None:
        """`on_journal` is called after what makes the clock write into its journal."""
        self._views, self._clock, self._store, self._time = views, clock, store, time
        self._on_journal = on_journal
        self.app = make_app(
            [
                Route("/", self._tonight),
                Route("/tonight", self._tonight_part),
                Route("/stop", self._stop, methods=["POST"]),
                Route("/snooze", self._snooze, methods=["POST"]),
                Route("/skip", self._skip, methods=["POST"]),
                Route("/alarms", self._alarms),
                Route("/alarms/new", self._new_alarm),
                Route("/alarms/test", self._test_sound, methods=["POST"]),
                Route("/alarms/save", self._save_alarm, methods=["POST"]),
                Route("/alarms/{number:int}", self._edit_alarm),
                Route("/alarms/{number:int}/delete", self._delete_alarm, methods=["POST"]),
                Route("/alarms/{number:int}/switch", self._switch_alarm, methods=["POST"]),
                Route("/nights", self._nights),
                Route("/nights/{night}", self._night),
                Route("/data", self._data),
                Route("/data/import", self._import, methods=["POST"]),
                Route("/data/backup.jsonl", self._backup),
                Route("/data/{name}", self._export),
            ],
            settings,
            title="Sleep",
            version=edgebnn.__version__,
            navigation={"/": "Tonight", "/alarms": "Alarms", "/nights": "Nights", "/data": "Data"},
            templates=HERE / "templates",
            static=HERE / "static",
            live=views.live,
            metrics=metrics,
            state=sessions,
            body_limits={"/data/import": backup.MOST_BYTES + 65_536},
        )

    # Tonight

    def _tonight(self, request: Request) -> Response:
        return page(request, "tonight.html", now=self._views.live(), tonight=self._views.tonight())

    def _tonight_part(self, request: Request) -> Response:
        return page(request, "tonight_part.html", tonight=self._views.tonight())

    async def _stop(self, request: Request) -> Response:
        return await self._command(request, "/", "stop", by="page")

    async def _snooze(self, request: Request) -> Response:
        return await self._command(request, "/", "snooze", by="page")

    async def _skip(self, request: Request) -> Response:
        form = await request.form()
        keys: dict[str, Any] = {"by": "page", "undo": form.get("undo") == "yes"}
        try:
            alarm, date = _alarm_number(form.get("alarm")), form.get("date")
        except InputError as error:
            return problem(request, 422, str(error))
        if alarm is not None:
            keys["alarm"] = alarm
        if isinstance(date, str) and date:
            keys["date"] = date
        return await self._command(request, "/alarms" if form.get("next") == "alarms" else "/", "skip", **keys)

    async def _command(self, request: Request, then: str, command: str, **keys: Any) -> Response:
        """Ask the clock, and go on to `then`; what it refuses is a page with its sentence."""
        try:
            await run_in_threadpool(self._clock.ask, command, **keys)
        except RefusedError as error:
            return problem(request, 409, str(error))
        except UnavailableError as error:
            return problem(request, 503, str(error))
        await run_in_threadpool(self._on_journal)
        return RedirectResponse(then, 303)

    # Alarms

    def _alarms(self, request: Request) -> Response:
        return page(request, "alarms.html", now=self._views.live(), **self._views.alarms())

    def _new_alarm(self, request: Request) -> Response:
        return self._editor(request, dict(NEW), heading="New alarm")

    def _edit_alarm(self, request: Request) -> Response:
        try:
            alarms = self._clock.ask("list")["alarms"]
        except EdgebnnError as error:
            return problem(request, 503, str(error))
        alarm = next((alarm for alarm in alarms if alarm["id"] == request.path_params["number"]), None)
        if alarm is None:
            raise HTTPException(404)
        return self._editor(request, alarm, heading="Alarm")

    def _editor(
        self, request: Request, alarm: Mapping[str, Any], *, heading: str, error: str = "", status: int = 200
    ) -> Response:
        today = dt.datetime.fromtimestamp(self._time.now_s(), self._time.zone()).date()
        return page(
            request, "alarm.html", status=status, alarm=alarm, heading=heading, error=error, weekdays=WEEKDAYS,
            sounds=SOUNDS, today=today.isoformat(), tomorrow=(today + dt.timedelta(days=1)).isoformat(),
        )  # fmt: skip

    async def _save_alarm(self, request: Request) -> Response:
        form = await request.form()
        alarm: dict[str, Any] = dict(NEW)
        known: dict[str, int] = {}
        try:
            if (number := _alarm_number(form.get("id"))) is not None:
                known = {"id": number}
            alarm = read_form(form)
            await run_in_threadpool(self._clock.ask, "set", alarm=alarm | known, by="page")
        except (InputError, RefusedError, UnavailableError) as error:
            # What was typed stays in the form.
            status = 503 if isinstance(error, UnavailableError) else 422
            return await run_in_threadpool(
                self._editor, request, alarm | known, heading="Alarm", error=str(error), status=status
            )
        await run_in_threadpool(self._on_journal)
        return RedirectResponse("/alarms", 303)

    async def _delete_alarm(self, request: Request) -> Response:
        return await self._command(request, "/alarms", "delete", alarm=request.path_params["number"], by="page")

    async def _switch_alarm(self, request: Request) -> Response:
        form = await request.form()
        change = {"id": request.path_params["number"], "enabled": form.get("enabled") == "on"}
        return await self._command(request, "/alarms", "set", alarm=change, by="page")

    async def _test_sound(self, request: Request) -> Response:
        form = await request.form()
        return await self._command(request, "/alarms", "test", sound=str(form.get("sound", "bell")), seconds=3)

    # Nights

    def _nights(self, request: Request) -> Response:
        return page(request, "nights.html", **self._views.nights(request.query_params.get("until", "")))

    def _night(self, request: Request) -> Response:
        try:
            night = dt.date.fromisoformat(request.path_params["night"])
        except ValueError:
            raise HTTPException(404) from None
        if not FIRST_NIGHT <= night <= LAST_NIGHT:
            raise HTTPException(404)
        return page(request, "night.html", **self._views.night(night))

    # Data

    def _data(self, request: Request) -> Response:
        return page(
            request, "data.html", **self._views.data(), done=request.query_params.get("done", "")[:300], error=""
        )

    def _export(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in EXPORTS:
            raise HTTPException(404)
        media_type, write = EXPORTS[name]
        days = request.query_params.get("days", "")
        if days and not (DIGITS.fullmatch(days) and 0 < int(days) <= 100_000):
            return problem(request, 422, f"expected days=1 to 100000, got {days[:20]!r}")
        since_s = self._time.now_s() - int(days) * 86_400 if days else 0.0
        lines = write(self._store.all_epochs(since_s), self._time.zone())
        return _download(lines, media_type, f"edgebnn-sleep-{name}")

    def _backup(self, request: Request) -> Response:
        try:
            alarms = self._clock.ask("list")["alarms"]
        except EdgebnnError as error:
            return problem(request, 503, f"no backup without the alarms: {error}")
        epochs, events = self._store.all_epochs(), self._store.events(0, 1e12)
        today = dt.datetime.fromtimestamp(self._time.now_s(), self._time.zone()).date()
        lines = backup.write_backup(epochs, events, alarms)
        return _download(lines, "application/jsonl", f"edgebnn-sleep-{today}.jsonl")

    async def _import(self, request: Request) -> Response:
        async with request.form(max_files=1, max_fields=10) as form:
            upload = form.get("file")
            raw = await upload.read() if isinstance(upload, UploadFile) else b""
        try:
            done = await run_in_threadpool(self._take_in, raw)
        except (DataError, UnavailableError, RefusedError) as error:
            data = await run_in_threadpool(self._views.data)
            return page(request, "data.html", status=422, **data, done="", error=str(error))
        return RedirectResponse(f"/data?{urlencode({'done': done})}", 303)

    def _take_in(self, raw: bytes) -> str:
        """Nights all or nothing, then the alarms that are not there yet; says what was done."""
        found = backup.read_backup(raw)
        there: list[dict[str, Any]] = []
        if found.alarms:
            there = [
                {key: value for key, value in alarm.items() if key not in ("id", "next")}
                for alarm in self._clock.ask("list")["alarms"]
            ]
        added = self._store.merge(found.epochs, found.events)
        done = f"{added} of {len(found.epochs)} epochs were new"
        new = [alarm for alarm in found.alarms if alarm not in there]
        for number, alarm in enumerate(new):
            try:
                self._clock.ask("set", alarm=alarm, by="page")
            except EdgebnnError as error:
                raise DataError(
                    f"the nights were imported ({done}) and {number} of {len(new)} alarms; "
                    f"the alarm {alarm.get('name') or alarm.get('time')!r} was refused: {error}"
                ) from None
        self._on_journal()
        return f"{done}, {len(new)} of {len(found.alarms)} alarms were new"


def _alarm_number(field: object) -> int | None:
    """The alarm that a form is about; None when it names none, InputError when that is no number."""
    if not field:
        return None
    if not (isinstance(field, str) and DIGITS.fullmatch(field)):
        raise InputError(f"expected the number of an alarm, got {str(field)[:40]!r}")
    return int(field)


def _download(lines: Iterator[str], media_type: str, name: str) -> Response:
    return StreamingResponse(
        lines, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
