from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from edgebnn.service.metrics import Metrics


def test_names_values_and_the_process() -> None:
    metrics = Metrics("face")
    metrics.counter("frames", "Frames processed.").inc(3)
    metrics.gauge("temperature_celsius", "Of the processor.").set(51.5)
    metrics.histogram("latency_seconds", "End to end.", buckets=(0.1, 1)).observe(0.5)
    metrics.counter("commands", "Commands.", ["kind"]).labels("stop").inc()
    text, media_type = metrics.text()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert media_type.startswith("text/plain")
    assert samples["edgebnn_face_frames_total",] == 3
    assert samples["edgebnn_face_temperature_celsius",] == 51.5
    assert samples["edgebnn_face_latency_seconds_bucket", "0.1"] == 0
    assert samples["edgebnn_face_latency_seconds_bucket", "1.0"] == 1
    assert samples["edgebnn_face_commands_total", "stop"] == 1
    assert samples["process_resident_memory_bytes",] > 1e6


def test_services_in_one_process_do_not_meet() -> None:
    Metrics("face").counter("frames", "Frames.").inc()
    again = Metrics("face")
    again.counter("frames", "Frames.")
    assert b"edgebnn_face_frames_total 0.0" in again.text()[0]
