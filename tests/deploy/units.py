"""The unit files as systemd reads them: sections of keys, each with all its values."""

from __future__ import annotations

from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]

Unit = dict[str, dict[str, list[str]]]


def read_unit(file: Path) -> Unit:
    """{section: {key: values in their order}}."""
    unit: Unit = {}
    section = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            unit[section] = {}
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            unit[section].setdefault(key, []).append(value)
    return unit
