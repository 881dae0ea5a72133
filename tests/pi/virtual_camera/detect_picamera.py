"""On Debian, with a real picamera2: our camera source finds the face that libcamera's virtual camera shows.

The virtual pipeline is no Raspberry Pi's, and picamera2 is written for one. Three crutches stand for what is missing
(the fourth is dma_heap.c): modules that picamera2 only imports (pykms, pidng), no raw modes of a sensor, and the frame
buffers of libcamera's own allocator, since picamera2's makes one plane where NV12 has two.

python3 detect_picamera.py [FOLDER]    where to write a frame of each stream
"""

from __future__ import annotations

import sys
from typing import Any
from unittest.mock import MagicMock

for name in ("pykms", "pidng", "pidng.camdefs", "pidng.core"):
    sys.modules[name] = MagicMock()

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from picamera2 import Picamera2  # noqa: E402
from picamera2.allocators import LibcameraAllocator  # noqa: E402

from edgebnn import samples  # noqa: E402
from edgebnn.camera.camera import Camera  # noqa: E402
from edgebnn.camera.open import open_source  # noqa: E402
from edgebnn.runtime.model import Model  # noqa: E402

make = Picamera2.__init__


def make_with_planes(self: Any, *arguments: Any, **options: Any) -> None:
    make(self, *arguments, allocator=object(), **options)
    self.allocator = LibcameraAllocator(self.camera)


Picamera2.__init__ = make_with_planes
Picamera2._get_raw_modes = lambda self: [{"format": "SRGGB8", "size": (640, 480)}]

SHOWN = "/opt/photograph.jpg"
"""As virtual.yaml has it."""
FRAMES = 40
"""Many more than the camera has buffers, and all are kept."""
results: list[bool] = []


def check(what: str, good: bool) -> None:
    results.append(bool(good))
    print(f"{'ok' if good else 'FAILED'}: {what}", flush=True)


def only_box(image: Any) -> Any:
    found = model.detect(image)
    return found.boxes[0] if len(found) == 1 else np.zeros(4)


def overlap(a: Any, b: Any) -> float:
    """Intersection over union of two boxes x, y, width, height."""
    shared = np.clip(np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(shared / max(1e-9, a[2:].prod() + b[2:].prod() - shared))


picture = cv2.resize(cv2.imread(str(samples.photograph()))[:384], (640, 480))
cv2.imwrite(SHOWN, picture)
photograph = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
model = Model("face")
for opening in ("first", "second"):
    camera, last, kept = Camera(open_source("picamera:0", width=640, height=480, fps=30)), -1, []
    camera.start()
    while len(kept) < FRAMES and (frame := camera.latest(last, timeout_s=20)) is not None:
        last = frame.sequence
        kept.append(frame)
    check(f"{opening} opening: {len(kept)} frames, {camera.status.state} {camera.status.reason}", len(kept) == FRAMES)
    check("they end with the capture thread", camera.close(timeout_s=20))
    if len(kept) < FRAMES:
        continue
    stamps = [frame.timestamp_ns for frame in kept]
    rate = 1e9 * (len(stamps) - 1) / (stamps[-1] - stamps[0])
    check(f"timestamps rise, {rate:.1f} a second", stamps == sorted(stamps))
    frame = kept[0]
    check(
        f"the eye's {frame.image.shape}, the model's {frame.small.shape}",
        (frame.image.shape, frame.small.shape) == ((480, 640, 3), (240, 320, 3)),
    )
    for image in (kept[0].image, kept[-1].image, kept[0].small):
        size = image.shape[1], image.shape[0]
        there = cv2.resize(photograph, size, interpolation=cv2.INTER_AREA)
        # The pipeline passes a JPEG's luma on, 0 to 255, and calls it 16 to 235.
        stretched = np.clip((there - 16.0) * 255 / 219, 0, 255)
        mean = np.abs(image - stretched).mean()
        check(f"{size}: {mean:.1f} grey levels from the photograph in the mean", mean < 4)
        common = overlap(only_box(image), only_box(stretched.round().astype(np.uint8)))
        check(f"{size}: the face, IoU {common:.3f} with the photograph's", common >= 0.9)
    if len(sys.argv) > 1:
        for name, image in (("eye", frame.image), ("model", frame.small)):
            cv2.imwrite(f"{sys.argv[1]}/{name}.png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
sys.exit(not all(results))
