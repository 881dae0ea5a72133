"""Small state files that survive a power cut: the old content or the new one, never half of it."""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path


def write_state(file: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace `file` by `content`, on the disk when this returns; OSError when that fails, and the old file stays."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def remove_half_written(file: Path) -> None:
    """What processes that were killed while they wrote `file` have left; OSError when the disk refuses.

    Only for who alone writes `file`.
    """
    for half in file.parent.glob(f".{glob.escape(file.name)}.*"):
        half.unlink(missing_ok=True)
