"""Pages of the services: access rules, templates, streams, the server. Needs the extra [service].

app.py     routes, errors, static files     access.py    who may come in; sessions.py, login.py
pages.py   Jinja2 templates                 server.py    uvicorn in a thread; protocol.py: its deadlines
mjpeg.py   a stream for many watchers       problems.py  errors as a page or JSON
The settings are in edgebnn.service.web_settings, which does without the extra.
"""

from edgebnn.errors import MissingExtraError

try:
    import jinja2  # noqa: F401
    import python_multipart  # noqa: F401
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise MissingExtraError(f"a page needs {error.name}: run `pip install 'edgebnn[service]'`") from None

from edgebnn.service.web.app import make_app
from edgebnn.service.web.mjpeg import StreamHub
from edgebnn.service.web.pages import page
from edgebnn.service.web.problems import problem
from edgebnn.service.web.server import Server, serve
from edgebnn.service.web_settings import WebSettings

__all__ = ["Server", "StreamHub", "WebSettings", "make_app", "page", "problem", "serve"]
