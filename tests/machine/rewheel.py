"""Wheels of later versions, and of broken ones, made from a built wheel without building it again."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path


def rewrite_wheel(wheel: Path, folder: Path, *, version: str, changes: Mapping[str, bytes] | None = None) -> Path:
    """`wheel` as `version`, with some of its files replaced, written into `folder`."""
    name, old, *tags = wheel.name.split("-")
    target = folder / "-".join([name, version, *tags])
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        record = ""
        files = {info.filename: source.read(info) for info in source.infolist() if not info.is_dir()}
        modes = {info.filename: info.external_attr for info in source.infolist()}
        for path, content in {**files, **(changes or {})}.items():
            mode = modes.get(path, 0o644 << 16)
            path = path.replace(f"{name}-{old}.dist-info", f"{name}-{version}.dist-info")
            if path.endswith(".dist-info/RECORD"):
                record = path
                continue
            if path.endswith(".dist-info/METADATA"):
                content = content.replace(f"\nVersion: {old}\n".encode(), f"\nVersion: {version}\n".encode(), 1)
            files[path] = content
            info = zipfile.ZipInfo(path)
            info.external_attr, info.compress_type = mode, zipfile.ZIP_DEFLATED
            out.writestr(info, content)
        lines = []
        for path in out.namelist():
            digest = base64.urlsafe_b64encode(hashlib.sha256(files[path]).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(files[path])}")
        out.writestr(record, "\n".join([*lines, f"{record},,", ""]))
    return target
