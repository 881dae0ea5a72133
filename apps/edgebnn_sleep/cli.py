"""The `edgebnn-sleep` command. Each command lives in a module of its own, imported when it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import edgebnn
from edgebnn.errors import EdgebnnError

app = typer.Typer(
    name="edgebnn-sleep",
    help="The bedside sleep monitor.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edgebnn-sleep {edgebnn.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and stop")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
) -> None:
    """Options before the command; `main` itself looks for --debug."""


SleepModel = Annotated[Path, typer.Option(help="a sleep network .tflite, or the name of one in the package")]
Window = Annotated[float, typer.Option(min=0, max=90, help="minutes before the deadline in which the alarm may ring")]


def _rule(name: str) -> str:
    from edgebnn.evaluation.sleep.rules import RULES

    if name not in RULES:
        raise typer.BadParameter(f"expected {', '.join(RULES)}, got {name}")
    return name


@app.command()
def replay(
    csv: Annotated[Path, typer.Option(help="a night: columns time_s,activity, a row for each 30 s")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, on a terminal too")] = False,
    alarm_deadline: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="when the alarm rings at the latest, in the file's time_s")
    ] = None,
    window: Window = 30,
    rule: Annotated[
        str, typer.Option(callback=_rule, help="when it may ring earlier: motion, network or cole-kripke")
    ] = "motion",
    model: SleepModel = Path("sleep"),
) -> None:
    """Score a recorded night as if it were going on now: a line for each row, from that row and those before.

    Whatever the rule that rings, p_wake, asleep and stage are the network's.
    """
    from edgebnn_sleep.replay import replay as run

    run(
        csv,
        rule=rule,
        deadline_s=alarm_deadline,
        window_min=window,
        model=model,
        as_json=as_json or not sys.stdout.isatty(),
    )


@app.command()
def evaluate(
    csv_dir: Annotated[Path, typer.Option("--csv-dir", help="folder of nights as .csv with a column stage")],
    window: Window = 30,
    model: SleepModel = Path("sleep"),
    as_json: Json = False,
) -> None:
    """Score nights that somebody staged: sleep and wake, and what alarms would have found."""
    from edgebnn_sleep.evaluate import evaluate as run

    run(csv_dir, window_min=window, model=model, as_json=as_json)


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: run a command; an EdgebnnError becomes one sentence on stderr and its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app(arguments, prog_name="edgebnn-sleep")
    except EdgebnnError as error:
        if "--debug" in arguments:
            raise
        print(f"edgebnn-sleep: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("edgebnn-sleep: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone: `edgebnn-sleep ... | head`
        sys.stderr.close()
        sys.exit(1)
