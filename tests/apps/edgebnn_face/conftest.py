"""The broker and its second client are those of the tests of edgebnn.service."""

from __future__ import annotations

from tests.edgebnn.service.conftest import broker, peer

__all__ = ["broker", "peer"]
