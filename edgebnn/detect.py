"""`edgebnn detect`: pictures, videos and cameras through a detector, to lines, annotated files and a window."""

from __future__ import annotations

import json
import re
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path, PurePath
from statistics import median

import cv2

from edgebnn.camera.camera import Camera, Status
from edgebnn.camera.capture import silence_opencv
from edgebnn.camera.files import Picture, Video, find
from edgebnn.camera.frame import Frame, Image
from edgebnn.camera.open import is_camera, open_source
from edgebnn.camera.record import Names, VideoRecord, write_picture
from edgebnn.camera.window import Window
from edgebnn.config import masked
from edgebnn.errors import InputError, ModelError, UnavailableError
from edgebnn.interrupts import Stop, stopping
from edgebnn.runtime.detections import Detections
from edgebnn.runtime.model import Model, check_score
from edgebnn.runtime.overlay import draw

STAGES = ("preprocess", "inference", "decode")
BLOCKED_S = 10.0
TIMED = 100_000
"""The times of so many frames, the last, make the medians."""


def detect(
    sources: Sequence[str],
    *,
    model: str | Path,
    min_score: float | None = None,
    threads: int = 1,
    save: Path | None = None,
    as_json: bool = False,
    show: bool = False,
    frames: int | None = None,
    size: tuple[int, int] = (640, 480),
    fps: float = 15.0,
) -> int:
    """Run the command; returns its exit code: 0, 1 when a file could not be read, 130 after Ctrl-C, 143 after SIGTERM.

    frames: of each source at most so many. size (width, height), fps: what cameras are asked for. A camera that is lost
    is waited for; UnavailableError when it is not there to begin with.
    """
    if min_score is not None:
        check_score(min_score)
    silence_opencv()
    with stopping() as stop, ExitStack() as stack:
        window = stack.enter_context(closing(Window("edgebnn detect", stop=stop))) if show else None
        run = _Run(as_json, min_score, frames=frames, window=window, stop=stop)
        inputs: list[Picture | Video | _Live] = []
        for given in sources:
            try:
                inputs += [_Live(given, size=size, fps=fps, stop=stop)] if is_camera(given) else find(given)
            except InputError as error:
                run.refuse(masked(given), error)
        for live in inputs[:-1]:
            if isinstance(live, _Live) and frames is None:
                raise InputError(
                    f"{live.name} never ends, so no source can follow it: name it last, or give --frames N"
                )
        cv2.setNumThreads(threads)
        run.network = _detector(model, threads)
        if save is not None:
            run.names = Names(save, [source.path for source in inputs if not isinstance(source, _Live)])
        for source in inputs:
            run.take(source)
            if run.ended:
                break
    run.summarise(save)
    return stop.exit_code or (1 if run.refused else 0)


class _Live:
    """The frames of a camera that is watched; what happens to it goes to stderr."""

    def __init__(self, spec: str, *, size: tuple[int, int], fps: float, stop: Stop) -> None:
        self.name = masked(spec)
        self.fps = fps
        self.relative = PurePath(re.sub(r"[^0-9A-Za-z]+", "-", self.name).strip("-")[:80] or "camera")
        self._stop = stop
        self._source = open_source(spec, width=size[0], height=size[1], fps=fps)
        self._camera: Camera | None = None

    def __enter__(self) -> _Live:
        self._camera = Camera(self._source, on_change=self._report)
        self._camera.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._camera is not None
        self._camera.close()

    def __iter__(self) -> Iterator[Frame]:
        """The newest frame each time, until asked to stop.

        UnavailableError when there never was a frame, or the camera is blocked.
        """
        camera = self._camera
        assert camera is not None
        last = -1
        while self._stop.asked is None:
            frame = camera.latest(last, timeout_s=0.5)
            if frame is not None:
                last = frame.sequence
                yield frame
                continue
            status = camera.status
            if status.state == "ended":
                return
            if status.state == "camera_lost" and camera.delivered == 0:
                raise UnavailableError(status.reason)
            if camera.silence_s > BLOCKED_S:
                raise UnavailableError(f"{self.name} is blocked: no sign for {BLOCKED_S:g} s; plug the camera in again")

    def _report(self, status: Status) -> None:
        camera = self._camera
        assert camera is not None
        if status.state == "streaming" and camera.losses:
            _print(f"edgebnn: {self.name}: the camera is back", to_stderr=True)
        elif status.state in ("camera_lost", "stuck") and camera.delivered:
            word = "lost" if status.state == "camera_lost" else "stuck"
            _print(f"edgebnn: {self.name}: the camera is {word}: {status.reason}; waiting for it", to_stderr=True)


