"""Give endpoints the services that they share, and the API key of a request.

Functions that FastAPI calls are `async` although they wait for nothing, since FastAPI calls others
in a thread.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from vivavoce.api.lifecycle import Lifecycle
from vivavoce.api.live.clients import LiveClients
from vivavoce.api.replay import ReplayStore
from vivavoce.api.request_log import RequestLog
from vivavoce.jobs import Jobs
from vivavoce.jobs.webhooks import Hosts
from vivavoce.observability.metrics import Metrics
from vivavoce.storage import Folders, SpoolLimit
from vivavoce.synthesis.design import Previews
from vivavoce.synthesis.synthesizer import Synthesizer
from vivavoce.text.lexicon import LiveLexicon
from vivavoce.types import SpeechRequest
from vivavoce.voices.library import VoiceLibrary
from vivavoce.voices.record import Viewer

if TYPE_CHECKING:  # needs an extra
    from vivavoce.observability.otel import Tracing


@dataclass(frozen=True, slots=True)
class Server:
    """The services of one application, in `app.state.server`."""

    synthesizer: Synthesizer
    lifecycle: Lifecycle
    folders: Folders
    spool_limit: SpoolLimit
    metrics: Metrics
    tracing: "Tracing | None"
    requests: RequestLog
    replays: ReplayStore
    lexicon: LiveLexicon
    voices: VoiceLibrary
    previews: Previews
    live: LiveClients
    jobs: Jobs
    jobs_reading: asyncio.Semaphore  # a book in memory takes many times its size
    webhook_hosts: Hosts
    live_timeout_s: float  # of a live connection without messages or speech
    max_text_chars: int
    max_plain_bytes: int  # of a body without a recording


async def _server(request: Request) -> Server:
    return server_of(request)


async def _synthesizer(request: Request) -> Synthesizer:
    return server_of(request).synthesizer


ServerDep = Annotated[Server, Depends(_server)]
SynthesizerDep = Annotated[Synthesizer, Depends(_synthesizer)]


def server_of(request: HTTPConnection) -> Server:
    """Return the services of the application that answers `request`."""
    server = request.app.state.server
    assert isinstance(server, Server)
    return server


def caller_of(request: HTTPConnection) -> str:
    """Return the name of the request's API key, or an empty string."""
    return str(request.scope.get("state", {}).get("key", ""))


def viewer_of(request: HTTPConnection) -> Viewer:
    """Return who looks at saved voices."""
    stranger = bool(request.scope.get("state", {}).get("stranger"))
    return Viewer(caller_of(request), can_manage(request), stranger)


async def _viewer(request: Request) -> Viewer:
    return viewer_of(request)


ViewerDep = Annotated[Viewer, Depends(_viewer)]


def from_caller(request: SpeechRequest, http: HTTPConnection) -> SpeechRequest:
    """Return `request` with the one who sent it."""
    return replace(request, caller=caller_of(http), manages=can_manage(http))


def can_manage(request: HTTPConnection) -> bool:
    """True if the request's API key has the scope `manage`."""
    return bool(request.scope.get("state", {}).get("can_manage"))
