"""The `edgebnn-face` command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import edgebnn
from edgebnn.errors import EdgebnnError, MissingExtraError

CONFIG = Path("/etc/edgebnn/face.toml")
STATE = Path("/var/lib/edgebnn/face")
TITLE = "edgebnn-face: faces in front of a camera"

app = typer.Typer(
    name="edgebnn-face",
    help="Faces in front of a camera: who comes and leaves, on a page, over MQTT, as lines of JSON.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edgebnn-face {edgebnn.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and stop")
    ] = False,
) -> None:
    """Faces in front of a camera: who comes and leaves, on a page, over MQTT, as lines of JSON."""


def state_folder() -> Path:
    """Where systemd's StateDirectory= says, else /var/lib/edgebnn/face."""
    return Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or STATE)


@app.command()
def run(
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="the settings")] = CONFIG,
    check_config: Annotated[bool, typer.Option("--check-config", help="check the settings and stop")] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help=f"folder for snapshots, changed settings and sign-ins [default: $STATE_DIRECTORY or {STATE}]",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="log more, and tracebacks of errors")] = False,
) -> None:
    """Run the service (the default command).

    Exit codes: 0 stopped, 1 failed, 2 usage, 69 the port of the page is in use, 78 the settings are wrong. A camera
    that is missing is waited for. Under systemd it says READY when the page is up and the model loaded, and feeds the
    watchdog while it looks at pictures or the camera has said why there are none.
    """
    from edgebnn_face.settings import FaceSettings

    if check_config:
        from edgebnn.service.settings import check_file

        typer.echo(check_file(config, FaceSettings))
        return
    from edgebnn.service.live import LiveSettings
    from edgebnn.service.log import set_up_log

    set_up_log(debug=debug)
    folder = state_folder() if state is None else state
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        print(f"edgebnn-face: {folder} cannot be made ({error.strerror}): nothing is kept", file=sys.stderr)
    live = LiveSettings(config, FaceSettings, state=folder / "settings.json")
    try:
        from edgebnn_face.service import Service
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"edgebnn-face needs {error.name}: run `pip install 'edgebnn[service]'`") from error

    raise typer.Exit(Service(live, state=folder).run())


@app.command("default-config")
def default_config() -> None:
    """Print the settings with their defaults and what they mean."""
    from edgebnn.service.default_file import default_file
    from edgebnn_face.settings import FaceSettings

    typer.echo(default_file(FaceSettings, title=TITLE), nl=False)


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: an EdgebnnError becomes one sentence on stderr and its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["run", *arguments]
    try:
        app(arguments, prog_name="edgebnn-face")
    except EdgebnnError as error:
        if "--debug" in arguments:
            raise
        print(f"edgebnn-face: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output has gone
        sys.stderr.close()
        sys.exit(1)
