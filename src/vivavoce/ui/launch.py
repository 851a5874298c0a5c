"""Build the demo page as an ASGI application. Importing the module does not import Streamlit."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vivavoce.errors import MissingDependency

if TYPE_CHECKING:
    from streamlit.starlette import App

SERVER_URL = "TTS_API_URL"  # the environment variable that names the speech server
_OPTIONS: dict[str, object] = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",  # tracebacks belong in the log
    "client.toolbarMode": "minimal",
    "logger.level": "warning",
    "server.fileWatcherType": "none",
    # One for both would make the page light on a device in dark mode.
    "theme.light.primaryColor": "#0f766e",
    "theme.dark.primaryColor": "#0d9488",
}


def create_page(server_url: str) -> "App":
    """Return the page for a server, once in a process. Raises `MissingDependency`."""
    if find_spec("streamlit") is None:
        raise MissingDependency("the demo page needs streamlit: pip install 'vivavoce[ui]'")
    from streamlit.starlette import App
    from streamlit.web.bootstrap import load_config_options  # the environment sets only a few

    os.environ[SERVER_URL] = server_url  # Streamlit passes no arguments to its script
    load_config_options(_OPTIONS)
    return App(Path(__file__).with_name("app.py"))
