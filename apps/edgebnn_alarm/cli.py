"""The `edgebnn-alarm` command: the service, its guard, and what a person may ask of a running clock."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edgebnn
from edgebnn.errors import ConfigError, EdgebnnError, UnavailableError
from edgebnn.service.log import set_up_log
from edgebnn_alarm.client import ask
from edgebnn_alarm.clock import Clock, FileClock
from edgebnn_alarm.settings import DEFAULT_FILE, Settings, default_file, load_settings

DAY_NAMES = {
    "daily": "mon,tue,wed,thu,fri,sat,sun",
    "workdays": "mon,tue,wed,thu,fri",
    "weekend": "sat,sun",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 ok, 1 refused, 2 usage, 69 no clock answers or another one runs, 78 bad configuration."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None and not options.check_config:
        parser.print_help(sys.stderr)
        return 2
    try:
        if options.command == "default-config":
            print(default_file(), end="")
            return 0
        settings = _settings(options)
        if options.check_config:
            print(f"{options.config or DEFAULT_FILE}: ok")
            return 0
        return int(COMMANDS[options.command](settings, options) or 0)
    except EdgebnnError as error:
        if options.debug:
            raise
        print(f"edgebnn-alarm: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _settings(options: argparse.Namespace) -> Settings:
    try:
        if options.config is None and not DEFAULT_FILE.exists():
            return Settings()
        return load_settings(options.config or DEFAULT_FILE)
    except ConfigError as error:
        if options.command != "guard" or options.check_config:
            raise
        print(f"<2>{error}: the guard works with the default settings", file=sys.stderr)
        return Settings()


def _clock(settings: Settings, options: argparse.Namespace) -> Clock:
    if options.simulated_clock is not None:
        return FileClock(options.simulated_clock)
    from edgebnn_alarm.service import system_clock

    return system_clock(settings)


def _run(settings: Settings, options: argparse.Namespace) -> None:
    from edgebnn_alarm.service import Service

    set_up_log(debug=options.debug)
    Service(settings, _clock(settings, options)).run()


def _guard(settings: Settings, options: argparse.Namespace) -> None:
    from edgebnn_alarm.guard import Guard
    from edgebnn_alarm.speaker import Speaker

    set_up_log(debug=options.debug)
    clock = _clock(settings, options)
    # A program of the system first: this process is what is left when Python's packages are broken.
    outputs = sorted(settings.sound.outputs, key=lambda spec: spec.startswith("sounddevice"))
    said = Guard(settings, clock, Speaker(outputs, settings.sounds)).run()
    if options.debug or said != "nothing is overdue":
        print(said)


def _list(settings: Settings, options: argparse.Namespace) -> None:
    answer = ask(settings.socket, {"cmd": "list"})
    if options.json:
        print(json.dumps(answer["alarms"]))
        return
    for alarm in answer["alarms"]:
        days = alarm["date"] or " ".join(alarm["weekdays"])
        following = alarm["next"]
        state = "off" if not alarm["enabled"] else "no next" if following is None else f"next {following['deadline']}"
        skipped = " (skipped)" if following and following["state"] == "skipped" else ""
        window = f" window {alarm['window_min']} min" if alarm["window_min"] else ""
        print(f"{alarm['id']:3d}  {alarm['time']}  {days}{window}  {alarm['name']}  [{state}{skipped}]")
    if not answer["alarms"]:
        print("no alarms")


def _status(settings: Settings, options: argparse.Namespace) -> None:
    status = ask(settings.socket, {"cmd": "status"})
    if options.json:
        print(json.dumps(status))
        return
    print(f"{status['now']} {status['zone']}, clock {status['clock']}")
    for each in status["ringing"]:
        print(f"rings: alarm {each['alarm']} {each['name']}".rstrip())
    for each in status["snoozed"]:
        print(f"snoozed until {each['deadline']}: alarm {each['alarm']} {each['name']}".rstrip())
    print(f"next: {status['next']['deadline'] if status['next'] else 'none'}")
    for what in ("storage", "button", "monitor"):
        print(f"{what}: {status[what]}")
    for text in [*status["sound"]["failures"], *status["notices"]]:
        print(f"! {text}")


def _set(settings: Settings, options: argparse.Namespace) -> None:
    alarm = {key: getattr(options, key) for key in SET_KEYS if getattr(options, key) is not None}
    if "weekdays" in alarm:
        alarm["weekdays"] = [day for day in DAY_NAMES.get(alarm["weekdays"], alarm["weekdays"]).split(",") if day]
        alarm.setdefault("date", None)
    elif "date" in alarm:
        alarm["weekdays"] = []
    answer = ask(settings.socket, {"cmd": "set", "alarm": alarm, "by": "cli"})
    following = answer["next"]
    print(f"alarm {answer['alarm']['id']}: {'next ' + following['deadline'] if following else 'it does not ring'}")


def _delete(settings: Settings, options: argparse.Namespace) -> None:
    ask(settings.socket, {"cmd": "delete", "alarm": options.id, "by": "cli"})


def _skip(settings: Settings, options: argparse.Namespace) -> None:
    request: dict[str, Any] = {"cmd": "skip", "by": "cli", "undo": options.undo}
    request |= {"alarm": options.id} if options.id is not None else {}
    request |= {"date": options.date} if options.date is not None else {}
    each = ask(settings.socket, request)["occurrence"]
    print(f"alarm {each['alarm']} {'rings again' if options.undo else 'does not ring'} at {each['deadline']}")


def _snooze(settings: Settings, options: argparse.Namespace) -> None:
    request: dict[str, Any] = {"cmd": "snooze", "by": "cli"}
    request |= {"minutes": options.minutes} if options.minutes is not None else {}
    for each in ask(settings.socket, request)["occurrences"]:
        print(f"alarm {each['alarm']} rings again at {each['deadline']}")


def _stop(settings: Settings, options: argparse.Namespace) -> None:
    """The clock, and the guard, which may ring in its place."""
    from edgebnn_alarm.guard import SOCKET

    stopped: list[str] = []
    unavailable: EdgebnnError | None = None
    try:
        found = ask(settings.socket, {"cmd": "stop", "by": "cli"})["occurrences"]
        stopped += [f"alarm {each['alarm']} of {each['deadline']}" for each in found]
    except UnavailableError as error:
        unavailable = error
    if (settings.state_dir / SOCKET).exists():
        try:
            ask(settings.state_dir / SOCKET, {"cmd": "stop"})
            stopped.append("the guard")
        except UnavailableError as error:  # left behind by a guard that was killed
            unavailable = unavailable and error
    if unavailable is not None and not stopped:
        raise unavailable
    print(f"stopped {', '.join(stopped)}" if stopped else "nothing rang")


def _log(settings: Settings, options: argparse.Namespace) -> None:
    for entry in ask(settings.socket, {"cmd": "log", "limit": options.number})["entries"]:
        print(json.dumps(entry) if options.json else f"{entry['at']}  {entry['kind']:<10}  {entry['text']}")


def _test(settings: Settings, options: argparse.Namespace) -> None:
    ask(settings.socket, {"cmd": "test", "sound": options.sound, "seconds": options.seconds})


COMMANDS = {
    "run": _run, "guard": _guard, "list": _list, "status": _status, "set": _set, "delete": _delete, "skip": _skip,
    "snooze": _snooze, "stop": _stop, "log": _log, "test": _test,
}  # fmt: skip
SET_KEYS = (
    "id", "time", "weekdays", "date", "except_dates", "name", "enabled", "window_min", "sound", "fade_s", "start_level",
    "sunrise_min", "snooze_min", "snooze_limit", "skip_if_out_of_bed",
)  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edgebnn-alarm", description="The alarm clock that rings.")
    _add_shared(parser)
    parser.add_argument("--version", action="version", version=f"edgebnn-alarm {edgebnn.__version__}")
    parser.set_defaults(config=None, check_config=False, debug=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        _add_shared(made)
        return made

    for name, text in (("run", "the service"), ("guard", "ring what is overdue, for the timer")):
        command(name, text).add_argument("--simulated-clock", type=Path, help="a JSON file, see edgebnn_alarm/clock.py")
    command("default-config", "print the commented settings with all defaults")
    for name, text in (("list", "all alarms"), ("status", "what the clock does")):
        command(name, text).add_argument("--json", action="store_true", help="JSON instead of text")
    _add_set(command("set", "a new alarm or, with its id, a changed one"))
    command("delete", "forget an alarm").add_argument("id", type=int)
    skip = command("skip", "let the next occurrence not ring")
    skip.add_argument("id", type=int, nargs="?", help="of this alarm [default: of all]")
    skip.add_argument("--date", help="not the next one but that of YYYY-MM-DD")
    skip.add_argument("--undo", action="store_true", help="let it ring again")
    command("snooze", "a pause").add_argument("minutes", type=int, nargs="?")
    command("stop", "stop what rings")
    log = command("log", "why it did what it did")
    log.add_argument("-n", "--number", type=int, default=50, help="of entries [50]")
    log.add_argument("--json", action="store_true", help="JSON lines instead of text")
    test = command("test", "play a sound")
    test.add_argument("sound", nargs="?", default="bell")
    test.add_argument("--seconds", type=float, default=3.0)
    return parser


def _add_shared(parser: argparse.ArgumentParser) -> None:
    """Options that stand before or after the command; without a default, which would undo what stands before."""
    for option, text in (
        ("--check-config", "read the settings, say what is wrong"),
        ("--debug", "tracebacks and more lines"),
    ):
        parser.add_argument(option, action="store_true", default=argparse.SUPPRESS, help=text)
    parser.add_argument("--config", type=Path, default=argparse.SUPPRESS, help=f"settings [default: {DEFAULT_FILE}]")


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int, nargs="?", help="the alarm to change [default: a new one]")
    parser.add_argument("--time", help="HH:MM")
    parser.add_argument("--weekdays", help=f"mon,tue,... or {', '.join(DAY_NAMES)}")
    parser.add_argument("--date", help="YYYY-MM-DD, rings once")
    parser.add_argument("--except", dest="except_dates", nargs="*", metavar="DATE", help="not on these dates")
    parser.add_argument("--name")
    parser.add_argument("--enabled", action=argparse.BooleanOptionalAction)
    parser.add_argument("--window", dest="window_min", type=int, help="minutes before the deadline, 0 to 90")
    parser.add_argument("--sound", help="bell, chime, beep or a WAV file's name")
    parser.add_argument("--fade", dest="fade_s", type=int, help="seconds, 0 to 600")
    parser.add_argument("--start-level", type=float, help="0 to 1")
    parser.add_argument("--sunrise", dest="sunrise_min", type=int, help="minutes, 0 to 60")
    parser.add_argument("--snooze", dest="snooze_min", type=int, help="minutes, 1 to 60")
    parser.add_argument("--snooze-limit", type=int, help="0 to 20")
    parser.add_argument("--skip-if-out-of-bed", action=argparse.BooleanOptionalAction)


if __name__ == "__main__":
    sys.exit(main())
