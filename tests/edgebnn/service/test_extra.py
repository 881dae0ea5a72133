"""What works without the extra [service], and what is said where it does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import sys
ABSENT = "jinja2 markupsafe paho prometheus_client python_multipart sounddevice starlette uvicorn".split()
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def run(program: str) -> str:
    command = [sys.executable, "-c", WITHOUT + program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_settings_logging_and_notify_do_without() -> None:
    run(
        "import edgebnn.service.notify, edgebnn.service.log, edgebnn.service.live, edgebnn.service.board\n"
        "from edgebnn.service.default_file import default_file\n"
        "from edgebnn.service.entities import Device\n"
        "from edgebnn.service.mqtt import HomeAssistant, MqttSettings\n"
        "from edgebnn.service.web_settings import WebSettings\n"
        "default_file(WebSettings, title='')\n"
        "HomeAssistant(MqttSettings(), Device('face', 'Face'), []).start()\n"  # switched off
    )


NEEDS = {
    "page": "import edgebnn.service.web",
    "metrics": "import edgebnn.service.metrics",
    "MQTT": "from edgebnn.service.entities import Device\n"
    "    from edgebnn.service.mqtt import HomeAssistant, MqttSettings\n"
    "    HomeAssistant(MqttSettings(host='h'), Device('face', 'Face'), []).start()",
}


@pytest.mark.parametrize("program", NEEDS.values(), ids=NEEDS)
def test_the_cure_of_a_missing_extra(program: str) -> None:
    said = run(
        "from edgebnn.errors import MissingExtraError\n"
        f"try:\n    {program}\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    assert "run `pip install 'edgebnn[service]'`" in said
