"""Holds XNNPACK in this process to AVX2, as on a CPU that has nothing wider, so that benchmarks can show both.

XNNPACK offers no option for it. It asks the library cpuinfo, linked into LiteRT, once, when the first interpreter
applies it; so the flags that cpuinfo has found are cleared before. Where they lie is in LiteRT's own symbol table,
their order in `struct cpuinfo_x86_isa` of github.com/pytorch/cpuinfo, include/cpuinfo.h; both are checked against what
Linux says of this CPU before anything is changed.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Sequence
from pathlib import Path

from edgebnn.errors import UnavailableError

LIBRARY = "libpywrap_litert_common.so"

# Neighbours in the struct, one byte each, by their names in /proc/cpuinfo; None: Linux has no such flag.
FLAGS: tuple[str | None, ...] = (
    *("pni", "ssse3", "sse4_1", "sse4_2", "sse4a", "misalignsse", "avx", "avx_vnni", "fma", "fma4", "xop", "f16c"),
    *("avx2", "avx512f", "avx512pf", "avx512er", "avx512cd", "avx512dq", "avx512bw", "avx512vl", "avx512ifma"),
    *("avx512vbmi", "avx512_vbmi2", "avx512_bitalg", "avx512_vpopcntdq", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("avx512_vp2intersect", "avx512_4vnniw", "avx512_4fmaps", None, None, "amx_bf16", "amx_tile", "amx_int8"),
)
FLAGS_AT = 16  # bytes from the struct's begin
BEYOND_AVX2 = ("avx_vnni", "avx512", "amx")


def hold_to_avx2() -> None:
    """Let XNNPACK in ai-edge-litert use AVX2, FMA and what is older; once, before the first interpreter is made.

    UnavailableError where that cannot be done safely, with nothing changed.
    """
    if platform.machine() != "x86_64":
        raise UnavailableError(f"expected an x86_64 CPU to hold to AVX2, got {platform.machine()}")
    flags = _linux_flags()
    if not {"avx2", "fma"} <= flags:
        raise UnavailableError("expected a CPU with AVX2 and FMA, /proc/cpuinfo names neither or one of them")
    import ai_edge_litert.interpreter  # noqa: F401  (loads the library)

    path, base = _mapped(LIBRARY)
    found = read_symbols(path.read_bytes(), ("cpuinfo_initialize", "cpuinfo_is_initialized", "cpuinfo_isa"))
    if len(found) < 3:
        raise UnavailableError(f"expected cpuinfo's symbols in {path.name} of ai-edge-litert, found {sorted(found)}")
    if ctypes.string_at(base + found["cpuinfo_is_initialized"], 1) != b"\0":
        raise UnavailableError("XNNPACK has looked at the CPU already: hold it to AVX2 in a new process")
    ctypes.CFUNCTYPE(ctypes.c_bool)(base + found["cpuinfo_initialize"])()
    begin = base + found["cpuinfo_isa"] + FLAGS_AT
    difference = differing(ctypes.string_at(begin, len(FLAGS)), flags)
    if difference:
        raise UnavailableError(
            f"ai-edge-litert's cpuinfo and /proc/cpuinfo disagree on {', '.join(difference)}: "
            "another version lays its flags out in another way"
        )
    for offset, name in enumerate(FLAGS):
        if name is None or name.startswith(BEYOND_AVX2):
            ctypes.memset(begin + offset, 0, 1)


def differing(octets: bytes, flags: set[str]) -> list[str]:
    """Names of FLAGS whose byte is not 1 where Linux has the flag, 0 where not, either where Linux knows none."""
    wrong = []
    for octet, name in zip(octets, FLAGS, strict=True):
        if octet > 1 or (name is not None and octet != (name in flags)):
            wrong.append(name or "an unnamed flag")
    return wrong


def read_symbols(library: bytes, names: Sequence[str]) -> dict[str, int]:
    """Addresses of `names` in the symbol table (.symtab) of a 64-bit little-endian ELF file; those that it has."""
    if library[:6] != b"\x7fELF\x02\x01":
        return {}
    (sections_at,) = struct.unpack_from("<Q", library, 0x28)
    size, count = struct.unpack_from("<HH", library, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", library, sections_at + i * size) for i in range(count)]
    wanted = {name.encode(): name for name in names}
    longest = max(map(len, wanted)) + 1
    found = {}
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind != 2:  # SHT_SYMTAB
            continue
        texts = sections[link][4]
        for name_at, _, _, _, value, _ in struct.iter_unpack("<IBBHQQ", library[offset : offset + length]):
            text = library[texts + name_at : texts + name_at + longest].split(b"\0", 1)[0]
            if text in wanted:
                found[wanted[text]] = value
    return found


def _linux_flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()


def _mapped(name: str) -> tuple[Path, int]:
    """Path of a library that this process has loaded, and the address of its first byte."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, offset, *_, path = line.split(maxsplit=5)
        if path.endswith("/" + name) and int(offset, 16) == 0:
            return Path(path), int(span.split("-")[0], 16)
    raise UnavailableError(
        f"expected ai-edge-litert to load {name}, it did not: another version keeps XNNPACK elsewhere"
    )
