"""Inside the board: runs commands that come through a virtio port, one JSON line each, and answers with one."""

import json
import subprocess
from pathlib import Path
from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Code, standard output and standard error of request["command"]."""
    try:
        done = subprocess.run(
            request["command"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=request["timeout_s"],
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"code": 255, "out": "", "err": repr(error)}
    return {"code": done.returncode, "out": done.stdout, "err": done.stderr}


with Path("/dev/virtio-ports/edgebnn.agent").open("r+b", buffering=0) as port:
    port.write(b'{"hello": 1}\n')
    line = b""
    while True:
        octet = port.read(1)
        line += octet
        if octet == b"\n":
            answer = json.dumps(run(json.loads(line))).encode() + b"\n"
            while answer:
                answer = answer[port.write(answer) :]
            line = b""
