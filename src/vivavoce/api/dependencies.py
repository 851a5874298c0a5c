"""What endpoints take from the application, and who asks.

What FastAPI is to call itself is `async`, though it waits for nothing: anything else it would call
in a thread.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from vivavoce.api.lifecycle import Lifecycle
from vivavoce.api.request_log import RequestLog
from vivavoce.api.routes.replay import ReplayStore
from vivavoce.observability.metrics import Metrics
from vivavoce.storage import Folders, SpoolLimit
from vivavoce.synthesis.speech import Synthesizer


@dataclass(frozen=True, slots=True)
class Server:
    """What one application's endpoints share; `app.state.server` is one."""

    synthesizer: Synthesizer
    life: Lifecycle
    folders: Folders
    spool_limit: SpoolLimit
    metrics: Metrics
    requests: RequestLog
    replays: ReplayStore
    max_plain_bytes: int  # of a body without a recording


async def _server(request: Request) -> Server:
    return server_of(request)


async def _synthesizer(request: Request) -> Synthesizer:
    return server_of(request).synthesizer


ServerDep = Annotated[Server, Depends(_server)]
SynthesizerDep = Annotated[Synthesizer, Depends(_synthesizer)]


def server_of(request: Request) -> Server:
    """Return what the application that answers `request` shares."""
    server = request.app.state.server
    assert isinstance(server, Server)
    return server


def caller_of(request: Request) -> str:
    """Return the name of the API key that the request came with; empty if none was needed."""
    return str(request.scope.get("state", {}).get("key", ""))


def can_manage(request: Request) -> bool:
    """True if the API key that the request came with has the scope `manage`."""
    return bool(request.scope.get("state", {}).get("manages"))
