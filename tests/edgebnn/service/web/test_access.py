from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.edgebnn.service.web.conftest import HTML, TOKEN, Site, cookie_header, form_token

Start = Callable[..., Site]


@pytest.fixture
def site(start: Start) -> Site:
    """On this machine only, without a token."""
    return start()


@pytest.fixture
def guarded(start: Start) -> Site:
    """With a token."""
    return start(token=TOKEN)


# Sign in


def test_without_a_token_this_machine_may_look(site: Site) -> None:
    assert site.browser().get("/").status_code == 200
    assert site.browser().get("/login").status_code == 303


def test_a_stranger_sees_the_login_page_and_its_style_alone(guarded: Site) -> None:
    client = guarded.browser()
    answer = client.get("/")
    assert answer.status_code == 303 and answer.headers["location"] == "/login?next=/"
    for path in ("/live", "/metrics", "/stream", "/nothing", "/post", "/logout"):
        assert guarded.ask(path).status_code == 401, path
    assert guarded.ask("/post", "POST", data={"x": "1"}).status_code == 401
    login = client.get("/login").text
    assert 'name="token"' in login and ">Home<" not in login  # no navigation either
    assert client.get("/static/edgebnn.css").status_code == 200
    assert guarded.posted == []


def test_login_swaps_the_token_for_a_cookie(guarded: Site) -> None:
    client = guarded.browser()
    answer = client.post("/login?next=/live", data={"token": f" {TOKEN}\n"})
    assert answer.status_code == 303 and answer.headers["location"] == "/live"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie and TOKEN not in cookie
    assert client.get("/live").json()["values"] == {"fps": 9.5, "nothing": None}
    assert client.get("/login").status_code == 303  # no need for it


def test_each_sign_in_has_a_session_of_its_own_and_sign_out_ends_it(guarded: Site) -> None:
    phone, desk = guarded.signed_in(), guarded.signed_in()
    ids = [*phone.cookies.values(), *desk.cookies.values()]
    assert len(set(ids)) == 2
    kept = cookie_header(phone)
    assert phone.post("/logout", data={"form_token": form_token(phone)}).status_code == 303
    assert not phone.cookies
    assert guarded.ask("/", headers={**HTML, **kept}).status_code == 303
    assert desk.get("/").status_code == 200


def test_a_session_is_never_taken_from_outside(guarded: Site) -> None:
    """No fixation: the id before signing in is worth nothing after it, a made-up one never."""
    client = guarded.browser()
    client.get("/login")
    before = cookie_header(client)
    (name,) = client.cookies
    client.post("/login", data={"token": TOKEN})
    assert cookie_header(client) != before
    for cookie in (before["Cookie"], f"{name}={43 * 'a'}", f"{name}=x", "=;=;é", 2000 * "a=b;"):
        assert guarded.ask("/", headers={**HTML, "Cookie": cookie}).status_code == 303


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é", 3000 * "a"])
def test_a_wrong_token(guarded: Site, token: str) -> None:
    client = guarded.browser()
    answer = client.post("/login", data={"token": token})
    assert answer.status_code == 401 and "The token is wrong." in answer.text
    assert client.get("/").status_code == 303


