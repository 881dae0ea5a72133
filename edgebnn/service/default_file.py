"""The commented configuration file, written from the models."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pydantic
from pydantic.fields import FieldInfo

from edgebnn.service.fields import bounds, is_live, list_schema, secret_name, table_schema, toml

WIDTH = 100


def default_file(schema: type[pydantic.BaseModel], *, title: str) -> str:
    """A TOML file with every key of `schema`: description, bounds, and the default behind `#`.

    It parses to the defaults as it stands, and also with `#key = value` lines uncommented. A key without default
    stands uncommented with an empty value, which the check of the file then names.
    """
    lines = [f"# {title}", "#", *_comment("A line `#key = value` shows the default: remove the # to change it."), ""]
    lines += _table(schema, path="")
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(schema: type[pydantic.BaseModel], *, path: str) -> Iterator[str]:
    """Plain keys first, since in TOML a table ends where the next begins."""
    inner = {name: field for name, field in schema.model_fields.items() if table_schema(field) or list_schema(field)}
    for name, field in schema.model_fields.items():
        if name not in inner:
            yield from _key(name, field)
            yield ""
    for name, field in inner.items():
        yield from _comment(field.description or "")
        if item := list_schema(field):
            yield f"# Any number of tables like this one{_limit(field)}:"
            yield f"#  [[{path}{name}]]"
            for line in _table(item, path=f"{path}{name}."):
                yield f"#  {line.removeprefix('#') if line[1:2].strip() else line}".rstrip()
            yield ""
        elif model := table_schema(field):
            yield f"[{path}{name}]"
            yield ""
            yield from _table(model, path=f"{path}{name}.")


def _key(name: str, field: FieldInfo) -> Iterator[str]:
    if secret := secret_name(field):
        where = f"A secret, never in this file: systemd credential {secret} or EDGEBNN_{secret.upper()}."
        yield from _comment(f"{name}: {field.description} {where}")
        return
    text = (field.description or "").strip()
    text = text if text.endswith(".") else text + "."
    if limits := bounds(field):
        text += f" {limits[0].upper()}{limits[1:]}."
    if is_live(field):
        text += " Can be changed while the service runs."
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    if field.is_required():
        yield from _comment(text + " Must be given.")
        yield f"{name} ="
    elif default is None:
        example = field.examples[0] if field.examples else None
        yield from _comment(text + " Not set by default." + ("" if example is None else " Example:"))
        yield f"# {name} = {toml(example)}" if example is not None else f"# {name} ="
    else:
        yield from _comment(text)
        yield f"#{name} = {toml(default)}"


def _limit(field: FieldInfo) -> str:
    return f" ({limits})" if (limits := bounds(field)) else ""


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
