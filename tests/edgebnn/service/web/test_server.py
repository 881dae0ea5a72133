from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgebnn.errors import ConfigError, UnavailableError
from edgebnn.service.settings import SecretStr, load_settings
from edgebnn.service.web import WebSettings, make_app, serve
from edgebnn.service.web_settings import is_loopback
from tests.edgebnn.service.web.conftest import TOKEN, Site


def test_a_port_in_use_is_said_with_the_cure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = WebSettings(port=other.getsockname()[1])
        with pytest.raises(UnavailableError, match=r"is in use: .*change web\.port") as caught:
            serve(make_app([], settings, title="Test"), settings)
        assert str(caught.value).startswith(f"127.0.0.1:{settings.port} ")
        assert caught.value.exit_code == 69


@pytest.mark.parametrize(
    ("host", "message"),
    [("192.0.2.1", "this machine does not have the address"), ("no.such.host.invalid", "is no address to listen on")],
)
def test_an_address_that_is_not_ours(host: str, message: str) -> None:
    settings = WebSettings(port=0, host=host, token=SecretStr(TOKEN))
    with pytest.raises(UnavailableError, match=message):
        serve(make_app([], settings, title="Test"), settings)


def test_it_stops_and_gives_the_port_back(start: Callable[..., Site]) -> None:
    site = start()
    site.browser().get("/")  # a connection that stays open
    port = site.server.port
    assert site.server.alive and site.server.stop() and not site.server.alive
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert site.server.stop()  # again: nothing to do
    assert "web" not in {thread.name for thread in threading.enumerate()}


def test_both_families(start: Callable[..., Site]) -> None:
    assert start(host="localhost").ask("/live").status_code == 200
    if socket.has_ipv6:
        try:
            site = start(host="::1")
        except UnavailableError as error:
            pytest.skip(f"no IPv6 here: {error}")
        assert site.url.startswith("http://[::1]:") and site.ask("/live").status_code == 200


# Settings


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "raspberrypi", "127.0.0.1.nip.io"])
def test_beyond_this_machine_only_with_a_token(host: str) -> None:
    with pytest.raises(ValueError, match="needs a token"):
        WebSettings(host=host)
    assert WebSettings(host=host, token=SecretStr(TOKEN)).host == host


def test_the_check_names_the_key(tmp_path: Path) -> None:
    file = tmp_path / "page.toml"
    file.write_text('host = "0.0.0.0"\n')
    with pytest.raises(ConfigError, match=r"page\.toml: host = '0\.0\.0\.0': a page beyond this machine needs a token"):
        load_settings(file, WebSettings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host) and WebSettings(host=host).token is None


def test_a_short_token_is_refused_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBNN_WEB_TOKEN", "hunter2")
    (tmp_path / "page.toml").touch()
    with pytest.raises(ConfigError, match=r"page\.toml: token: .* must have 16 characters or more") as caught:
        load_settings(tmp_path / "page.toml", WebSettings)
    assert "hunter2" not in str(caught.value)
