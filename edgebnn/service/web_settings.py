"""Where a page listens. Apart from `web`, so that a configuration is checked without the extra [service]."""

from __future__ import annotations

import ipaddress

import pydantic
from pydantic import Field, SecretStr

from edgebnn.service.settings import Settings, secret_field

SHORTEST_TOKEN = 16


class WebSettings(Settings):
    """Where a page listens; beyond this machine only with a token."""

    enabled: bool = Field(True, description="Whether there is a page.")
    token: SecretStr | None = secret_field(
        "web_token", description="What one types to sign in, at least 16 characters; needed beyond this machine."
    )
    host: str = Field(
        "127.0.0.1",
        max_length=253,
        description="Address to listen on: 127.0.0.1 is this machine only; 0.0.0.0 is every network, with a token.",
    )
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    allowed_hosts: tuple[str, ...] = Field(
        (),
        max_length=20,
        description="Names under which browsers may ask for the page, beside addresses, localhost, this machine's name "
        "and that name with .local.",
        examples=[["bedroom.home.arpa"]],
    )
    session_days: int = Field(30, ge=1, le=365, description="Days after which a browser must sign in again.")
    max_connections: int = Field(300, ge=10, le=1000, description="Connections at once; more are turned away.")

    @pydantic.field_validator("token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
            raise ValueError(
                f"the secret web_token must have {SHORTEST_TOKEN} characters or more, as by `openssl rand -hex 16`"
            )
        return token

    @pydantic.field_validator("host")
    @classmethod
    def _only_with_a_token(cls, host: str, info: pydantic.ValidationInfo) -> str:
        if not is_loopback(host) and "token" in info.data and info.data["token"] is None:
            raise ValueError(
                "a page beyond this machine needs a token: put one into the systemd credential web_token "
                'or EDGEBNN_WEB_TOKEN, or set host = "127.0.0.1"'
            )
        return host


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
