from pathlib import Path

import pydantic
import pytest

from edgebnn.config import check_config, masked, read_toml
from edgebnn.errors import ConfigError


class Inner(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    width: int = pydantic.Field(32, ge=1)
    name: str


class Outer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    inner: Inner


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[inner]\nname = "a"\nwdth = 3', ["inner.wdth", "3", "no such key"]),
        ('[inner]\nname = "a"\nwidth = 0', ["inner.width", "0", "greater than or equal to 1"]),
        ('[inner]\nname = "a"\nwidth = "wide"', ["inner.width", "'wide'"]),
        ("[inner]", ["inner.name", "missing"]),
        ("inner = 3", ["inner = 3: expected a table"]),
        ('[inner]\nname = "a"\nwidth = "' + 5000 * "9" + '"', [99 * "9" + "...: "]),
        ('[inner]\nname = "a"\nnmae = "rtsp://user:hunter2@host/"', ["inner.nmae = 'rtsp://***@host/'"]),
        ("[inner", ["not TOML"]),
    ],
)
def test_errors_name_file_key_and_value(tmp_path: Path, text: str, said: list[str]) -> None:
    file = tmp_path / "some.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        check_config(read_toml(file), Outer, file=file)
    assert all(part in str(error.value) for part in ["some.toml", *said])
    assert "\n" not in str(error.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        read_toml(tmp_path / "absent.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes\.toml"):
        read_toml(tmp_path / "bytes.toml")


def test_good_values(tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    file.write_text('[inner]\nname = "a"\nwidth = 7')
    assert check_config(read_toml(file), Outer, file=file).inner.width == 7


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:pass@host:554/a", "rtsp://***@host:554/a"),
        ("rtsp://user@host/a", "rtsp://***@host/a"),
        ("http://u:p%40ss@host/", "http://***@host/"),
        ("http://u:p@ss@host/", "http://***@host/"),
        ("http://u:p/ss?w@host/", "http://***@host/"),
        ("http://host/a@b?x=1", "http://host/a@b?x=1"),
        ("http://host/v?user=me&password=pw&fps=5", "http://host/v?user=me&password=***&fps=5"),
        ("http://host/v?access_token=pw", "http://host/v?access_token=***"),
        ("http://host/v?pwd=a&api_key=b&auth=c&x=d", "http://host/v?pwd=***&api_key=***&auth=***&x=d"),
        ("cannot open http://u:p@host/ twice", "cannot open http://***@host/ twice"),
        ("film.mp4", "film.mp4"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown
