"""What every command line does: version, errors, Ctrl-C, a reader who goes away."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

import edgebnn
from edgebnn.command import make_app, run_app
from edgebnn.errors import ConfigError, EdgebnnError

PROGRAM = """
import signal
from edgebnn.command import make_app, run_app
app = make_app("edgebnn-test", "Tests; needs the extra [test].")
@app.command()
def interrupt():
    signal.raise_signal(signal.SIGINT)
@app.command()
def talk():
    while True:
        print("words", flush=True)
run_app(app)
"""


def run(error: Exception | None, *arguments: str) -> int:
    app = make_app("edgebnn-test", "Tests; needs the extra [test].")

    @app.command()
    def work() -> None:
        """Work, or fail."""
        if error is not None:
            raise error

    @app.command()
    def rest() -> None:
        """Another command, so that both have names."""

    with pytest.raises(SystemExit) as ended:
        run_app(app, list(arguments))
    return int(ended.value.code or 0)


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(None, "--version") == 0
    assert capsys.readouterr().out == f"edgebnn-test {edgebnn.__version__}\n"
    assert run(None, "-h") == 0
    assert "needs the extra [test]." in capsys.readouterr().out


def test_an_error_is_one_sentence_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(None, "work") == 0
    assert run(ConfigError("a.toml: x = 1: there is no such key"), "work") == 78
    assert capsys.readouterr().err == "edgebnn-test: a.toml: x = 1: there is no such key\n"
    assert run(EdgebnnError("no"), "work") == 1
    assert run(None, "fly") == 2


def test_with_debug_it_is_raised() -> None:
    error = ConfigError("no")
    with pytest.raises(ConfigError) as raised:
        run(error, "--debug", "work")
    assert raised.value is error


def test_ctrl_c_and_a_reader_who_goes_away(interruptible: None) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, "interrupt"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, "", "")
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "talk"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as talking:
        assert talking.stdout is not None and talking.stderr is not None
        assert talking.stdout.readline() == "words\n"
        talking.stdout.close()
        assert (talking.wait(60), talking.stderr.read()) == (1, "")
