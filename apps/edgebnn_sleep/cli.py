"""The `edgebnn-sleep` command. Each command lives in a module of its own, imported when it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebnn.command import make_app, run_app
from edgebnn.service.command import add_service, need_extra

if TYPE_CHECKING:
    from edgebnn.service.settings import Settings

app = make_app("edgebnn-sleep", "The bedside sleep monitor.")

Json = Annotated[bool, typer.Option("--json", help="JSON instead of text")]
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


def _schema() -> type[Settings]:
    from edgebnn_sleep.settings import SleepSettings

    return SleepSettings


def _start(config: Path, state: Path) -> int:
    """Run the monitor: measure, keep, show, and hint to the alarm clock.

    Camera, microphone, sensors, disk, broker and alarm clock may be missing, come and go. Under systemd it feeds the
    watchdog while it measures or the camera has said why it cannot.
    """
    from edgebnn.service.settings import load_settings
    from edgebnn_sleep.service import Service
    from edgebnn_sleep.settings import SleepSettings

    return Service(load_settings(config, SleepSettings), state=state).run()


add_service(app, _start, schema=_schema, service="sleep", title="edgebnn-sleep: the bedside monitor", keeps="sign-ins")


@app.command()
def simulate(
    what: Annotated[str, typer.Argument(metavar="night", help="what to simulate: night")],
    speed: Annotated[float, typer.Option(min=1, max=3600, help="seconds of the night in a second")] = 600,
    alarm: Annotated[str, typer.Option(metavar="HH:MM", help="deadline in the morning")] = "06:45",
    window: Annotated[int, typer.Option(min=0, max=90, help="wake window, minutes before the deadline")] = 30,
    rule: Annotated[
        str, typer.Option(callback=_rule, help="what wakes early: motion, network or cole-kripke")
    ] = "motion",
    seed: Annotated[int, typer.Option(min=0, help="which night")] = 14,
    camera_lost_at: Annotated[str | None, typer.Option(metavar="HH:MM", help="unplug the camera then")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="of the page")] = 8081,
    stay: Annotated[bool, typer.Option(help="keep the page up after the night")] = True,
    debug: Annotated[bool, typer.Option("--debug", help="log more, and tracebacks of errors")] = False,
) -> None:
    """Let a drawn sleeper lie in front of the real monitor, beside the real alarm clock, faster than time."""
    import datetime as dt

    from edgebnn.errors import ConfigError
    from edgebnn.service.log import set_up_log

    if what != "night":
        raise typer.BadParameter(f"expected night, got {what!r}")
    set_up_log(debug=debug)
    times: list[dt.time | None] = []
    for text in (alarm, camera_lost_at):
        try:
            times.append(dt.time.fromisoformat(text) if text is not None else None)
        except ValueError:
            raise ConfigError(f"expected a time like 06:45, got {text!r}") from None
    assert times[0] is not None
    need_extra()
    from edgebnn_sleep.simulate import simulate_night

    raise typer.Exit(
        simulate_night(
            speed=speed,
            seed=seed,
            alarm=times[0],
            window_min=window,
            rule=rule,
            camera_lost_at=times[1],
            port=port,
            stay=stay,
            say=lambda line: typer.echo(line),
        )
    )


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    run_app(app, arguments)


if __name__ == "__main__":
    main()
