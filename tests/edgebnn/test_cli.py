from __future__ import annotations

from pathlib import Path

import pytest

import edgebnn
from edgebnn import cli, errors


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    return int(caught.value.code or 0)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"edgebnn {edgebnn.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("detect",),
        ("detect", "--no-such-option", "a.jpg"),
        ("detect", "--threads", "0", "a.jpg"),
        ("detect", "--threads", "many", "a.jpg"),
        ("detect", "--min-score", "0", "a.jpg"),
        ("detect", "--min-score", "1", "a.jpg"),
        ("detect", "--min-score", "nan", "a.jpg"),
        ("detect", "--frames", "0", "a.jpg"),
        ("detect", "--size", "640", "v4l2:0"),
        ("detect", "--size", "0x480", "v4l2:0"),
        ("detect", "--fps", "0", "v4l2:0"),
        ("train",),
        ("convert", "a.h5"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert "Usage: edgebnn" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "evaluate", "convert", "verify", "inspect", "detect"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    assert f"Usage: edgebnn {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("detect", "--model", "no-such-model", "a.jpg"), 1, "no-such-model"),
        (("detect", "v4l2:/dev/no-such-device"), 69, "cannot open the camera /dev/no-such-device"),
        (("detect", "--show", "a.jpg"), 69, "--show needs"),
    ],
)
def test_errors_are_one_sentence(
    arguments: tuple[str, ...], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == code
    error = [line for line in capsys.readouterr().err.splitlines() if "a.jpg" not in line]
    assert len(error) == 1 and error[0].startswith("edgebnn: ") and words in error[0]


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(errors.UnavailableError):
        cli.main(["--debug", "detect", "picamera:0"])


def test_exit_codes_are_those_of_the_error_tree() -> None:
    codes = {name: getattr(errors, name).exit_code for name in dir(errors) if name.endswith("Error")}
    assert codes.pop("UnavailableError") == 69 and codes.pop("ConfigError") == 78
    assert set(codes.values()) == {1}
    for name in codes:
        assert issubclass(getattr(errors, name), errors.EdgebnnError)


def test_a_model_without_a_card_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.edgebnn import small_networks

    path = tmp_path / "bare.tflite"
    path.write_bytes(small_networks.bare_detector())
    assert run("detect", "--model", str(path), str(path)) == 1
    assert "has no card of a detector" in capsys.readouterr().err