def test_guessing_is_slowed_down_also_with_the_right_token(guarded: Site) -> None:
    client = guarded.browser()
    assert [client.post("/login", data={"token": "wrong"}).status_code for _ in range(6)] == 5 * [401] + [429]
    answer = client.post("/login", data={"token": TOKEN})
    assert answer.status_code == 429 and 0 < int(answer.headers["retry-after"]) <= 12
    assert guarded.ask("/live", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401


def test_programs_send_the_token_itself(guarded: Site) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    text = guarded.ask("/metrics", headers=headers).text
    frames = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    assert frames["edgebnn_test_frames_total"] == 7
    assert guarded.ask("/post", "POST", headers=headers, json={"x": "1"}).status_code == 200
    assert guarded.posted == [{"x": "1"}]
    for wrong in ("Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer", "Bearer é"):
        assert guarded.ask("/live", headers={"Authorization": wrong}).status_code == 401
    assert "set-cookie" not in guarded.ask("/", headers={**headers, **HTML}).headers


def test_the_token_is_not_taken_from_the_address(guarded: Site) -> None:
    assert guarded.ask(f"/live?token={TOKEN}").status_code == 401


def test_after_signing_in_one_stays_here(guarded: Site) -> None:
    targets = ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/login", "/a\r\nX: y", ""]
    for target in targets:
        answer = guarded.browser().post("/login", params={"next": target}, data={"token": TOKEN})
        assert answer.headers["location"] == "/" and "x" not in answer.headers, target


def test_sessions_outlive_a_restart_but_not_a_new_token(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "sessions.json"
    first = start(token=TOKEN, state=state)
    browser = first.signed_in()
    cookies = cookie_header(browser)
    assert state.stat().st_mode & 0o777 == 0o600
    assert all(value not in state.read_text() for value in (*browser.cookies.values(), TOKEN))
    assert start(token=TOKEN, state=state).ask("/", headers={**HTML, **cookies}).status_code == 200
    other = start(token=TOKEN + "2", state=state)
    assert other.ask("/", headers={**HTML, **cookies}).status_code == 303


def test_the_host_header_opens_no_path(guarded: Site) -> None:
    """The address of a request is put together from Host and path: only the path may decide what is open."""
    for host in ("127.0.0.1/static/", "127.0.0.1/login?", "localhost/static/x"):
        answer = guarded.ask("/live", headers={"Host": host})
        assert answer.status_code in (400, 401, 421) and "fps" not in answer.text, host
    for path in ("/login-history", "/login/x", "/static", "//static/x", "/static/../live", "/STATIC/x"):
        assert guarded.ask(path).status_code in (401, 404, 307), path


# Host


def test_only_our_names_are_answered(start: Start) -> None:
    site = start(allowed_hosts=["Bedroom.home.arpa"])
    name = socket.gethostname()
    addresses = ["127.0.0.1", "127.0.0.1:8080", "[::1]:80", "192.168.1.20"]
    for host in (*addresses, "localhost:1", "LOCALHOST", "localhost.", name, f"{name}.local", "bedroom.home.arpa"):
        assert site.ask("/live", headers={"Host": host}).status_code == 200, host
    odd = ["127.0.0.1/static/", "127.0.0.1?a", "127.0.0.1#a", "@127.0.0.1", "127.0.0.1:80:80", "localhost:x", "[::1"]
    foreign = [
        *odd,
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "user@evil.example",
        "[",
        "",
        "é",
        "a b",
    ]
    for host in foreign:
        answer = site.ask("/live", headers={"Host": host})
        assert answer.status_code == 421 and "allowed_hosts" in answer.json()["error"], host


# Forms and other sites


def test_a_form_of_ours_is_taken(site: Site) -> None:
    client = site.browser()
    token = form_token(client)
    same = {"Origin": site.url, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
    assert client.post("/post", data={"x": "1", "form_token": token}, headers=same).status_code == 200
    assert client.post("/post", data={"x": "2", "form_token": token}).status_code == 200
    assert client.post("/post", json={"x": "3"}, headers={"X-Form-Token": token}).status_code == 200
    files = {"upload": ("a.txt", b"content")}
    assert client.post("/post", data={"form_token": token}, files=files).status_code == 200
    assert [item.get("x") for item in site.posted] == ["1", "2", "3", None]


def test_a_form_of_another_site_is_refused_even_with_our_token(site: Site) -> None:
    client = site.browser()
    token = form_token(client)
    foreign = [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "nonsense"},
    ]
    for headers in foreign:
        assert client.post("/post", data={"form_token": token}, headers=headers).status_code == 403, headers
    assert site.posted == []


def test_a_form_without_the_right_token_is_refused(site: Site) -> None:
    client, other = site.browser(), site.browser()
    form_token(client)
    for data in ({}, {"form_token": ""}, {"form_token": "0" * 64}, {"form_token": form_token(other)}):
        assert client.post("/post", data=data).status_code == 403
    assert client.post("/post", json={"form_token": "x"}).status_code == 403
    assert client.post("/post", files={"form_token": ("a", b"x")}).status_code == 403
    assert client.post("/post", content=b"\xff\x00", headers={"Content-Type": "multipart/form-data"}).status_code == 403
    assert site.ask("/post", "POST", data={"form_token": form_token(client)}).status_code == 403  # no cookie
    assert site.posted == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "POST"])
def test_every_method_that_changes_is_checked(site: Site, method: str) -> None:
    assert site.ask("/post", method).status_code == 403


def test_a_form_stays_good_over_a_restart(start: Start) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    first = start(port=port)
    client = first.browser()
    token = form_token(client)
    first.server.stop()
    second = start(port=port)
    assert client.post("/post", data={"form_token": token, "x": "1"}).status_code == 200
    assert second.posted == [{"form_token": token, "x": "1"}]


def test_other_sites_link_but_do_not_embed(site: Site) -> None:
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    for mode, status in (("no-cors", 403), ("cors", 403), ("navigate", 200)):
        assert site.ask("/live", headers={**elsewhere, "Sec-Fetch-Mode": mode}).status_code == status


