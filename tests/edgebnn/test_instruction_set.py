from __future__ import annotations

import json
import platform
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from edgebnn.errors import UnavailableError
from edgebnn.instruction_set import FLAGS, differing, hold_to_avx2, read_symbols
from tests.edgebnn.test_bench import residual

CPU = set(Path("/proc/cpuinfo").read_text().split())
needs_avx2 = pytest.mark.skipif(not {"avx2", "fma"} <= CPU, reason="this CPU has no AVX2 and FMA")


def octets(flags: set[str]) -> bytearray:
    return bytearray(name in flags for name in FLAGS)


def test_each_flag_is_compared_with_what_linux_says() -> None:
    flags = {"pni", "avx2", "fma", "avx512f", "amx_int8"}
    assert differing(octets(flags), flags) == []
    for index, name in enumerate(FLAGS):
        wrong = octets(flags)
        wrong[index] ^= 1
        assert differing(wrong, flags) == ([] if name is None else [name])
        wrong[index] = 2
        assert differing(wrong, flags) == [name or "an unnamed flag"]


def test_a_layout_that_is_off_by_one_is_seen() -> None:
    flags = {"pni", "ssse3", "sse4_1", "sse4_2", "avx", "fma", "f16c", "avx2", "avx512f"}
    assert "pni" in differing(b"\0" + octets(flags)[:-1], flags)
    assert "sse4_2" in differing(octets(flags)[1:] + b"\0", flags)


def elf(symbols: dict[str, int]) -> bytes:
    """A file of a header, names, .symtab and the headers of both sections."""
    names, table = b"\0", struct.pack("<IBBHQQ", 0, 0, 0, 0, 0, 0)
    for name, value in symbols.items():
        table += struct.pack("<IBBHQQ", len(names), 1, 0, 1, value, 8)
        names += name.encode() + b"\0"
    names_at, table_at = 64, 64 + len(names)
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 0, 0, 64, 0, 0, 64, 2, 0)
    header = header[:0x28] + struct.pack("<Q", table_at + len(table)) + header[0x30:]
    sections = struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, table_at, len(table), 0, 0, 8, 24)
    return header + names + table + sections


def test_symbols_are_found_by_their_whole_name() -> None:
    library = elf({"cpuinfo_isa_more": 1, "cpuinfo_is": 2, "cpuinfo_isa": 0xDAC674, "other": 3})
    assert read_symbols(library, ("cpuinfo_isa", "other", "absent")) == {"cpuinfo_isa": 0xDAC674, "other": 3}
    assert read_symbols(b"MZ" + library[2:], ("other",)) == {}


@pytest.mark.skipif(platform.machine() == "x86_64", reason="an x86_64 CPU")
def test_other_cpus_are_refused() -> None:
    with pytest.raises(UnavailableError, match="expected an x86_64 CPU to hold to AVX2"):
        hold_to_avx2()


HELD = """
import ctypes, json, sys
import numpy as np
from edgebnn import instruction_set as held
from ai_edge_litert.interpreter import Interpreter

if sys.argv[2] == "late":
    Interpreter(model_path=sys.argv[1]).allocate_tensors()
held.hold_to_avx2()
interpreter = Interpreter(model_path=sys.argv[1])
interpreter.allocate_tensors()
path, base = held._mapped(held.LIBRARY)
(isa,) = held.read_symbols(path.read_bytes(), ("cpuinfo_isa",)).values()
octets = ctypes.string_at(base + isa + held.FLAGS_AT, len(held.FLAGS))
print(json.dumps([name for octet, name in zip(octets, held.FLAGS, strict=True) if octet]))
"""


def hold(model: Path, when: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HELD, str(model), when]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float network for XNNPACK."""
    from tests.delegate.flatfile import to_bytes
    from tests.delegate.graph import Graph

    graph = Graph()
    x = graph.input((1, 6, 6, 32))
    graph.output(graph.relu(graph.add(x, x)))
    path = tmp_path_factory.mktemp("isa") / "dense.tflite"
    path.write_bytes(to_bytes(graph))
    return path


@needs_avx2
def test_the_flags_beyond_avx2_are_gone_and_the_others_stay(dense: Path) -> None:
    done = hold(dense, "early")
    assert done.returncode == 0, done.stderr
    left = set(json.loads(done.stdout.splitlines()[-1]))
    assert left == {name for name in FLAGS[: FLAGS.index("avx2") + 1] if name in CPU} - {"avx_vnni"}


@needs_avx2
def test_too_late_is_refused(dense: Path) -> None:
    done = hold(dense, "late")
    assert done.returncode == 1
    assert "XNNPACK has looked at the CPU already: hold it to AVX2 in a new process" in done.stderr


@needs_avx2
def test_the_command_says_what_it_was_held_to(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(residual())
    command = [sys.executable, "-m", "edgebnn", "bench", str(tmp_path / "net.tflite"), "--isa", "avx2"]
    done = subprocess.run([*command, "--seconds", "0.001", "--json"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["isa"] == "avx2"
