from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgebnn.camera.clock import SimulatedClock
from edgebnn.camera.files import MAX_PIXELS, Folder, Picture, Video, find, read_picture
from edgebnn.errors import InputError


def write(path: Path, rgb: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes())
    return path


def write_video(path: Path, *, frames: int = 12, fourcc: str = "mp4v", size: tuple[int, int] = (64, 48)) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), 10, size)
    for i in range(frames):
        frame = np.zeros((size[1], size[0], 3), np.uint8)
        frame[:, : 4 * (i + 1)] = (0, 0, 250)
        writer.write(frame)
    writer.release()
    return path


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + bytes(12)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp", ".ppm", ".jpg"])
def test_pictures_are_rgb(tmp_path: Path, square: np.ndarray, suffix: str) -> None:
    image = read_picture(write(tmp_path / f"a{suffix}", square))
    assert image.dtype == np.uint8 and image.shape == square.shape
    assert np.abs(image.astype(int) - square)[30:60, 55:90].max() <= 6


def test_odd_pictures_become_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((5, 7), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "alpha.png"), np.full((5, 7, 4), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((5, 7, 3), 77 * 257, np.uint16))
    for name in ("grey", "alpha", "deep"):
        image = read_picture(tmp_path / f"{name}.png")
        assert image.shape == (5, 7, 3) and image.dtype == np.uint8 and (image == 77).all()


def test_exif_turns_the_picture(tmp_path: Path) -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:20, :20] = 255
    jpeg = write(tmp_path / "a.jpg", picture).read_bytes()
    (tmp_path / "turned.jpg").write_bytes(with_orientation(jpeg, 6))
    turned = read_picture(tmp_path / "turned.jpg")
    assert turned.shape == (80, 40, 3)
    assert turned[10, 30].min() > 200 and turned[10, 10].max() < 50


@pytest.mark.parametrize("name", ["grün 100%.jpg", "%03d.jpg", "http:a.jpg", os.fsdecode(b"\xff\xfe.jpg")])
def test_odd_names(tmp_path: Path, square: np.ndarray, name: str) -> None:
    (tmp_path / name).write_bytes(write(tmp_path / "a.jpg", square).read_bytes())
    assert read_picture(tmp_path / name).shape == square.shape


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jpg", b"", "empty"),
        ("a.jpg", b"\xff\xd8\xff", "end too early"),
        ("a.jpg", b"hello", "damaged or of an unknown format"),
        ("a.txt", b"hello", "no picture .*nor|no picture .*not that of a video"),
        ("a.png", png_header(20000, 20000), "at most 128 megapixels, got 20000x20000"),
        ("a.png", png_header(8, 8), "damaged"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "damaged"),
    ],
)
def test_what_is_no_picture(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_picture(tmp_path / name)


def test_a_large_jpeg_is_refused_by_its_header(tmp_path: Path, square: np.ndarray) -> None:
    jpeg = bytearray(write(tmp_path / "a.jpg", square).read_bytes())
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65500, 65500)
    assert MAX_PIXELS < 65500**2
    (tmp_path / "a.jpg").write_bytes(jpeg)
    with pytest.raises(InputError, match="65500x65500"):
        read_picture(tmp_path / "a.jpg")


def test_every_truncation_is_noticed_or_harmless(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    for suffix in (".jpg", ".png"):
        whole = write(tmp_path / f"whole{suffix}", picture).read_bytes()
        path = tmp_path / f"cut{suffix}"
        for end in range(0, len(whole) - 12, 7):
            path.write_bytes(whole[:end])
            with pytest.raises(InputError):
                read_picture(path)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_picture(tmp_path / "nothing.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(InputError, match="got something else"):
        read_picture(tmp_path / "pipe.jpg")
    with pytest.raises(InputError):
        read_picture(Path("a\0b.jpg"))
    with pytest.raises(InputError):
        read_picture(tmp_path / ("x" * 300))


def test_a_folder_is_its_pictures(pictures: Path) -> None:
    for given in (str(pictures), f"{pictures}/"):
        found = find(given)
        assert [source.name for source in found] == [
            f"{pictures}/{name}" for name in ("a.jpg", "broken.jpg", "sub/b.png")
        ]
        assert [str(source.relative) for source in found] == ["a.jpg", "broken.jpg", "sub/b.png"]


def test_names_stay_as_given(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pictures)
    assert [source.name for source in find("./a.jpg")] == ["./a.jpg"]
    assert [source.name for source in find("sub")] == ["sub/b.png"]
    assert [source.name for source in find("./sub//")] == ["./sub//b.png"]


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures"):
        find(str(tmp_path))


def test_a_picture_is_a_source_of_one_frame(pictures: Path) -> None:
    with Picture(pictures / "a.jpg") as source:
        frames = list(source)
    assert [(frame.sequence, frame.timestamp_ns, frame.image.shape) for frame in frames] == [(0, 0, (128, 192, 3))]
    assert source.name == str(pictures / "a.jpg")


@pytest.mark.parametrize(("name", "fourcc"), [("a.mp4", "mp4v"), ("a.AVI", "MJPG")])
def test_frames_of_a_video(tmp_path: Path, name: str, fourcc: str) -> None:
    (source,) = find(str(write_video(tmp_path / name, fourcc=fourcc)))
    assert isinstance(source, Video)
    with source:
        frames = list(source)
    assert [frame.sequence for frame in frames] == list(range(12)) and source.fps == pytest.approx(10)
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)
    assert frames[5].image[24, 3, 0] > 150 and frames[5].image[24, 3, 2] < 100  # red stays red
    assert np.diff([frame.timestamp_ns for frame in frames]) == pytest.approx(1e8, rel=0.01)
    assert len({frame.image.ctypes.data for frame in frames}) == 12


def test_a_paced_video_takes_its_time(tmp_path: Path) -> None:
    clock = SimulatedClock(10**12)
    with Video(write_video(tmp_path / "a.mp4"), paced=True, clock=clock) as source:
        frames = list(source)
    assert source.paced and not Video(tmp_path / "a.mp4").paced
    assert [(frame.timestamp_ns - 10**12) / 1e9 for frame in frames] == pytest.approx(np.arange(12) / 10)


def test_a_folder_as_one_source(pictures: Path, tmp_path: Path) -> None:
    with Folder(pictures, name="album") as source:
        frames = list(source)
    assert source.name == "album" and not source.live and not source.paced
    assert [(frame.sequence, frame.image.shape) for frame in frames] == [
        (0, (128, 192, 3)),
        (1, (0, 0, 3)),  # broken.jpg
        (2, (128, 192, 3)),
    ]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no pictures"):
        list(Folder(tmp_path / "nothing"))


def test_damaged_videos(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.avi", frames=60, fourcc="MJPG", size=(320, 240)).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    frames = []
    with pytest.raises(InputError, match=r"damaged: \d+ of 60"), Video(tmp_path / "cut.avi") as source:
        for frame in source:
            frames.append(frame)
    assert 0 < len(frames) < 60
    for content in (b"", b"hello" * 100, write_video(tmp_path / "a.mp4").read_bytes()[:300]):
        (tmp_path / "cut.mp4").write_bytes(content)
        with pytest.raises(InputError, match="cannot be opened"), Video(tmp_path / "cut.mp4") as source:
            list(source)
    with pytest.raises(InputError, match="no such file"):
        list(Video(tmp_path / "nothing.mp4"))


def test_a_video_may_be_left_early(tmp_path: Path) -> None:
    with Video(write_video(tmp_path / "a.mp4")) as source:
        next(iter(source))
    with Video(tmp_path / "a.mp4") as source:
        assert len(list(source)) == 12
