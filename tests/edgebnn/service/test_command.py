"""The commands of a service, with a service that notes what it was started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebnn.command import make_app, run_app
from edgebnn.service.command import add_service, state_folder
from edgebnn.service.settings import Field, Settings
from tests.edgebnn.service.test_extra import run as without_the_extra


class Schema(Settings):
    level: int = Field(3, ge=0, le=9, description="A number.")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "test.toml"


def run(*arguments: str, code: int = 0) -> tuple[int, list[tuple[Path, Path]]]:
    """The exit code, and what the service was started with."""
    app = make_app("edgebnn-test", "A test.")
    started: list[tuple[Path, Path]] = []

    def start(config: Path, state: Path) -> int:
        """Run the test."""
        started.append((config, state))
        return code

    add_service(app, start, schema=lambda: Schema, service="test", title="a test", keeps="marbles")
    with pytest.raises(SystemExit) as ended:
        run_app(app, list(arguments))
    return int(ended.value.code or 0), started


def test_run_starts_it_with_its_folder_made(config: Path, tmp_path: Path) -> None:
    state = tmp_path / "a" / "b"
    assert run("run", "--config", str(config), "--state", str(state), code=5) == (5, [(config, state)])
    assert state.is_dir() and state.stat().st_mode & 0o027 == 0


def test_without_options_it_takes_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/other")
    assert run("run") == (0, [(Path("/etc/edgebnn/test.toml"), tmp_path)])
    assert state_folder("test", environ={"STATE_DIRECTORY": "/a:/b"}) == Path("/a")
    assert state_folder("test", environ={}) == Path("/var/lib/edgebnn/test")


def test_a_folder_that_cannot_be_made_is_said(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    state = tmp_path / "file" / "state"
    assert run("run", "--config", str(config), "--state", str(state)) == (0, [(config, state)])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"{state} cannot be made (Not a directory): nothing is kept")


def test_the_default_file_is_a_good_configuration(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("default-config") == (0, [])
    text = capsys.readouterr().out
    assert text.startswith("# a test\n") and "#level = 3\n" in text
    config.write_text(text)
    assert run("run", "--config", str(config), "--check-config") == (0, [])
    assert capsys.readouterr().out == f"{config} is a good configuration\n"
    config.write_text("level = 10\n")
    assert run("run", "--config", str(config), "--check-config") == (78, [])
    assert capsys.readouterr().err.startswith(f"edgebnn-test: {config}: level = 10")


def test_help_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "--help") == (0, [])
    text = " ".join(capsys.readouterr().out.split())
    assert "Run the test." in text and "69 the port of the page is in use" in text
    assert "folder for marbles [default: $STATE_DIRECTORY or /var/lib/edgebnn/test]" in text


@pytest.mark.parametrize(
    ("service", "arguments"), [("face", ["run"]), ("sleep", ["run"]), ("sleep", ["simulate", "night"])]
)
def test_without_the_extra_the_cure_is_said(service: str, arguments: list[str]) -> None:
    said = without_the_extra(
        f"from edgebnn_{service}.cli import main\n"
        "import contextlib, io\n"
        "said = io.StringIO()\n"
        "with contextlib.redirect_stderr(said):\n"
        f"    try:\n        main({arguments})\n"
        "    except SystemExit as ended:\n        assert ended.code == 1\n"
        "print(said.getvalue())\n"
    )
    assert said.strip().startswith(f"edgebnn-{service}: a page needs") and "pip install 'edgebnn[service]'" in said
