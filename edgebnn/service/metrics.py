"""Prometheus metrics of one service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebnn.errors import MissingExtraError

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_LATEST
    from prometheus_client.gc_collector import GCCollector
    from prometheus_client.process_collector import ProcessCollector
except ImportError:
    raise MissingExtraError("metrics need prometheus-client: run `pip install 'edgebnn[service]'`") from None

if TYPE_CHECKING:
    from collections.abc import Sequence


class Metrics:
    """A registry of its own, every name prefixed `edgebnn_<service>_`; with the process's memory, CPU and files.

    `counter("frames", "Frames processed.").inc()`; names in Prometheus's manner, units last (`latency_seconds`).
    Pass it to `make_app(..., metrics=...)`, which serves it at /metrics.
    """

    def __init__(self, service: str) -> None:
        """`service` as in `face`."""
        self.registry = CollectorRegistry()
        self._prefix = f"edgebnn_{service}"
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> Counter:
        """A number that only grows; Prometheus appends `_total`."""
        return Counter(name, description, labels, namespace=self._prefix, registry=self.registry)

    def gauge(self, name: str, description: str, labels: Sequence[str] = ()) -> Gauge:
        """A number that goes up and down; `gauge.set_function(f)` asks `f` at each scrape."""
        return Gauge(name, description, labels, namespace=self._prefix, registry=self.registry)

    def histogram(
        self, name: str, description: str, *, buckets: Sequence[float], labels: Sequence[str] = ()
    ) -> Histogram:
        """A distribution; `buckets` are upper bounds in the unit of the name."""
        return Histogram(name, description, labels, namespace=self._prefix, registry=self.registry, buckets=buckets)

    def text(self) -> tuple[bytes, str]:
        """The exposition and its media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
