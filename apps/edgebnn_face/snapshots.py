"""Pictures of events in a folder that stays bounded, written by a thread of its own; a full disk stops nothing else."""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edgebnn.errors import EdgebnnError
from edgebnn.service.state import write_state

logger = logging.getLogger("edgebnn.snapshots")

Image = npt.NDArray[np.uint8]
NAME = re.compile(r"\d{8}T\d{6}\.\d{3}-\d{1,12}(-\d{1,3})?\.jpg", re.ASCII)
"""Local time and track; nothing else in the folder is ever listed, sent or deleted."""
UNFINISHED = re.compile(rf"\.{NAME.pattern}\..*", re.ASCII)
"""What `write_state` leaves behind when the power goes."""
SWEEP_S = 600.0
STEADY_S = 3600.0
"""Files are deleted for their age only when the wall clock has not been set for so long: their age may be wrong."""
STEP_S = 60.0
"""A difference between wall clock and monotonic clock that is a step."""
WAITING = 8


@dataclass(frozen=True)
class Retention:
    """What is kept: files no older than `keep_days`, `max_mb` in all, and only while `min_free_mb` stay free."""

    keep_days: float
    max_mb: float
    min_free_mb: float


class Snapshots:
    """Keeps pictures below `folder` within `retention`, which may be replaced at any time."""

    def __init__(
        self,
        folder: Path,
        retention: Retention,
        *,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is read or made before `start` or `write`."""
        self.folder, self.retention = folder, retention
        self.failure = ""
        """Why the last picture could not be written; empty when it was."""
        self.dropped = 0
        """Pictures not written because too many were waiting."""
        self._wall_s, self._monotonic_s = wall_s, monotonic_s
        self._offset_s = wall_s() - monotonic_s()
        self._steady_since_s = monotonic_s()
        self._sizes: dict[str, int] | None = None  # bytes by name
        self._waiting: queue.Queue[tuple[Image, int] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
        self._lock = threading.RLock()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, *, timeout_s: float = 2.0) -> None:
        """Write what is waiting, and stop."""
        if self._thread.ident is None:
            return
        with contextlib.suppress(queue.Full):  # then the disk hangs, and the thread dies with the process
            self._waiting.put(None, timeout=timeout_s)
            self._thread.join(timeout_s)

    def put(self, image: Image, track: int) -> None:
        """Have an RGB picture written soon; dropped when too many are waiting."""
        try:
            self._waiting.put_nowait((image, track))
        except queue.Full:
            self.dropped += 1

    def names(self, limit: int) -> list[str]:
        """The newest, newest first."""
        return sorted(self._sizes or (), reverse=True)[:limit]

    def read(self, name: str) -> bytes | None:
        """A picture; None for any name that is not one of ours, or that has gone."""
        if not NAME.fullmatch(name) or name not in (self._sizes or ()):
            return None
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def write(self, image: Image, track: int) -> bool:
        """Write a picture now, and make room; whether it was written. A failure is logged once until it ends."""
        try:
            with self._lock:
                self._write(image, track)
        except (OSError, EdgebnnError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            if self.failure != reason:
                logger.warning("snapshots are not written to %s: %s", self.folder, reason)
            self.failure = reason
            return False
        if self.failure:
            logger.info("snapshots are written again")
            self.failure = ""
        return True

    def sweep(self) -> None:
        """Delete what is too old, and what is too much."""
        with self._lock:
            self._watch_clock()
            if self._monotonic_s() - self._steady_since_s >= STEADY_S:
                for name in list(self._scan()):
                    if self._age_s(name) > self.retention.keep_days * 86400:
                        self._delete(name)
            self._make_room()

    def clear(self) -> None:
        """Delete all."""
        with self._lock:
            for name in list(self._scan()):
                self._delete(name)

    def _make_room(self) -> None:
        sizes = self._scan()
        total = sum(sizes.values())
        for name in sorted(sizes):
            if total <= self.retention.max_mb * 1e6:
                break
            total -= sizes[name]
            self._delete(name)

    def _run(self) -> None:
        self.sweep()
        while True:
            try:
                job = self._waiting.get(timeout=SWEEP_S)
            except queue.Empty:
                self.sweep()
                continue
            if job is None:
                return
            image, track = job
            self.write(image, track)
            del job, image  # the picture, until the next one

    def _write(self, image: Image, track: int) -> None:
        sizes = self._scan()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        free_mb = shutil.disk_usage(self.folder).free / 1e6
        if free_mb < self.retention.min_free_mb:
            raise EdgebnnError(f"less than {self.retention.min_free_mb:g} MB are free")
        good, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
        if not good:
            raise EdgebnnError(f"no JPEG can be made of {image.shape[1]}x{image.shape[0]} pixels")
        name = self._name(track)
        write_state(self.folder / name, data.tobytes())
        sizes[name] = len(data)
        self._make_room()

    def _name(self, track: int) -> str:
        now = datetime.fromtimestamp(self._wall_s())
        stem = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}-{track}"
        number, name = 1, f"{stem}.jpg"
        while name in (self._sizes or ()):  # the clock was set back
            number += 1
            name = f"{stem}-{number}.jpg"
        return name

    def _scan(self) -> dict[str, int]:
        """What lies in the folder, read once; later only this object changes it."""
        if self._sizes is None:
            sizes: dict[str, int] = {}
            with contextlib.suppress(OSError):  # not there yet; `write` says what is wrong with it
                for path in self.folder.iterdir():
                    if NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                        sizes[path.name] = path.stat().st_size
                    elif UNFINISHED.fullmatch(path.name):
                        with contextlib.suppress(OSError):  # read-only: it stays
                            path.unlink()
            self._sizes = sizes
        return self._sizes

    def _age_s(self, name: str) -> float:
        try:
            return self._wall_s() - (self.folder / name).stat().st_mtime
        except OSError:
            return 0.0

    def _delete(self, name: str) -> None:
        assert self._sizes is not None
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            if not self.failure:
                logger.warning("cannot delete snapshots in %s: %s", self.folder, error.strerror)
            self.failure = error.strerror or str(error)
            return
        self._sizes.pop(name, None)

    def _watch_clock(self) -> None:
        offset = self._wall_s() - self._monotonic_s()
        if abs(offset - self._offset_s) > STEP_S:
            self._steady_since_s = self._monotonic_s()
        self._offset_s = offset
