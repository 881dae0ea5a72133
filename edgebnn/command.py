"""A command line of edgebnn: the options before the command, and how an error ends it."""

# Annotations are evaluated here: typer could not find names of the enclosing function behind a string.

import sys
from typing import Annotated

import typer

import edgebnn
from edgebnn.errors import EdgebnnError


def make_app(name: str, description: str) -> typer.Typer:
    """An application for commands, with --version and --debug before them."""
    app = typer.Typer(
        name=name,
        help=description,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # it would swallow "[train]"
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    def show_version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{name} {edgebnn.__version__}")
            raise typer.Exit

    @app.callback()
    def options(
        version: Annotated[
            bool, typer.Option("--version", callback=show_version, is_eager=True, help="print the version and stop")
        ] = False,
        debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
    ) -> None:
        """Options before the command; `run_app` itself looks for --debug."""

    return app


def run_app(app: typer.Typer, arguments: list[str] | None = None) -> None:
    """Run a command of sys.argv, or of `arguments`, and exit.

    An EdgebnnError becomes one sentence on stderr and its exit code; with --debug it is raised. typer ends Ctrl-C with
    130, and writing to a reader who has gone (`... | head`) with 1.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app(arguments, prog_name=app.info.name)
    except EdgebnnError as error:
        if "--debug" in arguments:
            raise
        print(f"{app.info.name}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