def test_a_link_from_elsewhere_does_not_sign_out(guarded: Site) -> None:
    """Browsers hold a Strict cookie back then; the answer asks them again and sets none."""
    answer = guarded.ask("/", headers={**HTML, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert answer.status_code == 200 and 'http-equiv="refresh"' in answer.text and "set-cookie" not in answer.headers


# Headers, errors, files


def test_every_answer_has_the_security_headers(guarded: Site) -> None:
    client = guarded.signed_in()
    answers = [client.get(path) for path in ("/", "/live", "/nothing", "/fail", "/static/edgebnn.css", "/refuse")]
    answers += [guarded.ask("/"), guarded.ask("/", headers={"Host": "evil.example"}), client.post("/post")]
    assert {answer.status_code for answer in answers} == {200, 401, 403, 404, 409, 421, 500}
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] in ("no-store", "no-cache")
        assert "server" not in answer.headers


def test_errors_are_pages_for_browsers_and_json_for_programs(site: Site) -> None:
    for path, status, sentence in (
        ("/nothing", 404, "There is nothing here."),
        ("/refuse", 409, "Somebody else did that."),
        ("/fail", 500, "Something went wrong here; the log says what."),
        ("/post", 405, "This cannot be done here."),
    ):
        answer = site.ask(path)
        assert answer.status_code == status and answer.json() == {"error": sentence}
        answer = site.browser().get(path)
        assert answer.status_code == status and f"<p>{sentence}</p>" in answer.text and "Traceback" not in answer.text


def test_no_file_outside_static(site: Site) -> None:
    paths = [
        "/static/../secret.txt",
        "/static/..%2fsecret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/..\\secret.txt",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/own.css%00.js",
        "/static/" + 5000 * "a",
        "/static/",
        "/static",
        "/static/%ff",
    ]
    for path in paths:
        with socket.create_connection(("127.0.0.1", site.server.port), timeout=20) as raw:  # httpx would tidy the path
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: raw.recv(65536), b""))
        assert int(answer.split()[1]) in (307, 400, 404, 405), path
        assert b"not for browsers" not in answer and b"root:" not in answer


def test_static_files_of_the_package_and_the_application(site: Site) -> None:
    for name, kind in (("edgebnn.css", "text/css"), ("live.js", "javascript"), ("own.css", "text/css")):
        answer = site.ask(f"/static/{name}")
        assert answer.status_code == 200 and kind in answer.headers["content-type"]
        again = site.ask(f"/static/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


# Bodies


def chunks(count: int, size: int = 1000) -> Iterator[bytes]:
    for _ in range(count):
        yield size * b"x"


def test_large_bodies_are_refused_early_also_chunked(guarded: Site) -> None:
    client = guarded.browser()
    client.headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/octet-stream"}
    assert client.post("/post", content=b"x" * 65536).status_code == 200
    answer = client.post("/post", content=b"x" * 65537)
    assert answer.status_code == 413 and "At most 65536 bytes" in answer.json()["error"]
    assert client.post("/post", content=chunks(60)).json() == {"received": 60_000}
    assert client.post("/post", content=chunks(66)).status_code == 413
    assert client.post("/import", content=chunks(900)).json() == {"received": 900_000}
    assert client.post("/import", content=chunks(1001)).status_code == 413


def test_a_body_that_lies_about_its_length(guarded: Site) -> None:
    head = f"POST /post HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    for length in ("99999999999999999999", "-1", "1e3", "٣"):
        with socket.create_connection(("127.0.0.1", guarded.server.port), timeout=20) as raw:
            raw.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
            assert int(raw.recv(1000).split()[1]) in (400, 413)


def test_a_body_cut_off(guarded: Site) -> None:
    head = f"POST /post HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection(("127.0.0.1", guarded.server.port)) as raw:
        raw.sendall(head.encode() + b"half")
    assert guarded.signed_in().get("/").status_code == 200 and guarded.posted == []


def test_a_bomb_of_form_fields(guarded: Site) -> None:
    client = guarded.signed_in()
    body = "&".join(f"a{index}=1" for index in range(5000))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/post", content=body, headers=headers).status_code == 403
    assert client.post("/login", content=body, headers=headers).status_code in (400, 401)


def test_no_body_makes_it_fail(guarded: Site) -> None:
    """Whatever comes as a form: an answer of the 400s, never a bug."""
    client = guarded.signed_in()
    random = Random(7)
    kinds = [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-7",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        'multipart/form-data; charset=no-such; boundary="x"',
        "multipart/form-data; boundary=" + 300 * "y",
        "application/json",
        "nonsense; =;;",
        "",
    ]
    pieces = [
        b"--x",
        b"\r\n",
        b"--x--",
        b'Content-Disposition: form-data; name="a"; filename="',
        b"=",
        b"&",
        b"%",
        b"%ff",
        b"form_token",
        b"\x00\xff",
        b"Content-Type: text/plain",
        b"\r\n\r\n",
        b'"',
        b"a" * 3000,
    ]
    for _ in range(150):
        body = b"".join(random.choices(pieces, k=random.randrange(12)))
        for path in ("/post", "/login"):
            answer = client.post(path, content=body, headers={"Content-Type": random.choice(kinds)})
            assert answer.status_code in (400, 401, 403, 429), (path, body)
    assert guarded.posted == []


def test_live_names_the_instance(start: Start) -> None:
    first, second = (json.loads(start().ask("/live").text)["instance"] for _ in range(2))
    assert first != second
