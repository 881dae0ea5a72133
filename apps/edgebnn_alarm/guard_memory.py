"""What the guard rang: it must not write the database, and the clock must not ring the same again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebnn.errors import DataError
from edgebnn.service.state import remove_half_written, write_state
from edgebnn_alarm.journal import Entry
from edgebnn_alarm.rows import entry_row, read_entry

FILE = "guard.json"
ENTRIES = 200


@dataclass
class GuardMemory:
    """The guard's own small journal, a file in the clock's folder."""

    folder: Path

    def read(self) -> list[Entry]:
        """What the guard decided, oldest first; a damaged file counts as empty: then it rings, at worst again."""
        try:
            rows: list[Any] = json.loads((self.folder / FILE).read_bytes())
            return [entry for row in rows if (entry := read_entry(tuple(row))) is not None]
        except (OSError, ValueError, TypeError, DataError):
            return []

    def tidy(self) -> None:
        """Remove what guards that were killed while they wrote have left behind; OSError when the disk refuses."""
        remove_half_written(self.folder / FILE)

    def add(self, entries: Iterable[Entry]) -> None:
        """Keep decisions; OSError when the disk refuses."""
        rows = [entry_row(entry) for entry in [*self.read(), *entries]][-ENTRIES:]
        write_state(self.folder / FILE, json.dumps(rows).encode(), mode=0o640)
