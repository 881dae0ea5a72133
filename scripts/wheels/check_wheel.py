"""Checks wheels before anybody gets them: tag, contents, metadata and the shared library.

    python scripts/wheels/check_wheel.py --source SDIST_FOLDER WHEEL...

auditwheel judges by the same library versions; this is what it does not know: what belongs into our wheel. Prints name,
size and sha256 of each, then `N passed, M failed`; exit code 1 if any failed.
"""

from __future__ import annotations

import argparse
import email
import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIBRARY = "edgebnn/delegate/libedgebnn_delegate.so"
LIBRARY_BYTES = 600_000
NEWEST_GLIBC = (2, 28)
MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
SYSTEM_LIBRARIES = ("libc.so.", "libm.so.", "libpthread.so.", "libdl.so.", "ld-linux-")  # glibc's
ENTRY_POINTS = {"tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate", "edgebnn_take_profile"}
PAGE = {"x86_64": 4096, "aarch64": 16384}  # Raspberry Pi 5's kernel has pages of 16 KB
BUILD_FILES = {".cc", ".h", ".inc", ".map", ".cmake"}
INDISPENSABLE = {
    "edgebnn/weights/face.tflite",
    "edgebnn/weights/sleep.tflite",
    "edgebnn/samples/astronaut.jpg",
    "edgebnn/samples/astronaut.json",
}


def library_problems(data: bytes, machine: str) -> Iterator[str]:
    """What keeps a shared library from running on each `machine` with glibc 2.28, one sentence each."""
    elf = ELFFile(io.BytesIO(data))
    if elf["e_machine"] != MACHINES[machine]:
        yield f"expected {MACHINES[machine]}, the library is {elf['e_machine']}"
    if len(data) >= LIBRARY_BYTES:
        yield f"expected a library below {LIBRARY_BYTES} bytes, it has {len(data)}"
    for file, version in versions(elf):
        family, _, number = version.partition("_")
        if family != "GLIBC" or glibc(number) > NEWEST_GLIBC:
            yield f"expected nothing beyond GLIBC_2.28, it needs {version} of {file}"
    for tag in elf.get_section_by_name(".dynamic").iter_tags():
        if tag.entry.d_tag == "DT_NEEDED" and not tag.needed.startswith(SYSTEM_LIBRARIES):
            yield f"expected glibc's libraries only, it needs {tag.needed}"
        if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
            yield "expected no search path, it has one"
    exported = {s.name for s in elf.get_section_by_name(".dynsym").iter_symbols() if is_exported(s)}
    if exported != ENTRY_POINTS:
        yield f"expected the three entry points, it exports {', '.join(sorted(exported)) or 'nothing'}"
    for segment in elf.iter_segments():
        if segment["p_type"] == "PT_LOAD" and segment["p_align"] < PAGE[machine]:
            yield f"expected segments aligned to {PAGE[machine]}, one is to {segment['p_align']}"
        if segment["p_type"] == "PT_GNU_STACK" and segment["p_flags"] & 1:
            yield "expected a stack without code, it asks for an executable one"


def versions(elf: Any) -> list[tuple[str, str]]:
    """Library and symbol version, e.g. ("libc.so.6", "GLIBC_2.17"), of all that a library needs."""
    sections = [s for s in elf.iter_sections() if isinstance(s, GNUVerNeedSection)]
    return [(need.name, aux.name) for s in sections for need, auxes in s.iter_versions() for aux in auxes]


def glibc(number: str) -> tuple[int, ...]:
    """(2, 17) of "2.17"."""
    return tuple(int(part) for part in number.split("."))


def is_exported(symbol: Any) -> bool:
    """Whether a dynamic symbol is defined here."""
    return bool(symbol.name) and symbol["st_shndx"] != "SHN_UNDEF"


def expected_files(source: Path, project: dict[str, Any]) -> set[str]:
    """The packages' files without what only the build reads, and the library."""
    names = {LIBRARY}
    for package in map(PurePosixPath, project["tool"]["scikit-build"]["wheel"]["packages"]):
        for file in (source / package).rglob("*"):
            if file.is_file() and file.suffix not in BUILD_FILES and file.name != "CMakeLists.txt":
                names.add(str(package.name / file.relative_to(source / package)))
    return names


