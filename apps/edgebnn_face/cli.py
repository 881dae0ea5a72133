"""The `edgebnn-face` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgebnn.command import make_app, run_app
from edgebnn.service.command import add_service

if TYPE_CHECKING:
    from edgebnn.service.settings import Settings

app = make_app(
    "edgebnn-face", "Faces in front of a camera: who comes and leaves, on a page, over MQTT, as lines of JSON."
)


def _schema() -> type[Settings]:
    from edgebnn_face.settings import FaceSettings

    return FaceSettings


def _start(config: Path, state: Path) -> int:
    """Run the service (the default command).

    A camera that is missing is waited for. Under systemd it says READY when the page is up and the model loaded, and
    feeds the watchdog while it looks at pictures or the camera has said why there are none.
    """
    from edgebnn.service.live import LiveSettings
    from edgebnn_face.service import Service
    from edgebnn_face.settings import FaceSettings

    return Service(LiveSettings(config, FaceSettings, state=state / "settings.json"), state=state).run()


add_service(
    app,
    _start,
    schema=_schema,
    service="face",
    title="edgebnn-face: faces in front of a camera",
    keeps="snapshots, changed settings and sign-ins",
)


def main(arguments: list[str] | None = None) -> None:
    """Entry point; without the name of a command it is `run`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["run", *arguments]
    run_app(app, arguments)
