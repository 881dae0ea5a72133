"""Memory of `edgebnn-face` over many frames, as fast as the machine goes.

    python -m tests.apps.edgebnn_face.soak --frames 200000

The real service in a process of its own: faces come and go before a synthetic camera, one browser watches the stream,
snapshots come and are deleted, lines of JSON are written for each frame, the MQTT broker is never there. Prints a line
of JSON; exits 1 when the resident memory grew more than it may after the warm-up, which is a tenth of the frames.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from tests.apps.edgebnn_face.process import running, until

CONFIG = """
json_lines = "frames"
[camera]
source = "synthetic:?fps=0&width=320&height=240&faces=2&shown=300&hidden=200"
[picture]
stream = true
blur_faces = true
[snapshots]
enabled = true
max_mb = 0.5
min_free_mb = 0
[presence]
enter_after_s = 0.05
leave_after_s = 0.2
[web]
port = 0
[mqtt]
host = "127.0.0.1"
port = 9
"""
MOST_GROWTH_KB = 5 * 1024


def soak(frames: int, folder: Path) -> dict[str, Any]:
    """Run so many frames; what was measured, memory in kB."""
    samples: list[tuple[int, int]] = []
    with running(folder, CONFIG) as face:
        threading.Thread(target=_watch, args=(face.url,), daemon=True).start()
        until(lambda: face.metric("stream_watchers") == 1, face)
        began = time.monotonic()
        while (done := int(face.metric("frames_total"))) < frames:
            samples.append((done, face.rss_kb()))
            del face.lines[:-100]
            time.sleep(min(2.0, max(0.05, frames / 1e5)))
        seconds = time.monotonic() - began
        visits = face.metric('events_total{kind="enter"}')
        snapshots = len(list((face.state / "snapshots").iterdir()))
        code = face.stop()
    warm = [rss for done, rss in samples if done >= frames / 10]
    third = max(1, len(warm) // 3)
    return {
        "frames": frames,
        "seconds": round(seconds, 1),
        "rss_kb_warm": warm[0],
        "rss_kb_most": max(warm),
        "growth_kb": max(warm) - warm[0],
        "growth_kb_of_thirds": round(sum(warm[-third:]) / third - sum(warm[:third]) / third),
        "rss_kb_each_tenth": [next(rss for done, rss in samples if done >= k * frames // 10) for k in range(1, 10)],
        "visits": int(visits),
        "snapshots_left": snapshots,
        "exit_code": code,
    }


def _watch(url: str) -> None:
    with suppress(httpx.HTTPError), httpx.stream("GET", f"{url}/stream.mjpg", timeout=None) as answer:
        for _ in answer.iter_bytes():
            pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200_000)
    with tempfile.TemporaryDirectory() as name:
        figures = soak(parser.parse_args().frames, Path(name))
    print(json.dumps(figures))
    sys.exit(figures["growth_kb"] > MOST_GROWTH_KB or figures["exit_code"] != 0)
