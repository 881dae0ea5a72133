"""What Prometheus reads at /metrics."""

from __future__ import annotations

from functools import partial

from edgebnn.service.metrics import Metrics
from edgebnn_face.pipeline import Pipeline, Result
from edgebnn_face.presence import Event

LATENCIES_S = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5)


class Measures:
    """Counts what a pipeline does, in `metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        """All at zero."""
        self._frames = metrics.counter("frames", "Frames that were looked at.")
        self._latency = metrics.histogram(
            "latency_seconds", "From the capture of a frame to its result.", buckets=LATENCIES_S
        )
        self._inference = metrics.histogram("inference_seconds", "The network's share.", buckets=LATENCIES_S)
        self._events = metrics.counter("events", "People who came or left, changes of the count.", labels=("kind",))
        self._people = metrics.gauge("people", "How many are there.")
        self._camera = metrics.gauge("camera_up", "1 while the camera sends pictures.")
        self._camera_fps = metrics.gauge("camera_fps", "Frames per second of the camera.")
        self._losses = metrics.gauge("camera_losses", "How often the camera was lost or stuck since the start.")
        self._dropped = metrics.gauge("camera_bad_frames", "Frames that were none, by reason.", labels=("reason",))

    def watch(self, pipeline: Pipeline) -> None:
        """Ask `pipeline` and its camera at each scrape."""
        camera = pipeline.camera
        self._people.set_function(lambda: pipeline.figures.count)
        self._camera.set_function(lambda: camera.status.state == "streaming")
        self._camera_fps.set_function(lambda: camera.fps)
        self._losses.set_function(lambda: camera.losses)
        for reason in ("empty", "dtype", "shape", "size"):
            self._dropped.labels(reason).set_function(partial(camera.dropped.__getitem__, reason))

    def count(self, result: Result) -> None:
        """A frame."""
        self._frames.inc()
        self._latency.observe(result.latency_ms / 1e3)
        self._inference.observe(result.inference_ms / 1e3)
        for event in result.events:
            self.count_event(event)

    def count_event(self, event: Event) -> None:
        """An event."""
        self._events.labels(event.kind).inc()
