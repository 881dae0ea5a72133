from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from edgebnn_face.cli import main
from edgebnn_face.settings import FaceSettings

from edgebnn.service.settings import load_settings
from tests.apps.edgebnn_face.process import running


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "face.toml"


def test_the_default_file_is_all_defaults(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("default-config") == 0
    text = capsys.readouterr().out
    config.write_text(text)
    assert load_settings(config, FaceSettings) == FaceSettings()
    lines = text.splitlines()
    assert "[camera]" in lines and '#source = "picamera:0"' in lines and "[snapshots]" in lines and "[mqtt]" in lines
    # with every default uncommented it is the same still
    config.write_text("\n".join(line[1:] if line.startswith("#") and line[1:2].isalpha() else line for line in lines))
    assert load_settings(config, FaceSettings) == FaceSettings()


def test_by_default_no_picture_leaves_the_memory_and_nobody_else_may_look() -> None:
    settings = FaceSettings()
    assert not settings.picture.stream and not settings.snapshots.enabled
    assert settings.web.host == "127.0.0.1" and not settings.mqtt.host and settings.json_lines == "off"


def test_check_config_of_a_good_file(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text('[camera]\nsource = "v4l2:0"\n[detection]\nroi = [[[0, 0], [1, 0], [0.5, 1]]]\n')
    for arguments in (["--check-config", "--config", str(config)], ["run", "--config", str(config), "--check-config"]):
        assert run(*arguments) == 0
        assert capsys.readouterr().out == f"{config} is a good configuration\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[detection]\nmin_scor = 0.5", "detection.min_scor = 0.5: there is no such key"),
        ("[detection]\nmin_score = 1.5", "detection.min_score = 1.5"),
        ("[detection]\nroi = [[[0, 0], [1, 1]]]", "detection.roi.0"),
        ("[detection]\nroi = [[[0, 0], [1, 1], [2, 0]]]", "detection.roi.0.2.0 = 2"),
        ('[camera]\nsource = "picamera0"', "camera.source = 'picamera0'"),
        ('[camera]\nsource = "v4l2:front door"', "camera.source = 'v4l2:front door'"),
        ('[camera]\nsource = "synthetic:?fases=2"', "'fases'"),
        ('[camera]\nsource = "rtsp://me:hunter2@:80/"', "camera.source = 'rtsp://***@:80/': expected an address"),
        ('[camera]\nfps = "fast"', "camera.fps = 'fast'"),
        ("[camera]\nwidth = nan", "camera.width = nan"),
        ('json_lines = "all"', "json_lines = 'all'"),
        ('[web]\ntoken = "0123456789abcdef"', "secrets do not belong into this file"),
        ('[web]\nhost = "0.0.0.0"', "needs a token"),
        ("[camera\n", "is not TOML"),
        ("camera = 3", "camera = 3"),
    ],
)
def test_a_wrong_setting_is_one_sentence_with_file_key_and_value(
    config: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(text)
    assert run("--check-config", "--config", str(config)) == 78
    assert run("--config", str(config), "--state", str(config.parent / "state")) == 78
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    assert lines[0].startswith(f"edgebnn-face: {config}") and said in lines[0]


def test_a_missing_file_is_named(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--check-config", "--config", str(config)) == 78
    assert str(config) in capsys.readouterr().err


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0 and "edgebnn-face " in capsys.readouterr().out
    assert run("--help") == 0 and "default-config" in capsys.readouterr().out
    assert run("run", "--help") == 0 and "69 the port" in capsys.readouterr().out.replace("\n", " ")
    assert run("fly") == 2
    assert run("--fly") == 2


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with running(tmp_path, '[camera]\nsource = "synthetic:"\n[detection]\nmodel = "/none.tflite"', wait=False) as face:
        assert face.wait() == 1
    assert [line for line in face.log if "cannot read the model /none.tflite" in line] == [face.log[-1]]


def test_the_command_line_starts_without_the_heavy_parts() -> None:
    heavy = "{'cv2', 'numpy', 'starlette', 'pydantic'}"
    program = f"import sys, edgebnn_face.cli; print(sorted({heavy} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
