from __future__ import annotations

from pathlib import Path

import pytest

import edgebnn
from edgebnn.errors import DelegateError, InputError


def test_path_is_a_file_that_loads() -> None:
    assert edgebnn.delegate_path().name.endswith(".so")
    assert edgebnn.load_delegate()._get_native_delegate_pointer()


def test_missing_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEBNN_DELEGATE", str(tmp_path / "gone.so"))
    with pytest.raises(DelegateError, match=r"expected the delegate at .*gone\.so, found nothing: install"):
        edgebnn.load_delegate()


def test_file_that_is_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("not a library")
    monkeypatch.setenv("EDGEBNN_DELEGATE", str(tmp_path / "text.so"))
    with pytest.raises(DelegateError, match=r"text\.so does not load on this machine"):
        edgebnn.load_delegate()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_threads": 0}, "num_threads is '0', expected 1 to 64"),
        ({"num_threads": 65}, "num_threads is '65', expected 1 to 64"),
        ({"num_threads": "two"}, "num_threads is 'two'"),
        ({"kernel": "fast"}, "kernel is 'fast', expected auto, avx2, portable or reference"),
        ({"speed": "11"}, "option 'speed' is unknown"),
    ],
)
def test_options_are_refused_by_name(options: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        edgebnn.load_delegate(**options)  # type: ignore[arg-type]


def test_avx2_is_refused_where_the_cpu_lacks_it() -> None:
    if "avx2" in Path("/proc/cpuinfo").read_text().split():
        assert edgebnn.load_delegate(kernel="avx2")._get_native_delegate_pointer()
    else:
        with pytest.raises(InputError, match="kernel is 'avx2', which this CPU does not have, expected auto"):
            edgebnn.load_delegate(kernel="avx2")
