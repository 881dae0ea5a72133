"""The commands that every service has: `run`, with --config and --check-config, and `default-config`."""

# Annotations are evaluated here: typer could not find names of the enclosing function behind a string.

import inspect
import logging
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgebnn.service.settings import Settings

logger = logging.getLogger("edgebnn.state")

EXIT_CODES = "Exit codes: 0 stopped, 1 failed, 2 usage, 69 the port of the page is in use, 78 the settings are wrong."


def add_service(
    app: typer.Typer,
    start: Callable[[Path, Path], int],
    *,
    schema: "Callable[[], type[Settings]]",
    service: str,
    title: str,
    keeps: str,
) -> None:
    """Add the commands to `app`.

    start: runs the service with a configuration file and a state folder, and returns the exit code; its docstring is
        the help of `run`. schema: imports the model of the settings. Both are called late, so that help comes at once.
    service: as in /etc/edgebnn/<service>.toml and /var/lib/edgebnn/<service>. title: first line of the default file.
    keeps: what the state folder is for.
    """

    @app.command(help=f"{inspect.getdoc(start)}\n\n{EXIT_CODES}")
    def run(
        config: Annotated[Path, typer.Option("--config", metavar="FILE", help="the settings")] = Path(
            "/etc/edgebnn", f"{service}.toml"
        ),
        check_config: Annotated[bool, typer.Option("--check-config", help="check the settings and stop")] = False,
        state: Annotated[
            Path | None,
            typer.Option(
                metavar="DIR",
                help=f"folder for {keeps} [default: $STATE_DIRECTORY or /var/lib/edgebnn/{service}]",
            ),
        ] = None,
        debug: Annotated[bool, typer.Option("--debug", help="log more, and tracebacks of errors")] = False,
    ) -> None:
        if check_config:
            from edgebnn.service.settings import check_file

            typer.echo(check_file(config, schema()))
            return
        from edgebnn.service.log import set_up_log

        need_extra()
        set_up_log(debug=debug)
        folder = state_folder(service) if state is None else state
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        except OSError as error:
            logger.warning("%s cannot be made (%s): nothing is kept", folder, error.strerror)
        raise typer.Exit(start(config, folder))

    @app.command("default-config")
    def default_config() -> None:
        """Print the settings with their defaults and what they mean."""
        from edgebnn.service.default_file import default_file

        typer.echo(default_file(schema(), title=title), nl=False)


def need_extra() -> None:
    """MissingExtraError, with the cure, unless the extra [service] is installed."""
    import_module("edgebnn.service.web")


def state_folder(service: str, *, environ: Mapping[str, str] = os.environ) -> Path:
    """Where systemd's StateDirectory= says, else /var/lib/edgebnn/<service>."""
    return Path(environ.get("STATE_DIRECTORY", "").split(":")[0] or f"/var/lib/edgebnn/{service}")
