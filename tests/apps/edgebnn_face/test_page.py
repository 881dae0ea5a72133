"""The page of the real service, asked by programs: access, streams, settings, snapshots."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from tests.apps.edgebnn_face.process import FaceProcess, running, until

TOKEN = "correct horse battery staple"
CONFIG = """
[camera]
source = "synthetic:?width=320&height=240&fps=30&faces=2&shown=60&hidden=40"
[picture]
stream = true
[snapshots]
enabled = true
min_free_mb = 0
[presence]
enter_after_s = 0.1
leave_after_s = 0.3
[web]
port = 0
"""
PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaceProcess]:
    """A page for this machine, without a token."""
    with running(tmp_path_factory.mktemp("face"), CONFIG) as process:
        yield process
        assert process.stop() == 0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaceProcess]:
    """A page behind a token."""
    environ = {"EDGEBNN_WEB_TOKEN": TOKEN}
    with running(tmp_path_factory.mktemp("guarded"), CONFIG, environ=environ) as process:
        yield process
        assert process.stop() == 0
        assert TOKEN not in process.text


def browser(face: FaceProcess) -> httpx.Client:
    return httpx.Client(base_url=face.url, headers=PAGE, timeout=30)


def form_token(text: str) -> str:
    return re.findall(r'name="form_token" value="(\w+)"', text)[0]


def open_stream(face: FaceProcess, *, small_buffer: bool = False) -> socket.socket:
    host, port = face.url.removeprefix("http://").split(":")
    client = socket.socket()
    if small_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(60)
    client.connect((host, int(port)))
    client.sendall(f"GET /stream.mjpg HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    return client


def pictures(client: socket.socket, count: int) -> list[bytes]:
    data = b""
    while data.count(b"\xff\xd9\r\n--picture") < count:
        data += (chunk := client.recv(65536))
        assert chunk, f"the stream ended after {len(data)} bytes: {data[:300]!r}"
    return re.findall(rb"\r\n\r\n(\xff\xd8.*?\xff\xd9)\r\n--picture", data, re.DOTALL)


def test_the_stream_shows_different_pictures_with_boxes(face: FaceProcess) -> None:
    with open_stream(face) as client:
        until(lambda: face.live()["count"] == 2, face)
        shown = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in pictures(client, 20)]
    assert {picture.shape for picture in shown} == {(240, 320, 3)}
    assert any((shown[0] != picture).any() for picture in shown[1:])
    # somewhere is a saturated line, as only boxes are
    saturation = [cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)[:, :, 1].astype(int) for picture in shown]
    assert max((s > 120).sum() for s in saturation) > 200


def test_200_watchers_of_which_50_read_nothing(face: FaceProcess) -> None:
    watchers = [open_stream(face, small_buffer=True) for _ in range(50)]  # these never read
    watchers += [open_stream(face) for _ in range(150)]
    try:
        until(lambda: face.metric("stream_watchers") == 200, face)
        frames = face.metric("frames_total")
        for client in watchers[50:]:
            assert len(pictures(client, 3)) >= 3
        until(lambda: face.metric("frames_total") > frames + 60, face)
        assert face.live()["state"] == "streaming"
    finally:
        for client in watchers:
            client.close()
    until(lambda: face.metric("stream_watchers") == 0, face)
    assert face.rss_kb() < 400_000


def test_half_sent_requests_keep_nobody_out(face: FaceProcess) -> None:
    host, port = face.url.removeprefix("http://").split(":")
    lorises = [socket.create_connection((host, int(port))) for _ in range(280)]
    try:
        for loris in lorises:
            loris.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        for _ in range(30):
            assert httpx.get(face.url, headers=PAGE, timeout=30).status_code == 200
    finally:
        for loris in lorises:
            loris.close()


def test_only_who_knows_the_token_comes_in(guarded: FaceProcess) -> None:
    paths = (
        "/",
        "/stream.mjpg",
        "/live",
        "/metrics",
        "/settings",
        "/snapshots",
        "/snapshots/20260101T000000.000-1.jpg",
    )
    for path in paths:
        assert httpx.get(guarded.url + path).status_code == 401
        answer = httpx.get(guarded.url + path, headers=PAGE)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/login")
        assert httpx.get(guarded.url + path + f"?token={TOKEN}").status_code == 401  # never in an address
    for method in ("/settings", "/settings/reset", "/snapshots/delete"):
        assert httpx.post(guarded.url + method, data={"picture.stream": "off"}).status_code == 401
    with browser(guarded) as client:
        for wrong in ("wrong", "", TOKEN[:-1]):
            assert client.post("/login", data={"token": wrong}).status_code == 401
        assert client.get("/").status_code == 303
        answer = client.post("/login", data={"token": TOKEN})
        assert answer.status_code == 303 and answer.headers["location"] == "/"
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert client.get("/").status_code == 200
        with client.stream("GET", "/stream.mjpg") as stream:
            assert stream.status_code == 200 and b"--picture" in next(stream.iter_bytes())
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{guarded.url}/metrics", headers=bearer).status_code == 200


def test_other_sites_and_other_names_are_refused(face: FaceProcess) -> None:
    with browser(face) as client:
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
        assert client.get("/stream.mjpg", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        token = form_token(client.get("/settings").text)
        values = {"form_token": token, "detection.min_score": "0.6"}
        assert client.post("/settings", data=values, headers={"Origin": "http://evil.example"}).status_code == 403
        assert client.post("/settings", data=values | {"form_token": "0" * 64}).status_code == 403
        assert client.post("/settings", data={"detection.min_score": "0.6"}).status_code == 403
        assert client.get("/").headers["content-security-policy"].startswith("default-src 'none'")


def test_settings_change_while_it_runs(face: FaceProcess) -> None:
    with browser(face) as client:
        text = client.get("/settings").text
        token = form_token(text)
        assert 'name="detection.min_score"' in text and "camera.source" not in text
        answer = client.post("/settings", data={"form_token": token, "detection.min_size": "4000"})
        assert answer.status_code == 303 and answer.headers["location"] == "/settings?saved=1"
        until(lambda: face.live()["count"] == 0, face)
        wrong = client.post("/settings", data={"form_token": token, "detection.min_score": "7"})
        assert wrong.status_code == 422 and "detection.min_score = &#39;7&#39;" in wrong.text
        for key, value in (("camera.source", "synthetic:"), ("web.port", "1"), ("nonsense", "1")):
            assert client.post("/settings", data={"form_token": token, key: value}).status_code == 422
        saved = json.loads((face.state / "settings.json").read_text())
        assert saved == {"detection.min_size": 4000}
        assert client.post("/settings/reset", data={"form_token": token}).status_code == 303
        until(lambda: face.live()["count"] == 2, face)


def test_a_stream_that_is_off_shows_nothing(face: FaceProcess) -> None:
    with browser(face) as client:
        token = form_token(client.get("/settings").text)
        off = {"form_token": token, "next": "/", "picture.stream": "off"}
        assert client.post("/settings", data=off).headers["location"] == "/"
        try:
            assert client.get("/stream.mjpg").status_code == 403
            home = client.get("/").text
            assert "The picture is off" in home and "stream.mjpg" not in home
        finally:
            client.post("/settings", data=off | {"picture.stream": "on"})
        assert "stream.mjpg" in client.get("/").text


def test_snapshots_are_shown_and_deleted(face: FaceProcess) -> None:
    with browser(face) as client:
        until(lambda: 'src="/snapshots/' in client.get("/snapshots").text, face)
        text = client.get("/snapshots").text
        path = re.findall(r'src="(/snapshots/[^"]+)"', text)[0]
        answer = client.get(path)
        assert answer.headers["content-type"] == "image/jpeg" and answer.headers["cache-control"] == "no-store"
        picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (240, 320, 3)
        kept = [file.read_bytes() for file in (face.state / "snapshots").glob("*.jpg")]
        assert len(set(kept)) == len(kept)  # of those who come together, one picture
        for bad in ("..%2f..%2fsettings.json", "%2e%2e/settings.json", "settings.json", path[-40:] + "x", "%00.jpg"):
            assert client.get(f"/snapshots/{bad}").status_code == 404
        token = form_token(text)
        answer = client.post("/snapshots/delete", data={"form_token": token})
        assert answer.status_code == 303
        assert client.get(path).status_code == 404
        assert not (face.state / path[1:]).exists()


def test_live_values_and_metrics_agree(face: FaceProcess) -> None:
    live = face.live()
    assert live["source"].startswith("synthetic:") and float(live["fps"]) > 0 and float(live["latency"]) > 0
    assert face.metric("frames_total") > 0 and face.metric("camera_up") == 1
    assert face.metric('events_total{kind="enter"}') >= 1
    times = [event["time"] for event in live["events"]]
    assert all(time.strptime(t, "%H:%M:%S") for t in times) and len(times) <= 12


def test_a_wrong_path_is_a_page_with_a_sentence(face: FaceProcess) -> None:
    answer = httpx.get(f"{face.url}/nothing", headers=PAGE)
    assert answer.status_code == 404 and "There is nothing here." in answer.text


def test_sign_ins_last_over_a_restart(tmp_path: Path) -> None:
    environ = {"EDGEBNN_WEB_TOKEN": TOKEN}
    with running(tmp_path, CONFIG, environ=environ) as face:
        cookies = httpx.post(f"{face.url}/login", data={"token": TOKEN}, headers=PAGE).cookies
        face.stop()
    with running(tmp_path, CONFIG, environ=environ) as face:
        assert httpx.get(f"{face.url}/", cookies=cookies, headers=PAGE).status_code == 200
        assert face.stop() == 0
