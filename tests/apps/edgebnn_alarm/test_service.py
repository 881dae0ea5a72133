"""The real process and the command: what a person types, what systemd gets, what is imported."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edgebnn_alarm.button import Button
from edgebnn_alarm.cli import main
from edgebnn_alarm.client import RefusedError, ask
from edgebnn_alarm.light import PwmLight
from edgebnn_alarm.service import Service
from edgebnn_alarm.settings import ButtonSettings, Settings, SoundSettings, default_file
from edgebnn_alarm.settings import Service as ServiceSettings
from edgebnn_alarm.simulation import SimulatedClock

from edgebnn.errors import UnavailableError


def settings_in(folder: Path, **tables: Any) -> Settings:
    service = ServiceSettings(state_dir=str(folder / "state"), socket=str(folder / "alarm.sock"))
    return Settings(service=service, sound=SoundSettings(outputs=[f"file:{folder}/sound.raw"]), **tables)


def config(folder: Path) -> Path:
    file = folder / "alarm.toml"
    file.write_text(
        f'[service]\nstate_dir = "{folder}/state"\nsocket = "{folder}/alarm.sock"\n'
        f'[time]\nzone = "Europe/Berlin"\n[sound]\noutputs = ["file:{folder}/sound.raw"]\n'
    )
    return file


def simulated(folder: Path, utc_s: float, speed: float = 1.0) -> Path:
    file = folder / "clock.json"
    real_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    raw = {
        "real_s": real_s,
        "utc_s": utc_s,
        "boot_s": 4000.0,
        "speed": speed,
        "boot_id": "one",
        "zone": "Europe/Berlin",
    }
    new = folder / "clock.new"
    new.write_text(json.dumps({**raw, "synchronised": True, "battery": False}))
    new.replace(file)
    return file


def start(folder: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgebnn_alarm.cli", "run", "--config", str(config(folder)), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ})
    wait(lambda: answers(folder), process)
    return process


def answers(folder: Path) -> bool:
    try:
        return bool(ask(folder / "alarm.sock", {"cmd": "status"})["ok"])
    except UnavailableError:
        return False


def wait(condition: Any, process: subprocess.Popen[str] | None = None, seconds: float = 60) -> None:
    end_s = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            pytest.fail(f"the clock ended: {process.stderr.read() if process.stderr else ''}")
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


def stop(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    return said


SIX_S = 1795496400.0  # 2026-11-24 06:00 in Berlin


def test_a_person_at_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = start(folder, "--simulated-clock", str(simulated(folder, SIX_S)))
    flags = ["--config", str(folder / "alarm.toml")]

    def run(*arguments: str) -> tuple[int, str]:
        code = main([*flags, *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    code, said = run(
        "set", "--time", "07:00", "--weekdays", "workdays", "--window", "30", "--name", "Work", "--fade", "0"
    )
    assert (code, said) == (0, "alarm 1: next 2026-11-24T07:00:00+01:00\n")
    assert "2026-12-24T09:00:00" in run("set", "--time", "09:00", "--date", "2026-12-24")[1]
    assert "07:00  mon tue wed thu fri window 30 min  Work  [next 2026-11-24T07:00" in run("list")[1]
    assert run("set", "1", "--no-enabled")[0] == 0 and "[off]" in run("list")[1]
    run("set", "1", "--enabled")
    assert "does not ring at 2026-11-24" in run("skip")[1] and "rings again" in run("skip", "--undo")[1]
    assert run("snooze") == (1, "edgebnn-alarm: nothing rings: there is nothing to snooze\n")
    assert run("set", "--time", "25:00", "--weekdays", "daily")[1].startswith("edgebnn-alarm: time: expected a time")
    assert run("stop")[1] == "nothing rang\n"
    simulated(folder, SIX_S + 3599.5)
    wait(lambda: ask(folder / "alarm.sock", {"cmd": "status"})["sound"]["output"], process)
    assert "rings: alarm 1 Work" in run("status")[1]
    assert "rings again at 2026-11-24T07:0" in run("snooze", "5")[1]
    assert "stopped alarm 1 of 2026-11-24T07:0" in run("stop")[1]
    log = run("log", "-n", "4")[1]
    assert "rang 07:00: fell back to the deadline 07:00: no monitor was heard" in log and "by cli" in log
    assert run("delete", "2")[0] == 0 and run("delete", "2")[0] == 1
    assert json.loads(run("status", "--json")[1])["ok"] and json.loads(run("list", "--json")[1])[0]["id"] == 1
    stop(process)
    assert run("list")[0] == 69
    assert any((folder / "sound.raw").read_bytes())
    assert not (folder / "alarm.sock").exists()


def test_systemd_hears_of_it_and_a_second_clock_is_refused(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(30)
        process = start(folder, NOTIFY_SOCKET=str(folder / "notify"), WATCHDOG_USEC="2000000")
        heard = [systemd.recv(999).decode()]
        while sum("WATCHDOG" in each for each in heard) < 3 or not any("STATUS" in each for each in heard):
            heard.append(systemd.recv(999).decode())
        assert heard[0].startswith("READY=1")
        second = subprocess.run(process.args, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 69 and "another edgebnn-alarm has" in second.stderr
        assert "Traceback" not in second.stderr
        stop(process)
        while not heard[-1].startswith("STOPPING"):
            heard.append(systemd.recv(999).decode())


def test_a_change_is_told_to_who_watches(folder: Path) -> None:
    process = start(folder, "--simulated-clock", str(simulated(folder, SIX_S)))
    with socket.socket(socket.AF_UNIX) as watcher:
        watcher.settimeout(30)
        watcher.connect(str(folder / "alarm.sock"))
        stream = watcher.makefile("rw")
        stream.write('{"cmd": "watch"}\n')
        stream.flush()
        assert json.loads(stream.readline())["next"] is None
        ask(folder / "alarm.sock", {"cmd": "set", "alarm": {"time": "07:00", "weekdays": ["tue"]}})
        while (told := json.loads(stream.readline()))["status"]["next"] is None:
            pass
        assert told["event"] == "status" and told["status"]["next"]["time"] == "07:00"
        stream.close()
    with pytest.raises(RefusedError, match="expected cmd"):
        ask(folder / "alarm.sock", {"cmd": "dance"})
    stop(process)


def test_bad_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "bad.toml"
    file.write_text("[time]\ngrace_min = 999\n")
    for command in (["run"], ["list"], ["--check-config"], ["guard", "--check-config"]):
        assert main([*command, "--config", str(file)]) == 78
        said = capsys.readouterr().err
        assert said.startswith(f"edgebnn-alarm: {file}: time.grace_min = 999: expected") and said.count("\n") == 1
    assert main(["--check-config", "--config", str(config(folder))]) == 0
    assert main(["default-config"]) == 0 and capsys.readouterr().out.endswith(default_file())
    assert main([]) == 2


def test_the_guard_works_without_its_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebnn_alarm.cli.set_up_log", lambda debug: None)  # it would outlive the test
    file = folder / "bad.toml"
    file.write_text("[time]\ngrace_min = 999\n")
    assert main(["guard", "--config", str(file), "--debug"]) == 0
    said = capsys.readouterr()
    assert "works with the default settings" in said.err and "nothing is overdue" in said.out


def test_only_the_standard_library_is_imported() -> None:
    script = (
        "import sys, edgebnn_alarm.cli, edgebnn_alarm.service, edgebnn_alarm.guard\n"
        "files = {name: getattr(module, '__file__', '') or '' for name, module in sys.modules.items()}\n"
        "foreign = [name for name, file in files.items() if '-packages' in file]\n"
        "print(sorted({name.partition('.')[0] for name in foreign} - {'edgebnn', 'edgebnn_alarm', 'tomli'}))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    extra = set(ast.literal_eval(said.stdout.splitlines()[-1]))  # what .pth files import does not count
    assert not {name for name in extra if not name.startswith(("_", "distutils", "sitecustomize", "coverage"))}, extra


# -- in this process: what cannot be had from outside


@pytest.fixture
def gpio(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A gpiozero in memory."""
    made: dict[str, Any] = {}

    class Pin:
        def __init__(self, pin: int, **options: Any) -> None:
            if pin == 13:
                raise RuntimeError("no pin factory")
            made[f"{type(self).__name__}-{pin}"] = self
            self.options, self.value = options, 0.0
            self.when_pressed = self.when_held = lambda: None

        def close(self) -> None:
            made.clear()

    module = types.ModuleType("gpiozero")
    vars(module).update({name: type(name, (Pin,), {}) for name in ("Button", "PWMLED")})
    monkeypatch.setitem(sys.modules, "gpiozero", module)
    return made


