"""What endpoints take from the application: synthesizer, life, its folders, latest requests, and who asks.

What FastAPI is to call itself is `async`, though it waits for nothing: anything else it would call in a thread.
"""

from typing import Annotated

from fastapi import Depends, Request

from vivavoce.api.folders import Folders, SpoolLimit
from vivavoce.api.life import Life
from vivavoce.api.requests import Requests
from vivavoce.synthesis import Synthesizer


async def _synthesizer(request: Request) -> Synthesizer:
    synthesizer = request.app.state.synthesizer
    assert isinstance(synthesizer, Synthesizer)
    return synthesizer


def caller_of(request: Request) -> str:
    """The name of the API key that the request came with; empty if none was needed."""
    return str(request.scope.get("state", {}).get("key", ""))


def manages(request: Request) -> bool:
    """Whether the API key that the request came with has the scope `manage`."""
    return bool(request.scope.get("state", {}).get("manages"))


def requests_of(request: Request) -> Requests:
    """The latest requests for speech."""
    requests = request.app.state.requests
    assert isinstance(requests, Requests)
    return requests


def spool_limit_of(request: Request) -> SpoolLimit:
    """The limit on whole answers that wait on disk."""
    limit = request.app.state.spool_limit
    assert isinstance(limit, SpoolLimit)
    return limit


SynthesizerDep = Annotated[Synthesizer, Depends(_synthesizer)]


async def _life(request: Request) -> Life:
    life = request.app.state.life
    assert isinstance(life, Life)
    return life


LifeDep = Annotated[Life, Depends(_life)]


async def _folders(request: Request) -> Folders:
    folders = request.app.state.folders
    assert isinstance(folders, Folders)
    return folders


FoldersDep = Annotated[Folders, Depends(_folders)]
