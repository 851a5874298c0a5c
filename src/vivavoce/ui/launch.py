"""Build the demo page as an ASGI application; does not listen, and imports Streamlit only when asked."""

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
    "client.showErrorDetails": "none",  # a traceback is for the log, not for the visitor
    "client.toolbarMode": "minimal",
    "logger.level": "warning",
    "server.fileWatcherType": "none",
    "theme.primaryColor": "#0f766e",
}


def create_page(server_url: str) -> "App":
    """Return the page, which will ask the speech server at `server_url`; one for each process.

    Raises `MissingDependency` without Streamlit.
    """
    if find_spec("streamlit") is None:
        raise MissingDependency("the demo page needs streamlit: pip install 'vivavoce[ui]'")
    from streamlit.starlette import App
    from streamlit.web.bootstrap import (
        load_config_options,  # the environment sets few of its options
    )

    os.environ[SERVER_URL] = server_url  # Streamlit gives its script no arguments
    load_config_options(_OPTIONS)
    return App(Path(__file__).with_name("app.py"))