def test_the_button_stops(folder: Path, gpio: dict[str, Any]) -> None:
    clock = SimulatedClock(SIX_S, "Europe/Berlin", booted_s=0)
    service = Service(settings_in(folder, button=ButtonSettings(pin=17)), clock)
    ask_in(service, {"cmd": "set", "alarm": {"time": "07:00", "weekdays": ["tue"]}})
    clock.true_s += 3600
    service.clockwork.tick()
    assert service.clockwork.ringing
    gpio["Button-17"].when_pressed()
    assert not service._speaker.state.playing, "silent before the loop has seen it"
    service._press()
    assert not service.clockwork.ringing
    assert ask_in(service, {"cmd": "log"})["entries"][-1]["by"] == "button"
    assert ask_in(service, {"cmd": "status"})["button"] == "ok"
    service.close()


def test_the_button_snoozes_and_held_stops(folder: Path, gpio: dict[str, Any]) -> None:
    clock = SimulatedClock(SIX_S, "Europe/Berlin", booted_s=0)
    service = Service(settings_in(folder, button=ButtonSettings(pin=17, press="snooze")), clock)
    ask_in(service, {"cmd": "set", "alarm": {"time": "07:00", "weekdays": ["tue"], "snooze_limit": 1}})
    clock.true_s += 3600
    service.clockwork.tick()
    gpio["Button-17"].when_pressed()
    service._press()
    assert service.clockwork.ledger.snoozes and not service.clockwork.ringing
    clock.true_s += 540
    service.clockwork.tick()
    gpio["Button-17"].when_pressed()  # the limit: it rings on
    service._press()
    assert service.clockwork.ringing and service._speaker.state.playing
    gpio["Button-17"].when_held()
    service._press()
    assert not service.clockwork.ringing and not service.clockwork.ledger.snoozes
    service.close()


