"""Send where a job stands, as server-sent events.

Each event is the whole state. So a client that was away misses nothing, and one that names the
last event that it saw does not get it again.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from vivavoce.api.dependencies import ServerDep, ViewerDep
from vivavoce.api.errors import HEAD
from vivavoce.api.responses import event_stream
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.schemas.answers import EVENTS_TYPE, NATIVE_ERRORS, Answers
from vivavoce.api.schemas.jobs.answers import ProgressInfo
from vivavoce.jobs import ENDED, Progress

router = APIRouter(
    prefix="/v1/jobs", tags=["jobs"], responses=NATIVE_ERRORS, route_class=BoundedRoute
)

KEEP_ALIVE_S: Final = 15.0  # proxies close what is silent for a minute
GAP_S: Final = 0.25  # between events of a job that is made fast
RETRY_MS: Final = 2_000  # until a browser connects again
KEEP_ALIVE: Final = b": still here\n\n"
EVENTS: Answers = {
    200: {"content": {EVENTS_TYPE: {}}, "description": "Events with a `ProgressInfo` each."},
    204: {"description": "The job has ended, and `Last-Event-ID` is its last event."},
}
Seen = Annotated[str | None, Header(alias="Last-Event-ID", max_length=64)]


@router.get("/{id}/events", response_class=Response, responses=EVENTS)
async def events(
    http: Request, server: ServerDep, viewer: ViewerDep, id: str, last_event_id: Seen = None
) -> Response:
    """Send where the job stands, now and at each change, until it ends."""
    progress = server.jobs.events(id, viewer)
    try:
        first = await anext(progress)
        ended = first.state in ENDED
        if (ended and last_event_id == _id(first)) or http.scope.get(HEAD):
            await progress.aclose()
            return Response(status_code=204) if ended else Response(media_type=EVENTS_TYPE)
    except BaseException:
        await progress.aclose()
        raise
    return await event_stream(http, _sent(first, progress, last_event_id))


async def _sent(
    last: Progress, progress: AsyncGenerator[Progress], seen: str | None
) -> AsyncGenerator[bytes]:
    start = f"retry: {RETRY_MS}\n\n".encode()
    yield start if seen == _id(last) else start + _event(last)
    next_s = 0.0
    waiting: asyncio.Future[Progress] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(progress))
            done, _ = await asyncio.wait((waiting,), timeout=KEEP_ALIVE_S)
            if not done:
                yield KEEP_ALIVE
                continue
            one, waiting = waiting.result(), None
            if _kind(one) != _kind(last) or time.monotonic() >= next_s:
                last, next_s = one, time.monotonic() + GAP_S
                yield _event(one)
    except StopAsyncIteration:
        pass
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait((waiting,))
        await progress.aclose()


def _kind(progress: Progress) -> tuple[object, ...]:
    """Return what is told at once when it changes."""
    return progress.state, progress.stage, progress.chapters_ready


def _event(progress: Progress) -> bytes:
    data = ProgressInfo.of(progress).model_dump_json()
    return f"id: {_id(progress)}\ndata: {data}\n\n".encode()


def _id(progress: Progress) -> str:
    """Return an id that is another one whenever anything has changed but speed and time."""
    facts = (
        progress.state, progress.stage, progress.chapter, progress.chapters_ready,
        progress.sentences_made, progress.sentences_failed, progress.audio_s, progress.percent,
        progress.problem,
    )  # fmt: skip
    return hashlib.blake2s(repr(facts).encode(), digest_size=8).hexdigest()
