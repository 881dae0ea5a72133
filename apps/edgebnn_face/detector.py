"""The detector, loaded again when its file is replaced."""

from __future__ import annotations

import logging
import stat
from pathlib import Path

from edgebnn.errors import EdgebnnError, ModelError
from edgebnn.runtime.detections import Detections
from edgebnn.runtime.model import Model
from edgebnn.runtime.preprocess import Image

logger = logging.getLogger("edgebnn.model")

_Stamp = tuple[int, int, int]


class Detector:
    """A model for faces. A file that is replaced while it runs is loaded when two looks in a row found it the same.

    A new file that is damaged, half written, or no detector changes nothing: the loaded model stays, `problem` and one
    line in the log say why. The model of the package is never looked at again.
    """

    def __init__(self, path: str, *, threads: int) -> None:
        """Load the model; ModelError when that is impossible."""
        self.path, self._threads = path, threads
        self.problem = ""
        """Why the file that is there now is not the model that runs; empty when it is."""
        self.loaded = 1
        """How many models have been loaded."""
        file = Path(path)
        self._file = file if file.is_file() else None
        self._stamp = self._seen = self._look()
        self._model = _load(path, threads)

    def detect(self, image: Image, *, min_score: float) -> Detections:
        """The faces in an RGB picture."""
        return self._model.detect(image, min_score=min_score)

    @property
    def inference_ms(self) -> float:
        """Time that the network took last."""
        return self._model.latency_ms

    def look_again(self) -> None:
        """Load a new file, if one has come to rest; to be called every few seconds."""
        if self._file is None:
            return
        before, self._seen = self._seen, self._look()
        if self._seen == self._stamp or self._seen != before:
            return
        self._stamp = self._seen
        if self._seen is None:
            self._tell(f"{self.path} is gone")
            return
        try:
            self._model = _load(self.path, self._threads)
        except (EdgebnnError, MemoryError) as error:
            self._tell(f"{self.path} was replaced, but the new file cannot be used: {error}")
            return
        self.problem = ""
        self.loaded += 1
        logger.info("%s was replaced: the new model runs", self.path)

    def _tell(self, problem: str) -> None:
        self.problem = f"{problem}; the model loaded before runs on"
        logger.warning("%s", self.problem)

    def _look(self) -> _Stamp | None:
        if self._file is None:
            return None
        try:
            status = self._file.stat()
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):  # a pipe would never end
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns


def _load(path: str, threads: int) -> Model:
    model = Model(path, num_threads=threads)
    if model.card is None or model.card.task != "detect":
        raise ModelError(f"{path} has no card of a detector: convert it with one, or use the packaged model face")
    return model
