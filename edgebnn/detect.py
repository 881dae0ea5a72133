"""`edgebnn detect`: pictures and videos through a detector, to JSON lines or text, and to annotated files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import cv2

from edgebnn.camera.files import Picture, Video, find
from edgebnn.camera.frame import Frame
from edgebnn.camera.record import Names, VideoRecord, write_picture
from edgebnn.errors import InputError, ModelError
from edgebnn.runtime.detections import Detections
from edgebnn.runtime.model import Model, check_score
from edgebnn.runtime.overlay import draw

INTERRUPTED = 130
STAGES = ("preprocess", "inference", "decode")


def detect(
    sources: Sequence[str],
    *,
    model: str | Path,
    min_score: float | None = None,
    threads: int = 1,
    save: Path | None = None,
    as_json: bool = False,
) -> int:
    """Run the command; returns its exit code: 0, 1 when a file could not be read, 130 after Ctrl-C."""
    if min_score is not None:
        check_score(min_score)
    _silence_opencv()
    run = _Run(as_json)
    files: list[Picture | Video] = []
    for given in sources:
        try:
            files += find(given)
        except InputError as error:
            run.refuse(given, error)
    try:
        cv2.setNumThreads(threads)
        network = Model(model, num_threads=threads)
        if network.card is None or network.card.task != "detect":
            raise ModelError(
                f"{model} has no card of a detector: convert it with a card, or use edgebnn.Model(...).run()"
            )
        names = None if save is None else Names(save, [file.path for file in files])
        for file in files:
            run.take(file, network, min_score, names)
    except KeyboardInterrupt:
        run.summarise(save)
        return INTERRUPTED
    run.summarise(save)
    return 1 if run.refused else 0


class _Run:
    """What is printed, and counted for the summary."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
        self._objects = 0
        self.refused = 0

    def take(self, file: Picture | Video, network: Model, min_score: float | None, names: Names | None) -> None:
        """Every frame of one file."""
        before = self._frames, self._objects
        try:
            with ExitStack() as open_files:
                open_files.enter_context(file)
                record: VideoRecord | None = None
                for frame in file:
                    found = network.detect(frame.image, min_score=min_score)
                    self._count(file, frame, found, network)
                    if names is None:
                        continue
                    picture = draw(frame.image, found)
                    if isinstance(file, Picture):
                        suffix = ".png" if file.path.suffix.lower() == ".png" else ".jpg"
                        write_picture(names.take(file.relative, suffix), picture)
                        continue
                    if record is None:
                        record = VideoRecord(names.take(file.relative, ".mp4"), fps=file.fps)
                        open_files.callback(record.close)
                    record.write(picture)
        except InputError as error:
            self.refuse(file.name, error)
        frames, objects = self._frames - before[0], self._objects - before[1]
        if isinstance(file, Video) and frames and not self._as_json:
            _print(f"{file.name}: {_number(frames, 'frame')}, {_number(objects, 'face')}")

    def refuse(self, name: str, error: InputError) -> None:
        """Say that a file cannot be read, and go on."""
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

    @property
    def _frames(self) -> int:
        return len(self._stages[STAGES[0]])

    def _count(self, file: Picture | Video, frame: Frame, found: Detections, network: Model) -> None:
        for stage, values in self._stages.items():
            values.append(network.stage_ms[stage])
        self._objects += len(found)
        if self._as_json:
            _print(json.dumps(_line(file.name, frame, found, network.stage_ms)))
        elif isinstance(file, Picture):
            scores = f" ({', '.join(f'{score:.2f}' for score in found.scores)})" if len(found) else ""
            _print(f"{file.name}: {_number(len(found), 'face')}{scores}")


def _silence_opencv() -> None:
    """Its decoders tell stderr about every damaged macroblock; what is wrong with a file, `refuse` says once."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET, read when the first video is opened
    if hasattr(cv2, "setLogLevel"):
        cv2.setLogLevel(0)


def _line(name: str, frame: Frame, found: Detections, stage_ms: dict[str, float]) -> dict[str, object]:
    return {
        "file": name,
        "frame": frame.sequence,
        "width": frame.image.shape[1],
        "height": frame.image.shape[0],
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