class _Run:
    """What is done with each frame, printed, and counted for the summary."""

    network: Model
    names: Names | None = None

    def __init__(
        self, as_json: bool, min_score: float | None, *, frames: int | None, window: Window | None, stop: Stop
    ) -> None:
        self._as_json = as_json
        self._min_score = min_score
        self._most = frames
        self._window = window
        self._stop = stop
        self._closed = False
        self._stages: dict[str, deque[float]] = {stage: deque(maxlen=TIMED) for stage in STAGES}
        self._frames = 0
        self._objects = 0
        self._record: VideoRecord | None = None
        self._last_count = -1
        self.refused = 0

    @property
    def ended(self) -> bool:
        """Whether the user wants no more: by a signal, or by closing the window."""
        return self._closed or self._stop.asked is not None

    def take(self, source: Picture | Video | _Live) -> None:
        """Every frame of one source, or until the user wants no more."""
        before = self._frames, self._objects
        self._last_count = -1
        try:
            with ExitStack() as stack:
                stack.enter_context(source)
                self._record = None
                for frame in islice(source, self._most):
                    found = self._detect(frame)
                    self._count(source, frame, found)
                    if self.names is not None or self._window is not None:
                        picture = draw(frame.image, found)
                    if self.names is not None:
                        self._save(picture, source, frame, self.names, stack)
                    if self._window is not None:
                        self._closed = not self._window.show(picture, wait=isinstance(source, Picture))
                    if self.ended:
                        break
        except InputError as error:
            self.refuse(source.name, error)
        finally:
            frames, objects = self._frames - before[0], self._objects - before[1]
            if not isinstance(source, Picture) and frames and not self._as_json:
                _print(f"{source.name}: {_number(frames, 'frame')}, {_number(objects, 'face')}")

    def refuse(self, name: str, error: InputError) -> None:
        """Say that a source cannot be read, and go on."""
        self.refused += 1
        if self._as_json:
            _print(json.dumps({"file": name, "error": str(error)}))
        _print(f"edgebnn: {name}: {error}", to_stderr=True)

    def summarise(self, save: Path | None) -> None:
        """The last lines of the text output."""
        if self._as_json:
            return
        line = f"{_number(self._frames, 'frame')}, {_number(self._objects, 'face')}"
        if self.refused:
            line += f", {self.refused} unreadable"
        if self._frames:
            times = ", ".join(f"{stage} {median(values):.2f}" for stage, values in self._stages.items())
            line += f"; median CPU time in ms: {times}"
        _print(line)
        if save is not None and self._frames:
            _print(f"annotated copies are in {save}")

    def _detect(self, frame: Frame) -> Detections:
        """In pixels of the whole frame, from its small picture."""
        small = frame.small
        found = self.network.detect(small, min_score=self._min_score)
        if (frame.width, frame.height) == (small.shape[1], small.shape[0]):
            return found
        return found.scaled(frame.width / small.shape[1], frame.height / small.shape[0])

    def _save(
        self, picture: Image, source: Picture | Video | _Live, frame: Frame, names: Names, stack: ExitStack
    ) -> None:
        if isinstance(source, Picture):
            suffix = ".png" if source.path.suffix.lower() == ".png" else ".jpg"
            write_picture(names.take(source.relative, suffix), picture)
            return
        if self._record is None:
            self._record = VideoRecord(names.take(source.relative, ".mp4"), fps=source.fps)
            stack.callback(self._record.close)
        if isinstance(source, _Live):
            self._record.write_at(picture, frame.timestamp_ns)
        else:
            self._record.write(picture)

    def _count(self, source: Picture | Video | _Live, frame: Frame, found: Detections) -> None:
        stage_ms = self.network.stage_ms
        for stage, values in self._stages.items():
            values.append(stage_ms[stage])
        self._frames += 1
        self._objects += len(found)
        if self._as_json:
            _print(json.dumps(_line(source.name, frame, found, stage_ms)))
            return
        scores = f" ({', '.join(f'{score:.2f}' for score in found.scores)})" if len(found) else ""
        if isinstance(source, Picture):
            _print(f"{source.name}: {_number(len(found), 'face')}{scores}")
        elif isinstance(source, _Live) and len(found) != self._last_count:
            _print(f"{source.name}: frame {frame.sequence}: {_number(len(found), 'face')}{scores}")
            self._last_count = len(found)


def _detector(model: str | Path, threads: int) -> Model:
    network = Model(model, num_threads=threads)
    if network.card is None or network.card.task != "detect":
        raise ModelError(f"{model} has no card of a detector: convert it with a card, or use edgebnn.Model(...).run()")
    return network


def _line(name: str, frame: Frame, found: Detections, stage_ms: dict[str, float]) -> dict[str, object]:
    return {
        "file": name,
        "frame": frame.sequence,
        "width": frame.width,
        "height": frame.height,
        "faces": [
            {"box": box, "score": score} for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)
        ],
        "latency_ms": {stage: round(stage_ms[stage], 4) for stage in STAGES},
    }


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _print(text: str, *, to_stderr: bool = False) -> None:
    """A line at once, whatever bytes a file name holds."""
    stream = sys.stderr if to_stderr else sys.stdout
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