def test_a_broken_button_and_lamp_are_said_and_it_rings(folder: Path, gpio: dict[str, Any]) -> None:
    clock = SimulatedClock(SIX_S, "Europe/Berlin", booted_s=0)
    service = Service(settings_in(folder, button=ButtonSettings(pin=13)), clock)
    service.clockwork._light = PwmLight(13)
    ask_in(service, {"cmd": "set", "alarm": {"time": "07:00", "weekdays": ["tue"], "sunrise_min": 10}})
    clock.true_s += 3600
    service.clockwork.tick()
    assert service.clockwork.ringing
    status = ask_in(service, {"cmd": "status"})
    assert "no pin factory" in status["button"] and any("light" in text for text in status["notices"])
    service.close()


def test_the_lamp(gpio: dict[str, Any]) -> None:
    lamp = PwmLight(18)
    lamp.set(0)
    assert not gpio
    lamp.set(0.5)
    assert gpio["PWMLED-18"].value == 0.25


def test_a_stuck_button_does_nothing(gpio: dict[str, Any]) -> None:
    Button(17, pressed=lambda: pytest.fail("no edge"), held=lambda: pytest.fail("no edge")).close()
    assert not gpio


def test_without_a_socket_it_rings_and_tries_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebnn_alarm.service.SOCKET_RETRY_S", 0.0)
    (folder / "alarm.sock").write_text("in the way")
    clock = SimulatedClock(SIX_S, "Europe/Berlin", booted_s=0)
    service = Service(settings_in(folder), clock)
    service._listen()
    assert service._server is None and "is a file that is no socket" in service.clockwork.notices[0]
    (folder / "alarm.sock").unlink()
    service._listen()
    assert service._server is not None
    service.close()


def test_a_state_folder_that_cannot_be_made_does_not_keep_it_from_starting(folder: Path) -> None:
    (folder / "state").write_text("a file")
    service = Service(settings_in(folder), SimulatedClock(SIX_S, "Europe/Berlin", booted_s=0))
    status = ask_in(service, {"cmd": "status"})
    assert "cannot be used" in status["storage"] or "wait for the disk" in status["storage"]
    service.close()


def ask_in(service: Service, request: dict[str, Any]) -> dict[str, Any]:
    answer, _ = service._commands.answer(json.dumps(request).encode())
    assert answer["ok"], answer
    return answer
