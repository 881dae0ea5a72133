from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgebnn.camera.clock import SimulatedClock
from edgebnn.camera.frame import Frame, fault
from edgebnn.camera.synthetic import BAD, Scene, Synthetic, parse_scene
from edgebnn.errors import InputError, UnavailableError
from edgebnn.runtime.model import Model
from edgebnn.samples import annotation


def camera(**options: object) -> Synthetic:
    scene = Scene(**{"width": 64, "height": 48, **options})  # type: ignore[arg-type]
    return Synthetic(scene, clock=SimulatedClock())


def session(source: Synthetic, most: int | None = None) -> tuple[list[Frame], str]:
    """The frames of one opening, and how it ended."""
    frames: list[Frame] = []
    try:
        with source:
            for frame in itertools.islice(source, most):
                frames.append(frame)
    except UnavailableError as error:
        return frames, str(error)
    return frames, ""


def test_options_make_the_scene() -> None:
    scene = parse_scene({"faces": "2", "fps": "7.5", "width": "320", "bad": "dtype"}, height=200)
    assert scene == Scene(width=320, height=200, fps=7.5, faces=2, bad="dtype")
    assert parse_scene({}) == Scene()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"face": "2"}, "expected options out of .*faces.*, got 'face'"),
        ({"faces": "two"}, "expected faces as a whole number between 0 and 32, got 'two'"),
        ({"faces": "1.5"}, "whole number"),
        ({"faces": "-1"}, "between 0 and 32"),
        ({"fps": "nan"}, "expected fps as a number between 0 and 1000, got 'nan'"),
        ({"width": "0"}, "between 16 and 8192"),
        ({"bad": "ugly"}, "expected bad out of empty, dtype, shape, size, got 'ugly'"),
    ],
)
def test_wrong_options(options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_scene(options)


@pytest.mark.parametrize(("faces", "size"), [(1, (640, 480)), (2, (640, 480)), (3, (1280, 720))])
def test_the_detector_finds_the_faces_where_they_are(faces: int, size: tuple[int, int]) -> None:
    source, model = Synthetic(Scene(width=size[0], height=size[1], faces=faces)), Model("face")
    for number in (1, 40, 90):
        found = model.detect(source.picture(number))
        boxes = source.boxes(number)
        assert len(found) == len(boxes) == faces
        for x, y, w, h in boxes:
            centres = found.boxes[:, :2] + found.boxes[:, 2:] / 2
            nearest = np.abs(centres - [x + w / 2, y + h / 2]).max(axis=1).min()
            assert nearest < 0.2 * w and min(x, y) >= 0 and x + w <= size[0] and y + h <= size[1]


def test_the_face_is_the_photographs() -> None:
    _, _, w, h = annotation()["box"]
    (box,) = Synthetic(Scene(width=640, height=480, size=0.25)).boxes(3)
    assert box[3] == pytest.approx(120, abs=1) and box[2] / box[3] == pytest.approx(w / h, rel=0.01)


def test_frames_come_at_their_rate_and_differ() -> None:
    source = camera(fps=10, frames=30, faces=0)
    assert source.paced and source.live
    frames, _ = session(source)
    assert [frame.sequence for frame in frames] == list(range(30)) and not source.live
    assert {round(gap) for gap in np.diff([frame.timestamp_ns for frame in frames])} == {100_000_000}
    assert all((a.image != b.image).any() for a, b in itertools.pairwise(frames))
    assert all(fault(frame.image) is None and frame.image.shape == (48, 64, 3) for frame in frames)


def test_a_frame_depends_on_its_number_only() -> None:
    (frame, *_), _ = session(camera(), 1)
    assert (frame.image == camera().picture(1)).all()
    assert not camera(fps=0).paced


def test_faces_come_and_go() -> None:
    source = camera(shown=3, hidden=2, faces=2)
    assert [len(source.boxes(number)) for number in range(1, 11)] == [2, 2, 2, 0, 0, 2, 2, 2, 0, 0]


def test_missing_lost_and_back() -> None:
    source = camera(missing=2, lost_after=5, lost_for=1, frames=8)
    ends = [session(source) for _ in range(5)]
    assert [len(frames) for frames, _ in ends] == [0, 0, 5, 0, 3]
    assert ["missing" in end for _, end in ends] == [True, True, False, True, False]
    assert "unplugged" in ends[2][1] and ends[4][1] == "" and source.openings == 5 and not source.live
    assert [frame.sequence for frame in ends[4][0]] == [0, 1, 2]


def test_stuck_for_a_while() -> None:
    frames, _ = session(camera(stuck_after=4, stuck_for=3, frames=10))
    same = [bool((frame.image == frames[3].image).all()) for frame in frames]
    assert same == [False] * 3 + [True] * 4 + [False] * 3
    frames, _ = session(camera(stuck_after=4, frames=10))
    assert all((frame.image == frames[3].image).all() for frame in frames[3:])


@pytest.mark.parametrize("bad", BAD)
def test_bad_frames(bad: str) -> None:
    frames, _ = session(camera(bad_every=3, bad=bad, frames=7))
    reasons = [fault(frame.image) for frame in frames]
    if bad == "size":
        assert [frame.image.shape[0] for frame in frames] == [48, 48, 24, 48, 48, 24, 48]
    else:
        assert reasons == [None, None, bad, None, None, bad, None]
