"""What check_wheel.py refuses, on wheels made from this tree with libraries of a few lines."""

from __future__ import annotations

import platform
import shutil
import subprocess
import zipfile
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("elftools", reason="expected pyelftools: it comes with the extra [dev]")
if shutil.which("c++") is None or platform.machine() != "x86_64":
    pytest.skip("expected c++ on x86_64", allow_module_level=True)

ROOT = Path(__file__).parents[2]
TAG = "py3-none-manylinux_2_28_x86_64"
ENTRY_POINTS = """
extern "C" __attribute__((visibility("default"))) void tflite_plugin_create_delegate() {}
extern "C" __attribute__((visibility("default"))) void tflite_plugin_destroy_delegate() {}
extern "C" __attribute__((visibility("default"))) void edgebnn_take_profile() {}
"""


def load_checker() -> ModuleType:
    spec = util.spec_from_file_location("check_wheel", ROOT / "scripts/wheels/check_wheel.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_wheel = load_checker()


def library(folder: Path, *flags: str, source: str = "") -> bytes:
    """A shared library with the three entry points, for this machine."""
    (folder / "library.cc").write_text(ENTRY_POINTS + source)
    command = ["c++", "-shared", "-fPIC", "-fvisibility=hidden", *flags, "library.cc", "-o", "library.so"]
    subprocess.run(command, cwd=folder, check=True)
    return (folder / "library.so").read_bytes()


def good_files(machine_code: bytes) -> dict[str, bytes]:
    """The files of a wheel without fault, by name."""
    project = check_wheel.tomllib.loads((ROOT / "pyproject.toml").read_text())
    metadata = project["project"]
    info = f"edgebnn-{metadata['version']}.dist-info"
    required = "".join(f"Requires-Dist: {line}\n" for line in metadata["dependencies"])
    extras = "".join(f"Provides-Extra: {name}\n" for name in metadata["optional-dependencies"])
    fields = (
        f"Name: edgebnn\nVersion: {metadata['version']}\nRequires-Python: {metadata['requires-python']}\n"
        f"License-Expression: {metadata['license']}\n"
    )
    scripts = "".join(f"{name} = {target}\n" for name, target in metadata["scripts"].items())
    files = dict.fromkeys(check_wheel.expected_files(ROOT, project), b"")
    return files | {
        check_wheel.LIBRARY: machine_code,
        f"{info}/METADATA": f"{fields}{required}{extras}\nREADME\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nTag: {TAG}\n".encode(),
        f"{info}/RECORD": b"",
        f"{info}/entry_points.txt": f"[console_scripts]\n{scripts}".encode(),
        f"{info}/licenses/LICENSE": b"",
    }


def refusals(folder: Path, files: dict[str, bytes], tag: str = TAG) -> str:
    info = next(name for name in files if name.endswith("/METADATA")).partition(".dist-info")[0]
    wheel = folder / f"{info}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return "\n".join(check_wheel.problems(wheel, ROOT))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return good_files(library(tmp_path, "-nostdlib"))


def test_a_good_wheel_passes(tmp_path: Path, files: dict[str, bytes]) -> None:
    assert refusals(tmp_path, files) == ""


@pytest.mark.parametrize("name", ["edgebnn/delegate/plugin.cc", "tests/test_it.py", "edgebnn/delegate/second.so"])
def test_files_that_do_not_belong(tmp_path: Path, files: dict[str, bytes], name: str) -> None:
    assert refusals(tmp_path, files | {name: b""}) == f"expected no {name} in the wheel"


@pytest.mark.parametrize(
    "name",
    [
        "edgebnn/weights/face.tflite",
        "edgebnn/weights/sleep.tflite",
        "edgebnn/samples/astronaut.jpg",
        "edgebnn/py.typed",
    ],
)
def test_files_that_are_missing(tmp_path: Path, files: dict[str, bytes], name: str) -> None:
    del files[name]
    assert refusals(tmp_path, files) == f"expected {name} in the wheel"


@pytest.mark.parametrize("tag", ["py3-none-linux_x86_64", "cp311-cp311-manylinux_2_28_x86_64", "py3-none-any"])
def test_other_tags(tmp_path: Path, files: dict[str, bytes], tag: str) -> None:
    assert "expected the tag py3-none-manylinux_2_28_" in refusals(tmp_path, files, tag)


def test_a_library_for_another_machine(tmp_path: Path, files: dict[str, bytes]) -> None:
    files = {name: data.replace(b"x86_64", b"aarch64") if "WHEEL" in name else data for name, data in files.items()}
    assert "expected EM_AARCH64, the library is EM_X86_64" in refusals(
        tmp_path, files, TAG.replace("x86_64", "aarch64")
    )


@pytest.mark.parametrize(
    ("flags", "source", "refusal"),
    [
        (["-Wl,--no-as-needed"], "", "expected glibc's libraries only, it needs libstdc++.so.6"),
        ([], '#include <iostream>\nvoid f() { std::cout << ""; }', "it needs GLIBCXX_3.4 of libstdc++.so.6"),
        (["-nostdlib", "-Wl,-rpath,/opt"], "", "expected no search path"),
        (["-nostdlib", "-Wl,-z,execstack"], "", "expected a stack without code"),
        (
            ["-nostdlib"],
            "const char kBig[600000] __attribute__((used)) = {1};",
            "expected a library below 600000 bytes",
        ),
        (
            ["-nostdlib"],
            '__attribute__((visibility("default"))) int leak;',
            "expected the three entry points, it exports edgebnn_take_profile, leak",
        ),
    ],
)
def test_libraries_that_do_not_travel(
    tmp_path: Path, files: dict[str, bytes], flags: list[str], source: str, refusal: str
) -> None:
    files[check_wheel.LIBRARY] = library(tmp_path, *flags, source=source)
    assert refusal in refusals(tmp_path, files)


def test_newer_glibc_is_refused_and_older_is_not() -> None:
    assert (
        check_wheel.glibc("2.34") > check_wheel.NEWEST_GLIBC >= check_wheel.glibc("2.28") > check_wheel.glibc("2.3.2")
    )


def test_metadata_without_a_dependency(tmp_path: Path, files: dict[str, bytes]) -> None:
    name = next(name for name in files if name.endswith("METADATA"))
    files[name] = files[name].replace(b"Requires-Dist: numpy>=1.24\n", b"")
    assert "expected pyproject.toml's dependencies" in refusals(tmp_path, files)
