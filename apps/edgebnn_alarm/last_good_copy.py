"""The last good copy: alarms and recent decisions in one JSON file, replaced at each change, checked when read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from edgebnn.errors import DataError
from edgebnn.service.state import write_state
from edgebnn_alarm.rows import Contents, alarm_row, entry_row, memory_row, read_alarm, read_entry, read_memory

COPY = "alarms.json"
ENTRIES = 500
"""So many of the newest decisions are copied: what rang must not ring again after a recovery."""


def write_copy(folder: Path, contents: Contents) -> None:
    """Replace the copy: the old one or the new one survives a power cut. OSError when the disk refuses."""
    decisions = [entry for entry in contents.journal if entry.key is not None][-ENTRIES:]
    body = json.dumps(
        {
            "alarms": [alarm_row(alarm) for alarm in contents.alarms.values()],
            "journal": [entry_row(entry) for entry in decisions],
            "clock": memory_row(contents.memory) if contents.memory else None,
        }
    )
    checked = {"sha256": hashlib.sha256(body.encode()).hexdigest(), "body": body}
    write_state(folder / COPY, json.dumps(checked).encode(), mode=0o640)


def read_copy(folder: Path) -> Contents | None:
    """The copy's contents, None without a copy; DataError when it is damaged or cannot be read."""
    file = folder / COPY
    try:
        checked = json.loads(file.read_bytes())
        if hashlib.sha256(checked["body"].encode()).hexdigest() != checked["sha256"]:
            raise DataError(f"{file} is damaged: its checksum is wrong")
        raw: dict[str, Any] = json.loads(checked["body"])
        alarms = [read_alarm(*row) for row in raw["alarms"]]
        entries = [read_entry(tuple(row)) for row in raw["journal"]]
        memory = read_memory(tuple(raw["clock"])) if raw["clock"] else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file} is damaged: {error!r:.100}") from None
    return Contents({alarm.id: alarm for alarm in alarms}, [entry for entry in entries if entry], memory)