def metadata_problems(archive: zipfile.ZipFile, info: str, project: dict[str, Any], tag: str) -> Iterator[str]:
    """Where METADATA, WHEEL and entry points say something else than pyproject.toml."""
    metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))
    for field, wanted in [
        ("Name", project["name"]),
        ("Version", project["version"]),
        ("Requires-Python", project["requires-python"]),
        ("License-Expression", project["license"]),
    ]:
        if metadata[field] != wanted:
            yield f"expected {field} {wanted}, METADATA has {metadata[field]}"
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    always = {str(requirement) for requirement in required if "extra" not in str(requirement.marker)}
    if always != {str(Requirement(line)) for line in project["dependencies"]}:
        yield f"expected pyproject.toml's dependencies, METADATA has {', '.join(sorted(always)) or 'none'}"
    if set(metadata.get_all("Provides-Extra", [])) != set(project["optional-dependencies"]):
        yield f"expected the extras of pyproject.toml, METADATA has {metadata.get_all('Provides-Extra', [])}"
    if not metadata.get_payload():
        yield "expected the README as description, METADATA has none"
    if email.message_from_bytes(archive.read(f"{info}/WHEEL")).get_all("Tag") != [tag]:
        yield f"expected the tag {tag} alone in WHEEL"
    scripts = "".join(f"{name} = {target}\n" for name, target in project["scripts"].items())
    if scripts not in archive.read(f"{info}/entry_points.txt").decode():
        yield f"expected the commands of pyproject.toml, entry_points.txt lacks {scripts.strip()}"


def problems(wheel: Path, source: Path) -> list[str]:
    """All that is wrong with a wheel made from an unpacked sdist, one sentence each."""
    name, version, _, tags = parse_wheel_filename(wheel.name)
    tag = str(next(iter(tags)))
    machine = tag.removeprefix("py3-none-manylinux_2_28_")
    if len(tags) != 1 or machine not in MACHINES:
        return [f"expected the tag py3-none-manylinux_2_28_ and {' or '.join(MACHINES)}, the name has {tag}"]
    project = tomllib.loads((source / "pyproject.toml").read_text())
    wanted = expected_files(source, project)
    info = f"{name}-{version}.dist-info"
    wanted |= {f"{info}/{file}" for file in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    with zipfile.ZipFile(wheel) as archive:
        found = {file for file in archive.namelist() if not file.endswith("/")}
        wrong = [f"expected no {file} in the wheel" for file in sorted(found - wanted)]
        wrong += [f"expected {file} in the wheel" for file in sorted((wanted | INDISPENSABLE) - found)]
        if not wrong:
            wrong += metadata_problems(archive, info, project["project"], tag)
            wrong += library_problems(archive.read(LIBRARY), machine)
    return wrong


def description(wheel: Path) -> str:
    """Name, size and sha256, and what its library needs."""
    with zipfile.ZipFile(wheel) as archive:
        library = archive.read(LIBRARY)
    numbers = [glibc(version.partition("_")[2]) for _, version in versions(ELFFile(io.BytesIO(library)))]
    newest = ".".join(map(str, max(numbers)))
    return (
        f"{wheel.name}: {wheel.stat().st_size:,} bytes, library {len(library):,} bytes, needs GLIBC_{newest}\n"
        f"sha256 {hashlib.sha256(wheel.read_bytes()).hexdigest()}"
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="the unpacked sdist that they were made from")
    parser.add_argument("wheels", nargs="+", type=Path, metavar="WHEEL")
    options = parser.parse_args()
    failed = 0
    for wheel in options.wheels:
        wrong = problems(wheel, options.source)
        failed += bool(wrong)
        print("\n".join(f"FAILED {wheel.name}: {sentence}" for sentence in wrong) or description(wheel))
    print(f"{len(options.wheels) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
