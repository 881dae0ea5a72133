#!/usr/bin/env python3
"""Takes the screenshots of the face page: the real service on a clip of the bundled photograph, in Chromium."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from edgebnn.samples import photograph
from tests.apps.edgebnn_face.process import running, until

CHROMIUM = "/usr/bin/chromium"
CONFIG = """
[camera]
source = "{clip}"
[picture]
stream = true
stream_width = 960
[snapshots]
enabled = true
min_free_mb = 0
[presence]
leave_after_s = 1
[web]
port = 0
"""
VIEWS = {
    "face-page.png": {"viewport": {"width": 1120, "height": 820}, "device_scale_factor": 1},
    "face-page-phone.png": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
        "color_scheme": "dark",
    },
}


def write_film(path: Path, *, rounds: int) -> None:
    """A larger, longer clip than the demo's: the camera pans over the photograph, and twice somebody is away."""
    picture = cv2.imread(str(photograph()))
    size, fps = (960, 720), 15.0
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    for frame in range(rounds * 120):
        phase = 2 * np.pi * frame / 120
        centre = (256 + 25 * np.sin(phase), 190 + 10 * np.cos(phase))
        if 60 <= frame < 120 or 160 <= frame < 220:
            centre = (400.0, 420.0)
        turn = cv2.getRotationMatrix2D(centre, 4 * np.sin(2 * phase), 2.1 + 0.1 * np.cos(phase))
        turn[:, 2] += np.array(size) / 2 - centre
        video.write(cv2.warpAffine(picture, turn, size, borderMode=cv2.BORDER_REPLICATE))
    video.release()


def shrink(path: Path) -> None:
    """As few colours as a palette has, without a difference that one sees."""
    from PIL import Image

    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/figures"))
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        clip = Path(name) / "hall.mp4"
        write_film(clip, rounds=40)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with running(Path(name), CONFIG.format(clip=clip)) as face:
            until(lambda: len(face.live()["events"]) >= 5 and face.live()["count"] == 1, face)
            for file, view in VIEWS.items():
                page = browser.new_context(**view).new_page()
                page.goto(face.url)
                until(lambda page=page: page.evaluate("document.getElementById('stream').naturalWidth") == 960, face)
                time.sleep(6)
                page.screenshot(path=folder / file)
                shrink(folder / file)
                print(folder / file, (folder / file).stat().st_size)
        browser.close()


if __name__ == "__main__":
    main()
