"""Server-rendered pages: Jinja2 templates of the application over those of this package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

HERE = Path(__file__).parent


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """The page `template` with `context`. Templates extend base.html, and find in it:

    request, form_token (for `form.token()`), signed_in, title, navigation, version, static(name).
    """
    application = request.app
    text = application.state.templates.get_template(template).render(
        request=request,
        path=request.scope["path"],
        form_token=getattr(request.state, "form_token", ""),
        signed_in=getattr(request.state, "signed_in", False),
        has_token=application.state.gate.sessions is not None,
        **context,
    )
    return HTMLResponse(text, status)


def make_templates(
    folders: Sequence[Path], *, static: Sequence[Path], title: str, version: str, navigation: Mapping[str, str]
) -> Environment:
    """Templates from `folders`, then from this package; an unknown name in a template is an error."""
    environment = Environment(
        loader=FileSystemLoader([*folders, HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    stamps = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:8]
        for folder in (HERE / "static", *static)
        for file in folder.iterdir()
        if file.is_file()
    }
    environment.globals |= {
        "title": title,
        "navigation": navigation,
        "version": version,
        "static": lambda name: f"/static/{name}?v={stamps[name]}",
    }
    return environment
