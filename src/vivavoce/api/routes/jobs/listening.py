"""Send what a job has made: its chapters while it runs, and its files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path as File
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from vivavoce.api.dependencies import Server, ServerDep, ViewerDep
from vivavoce.api.replay import kept_file
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.schemas.answers import NATIVE_ERRORS, Answers, NativeError, audio_answers
from vivavoce.audio import MEDIA_TYPES
from vivavoce.books.write import BOOK_MEDIA_TYPES
from vivavoce.errors import UnknownJob, WrongState
from vivavoce.jobs import Job, JobChapter, Output
from vivavoce.synthesis.outlet import made_headers
from vivavoce.voices.record import Viewer

router = APIRouter(
    prefix="/v1/jobs", tags=["jobs"], responses=NATIVE_ERRORS, route_class=BoundedRoute
)

# As many as a database counts.
ChapterNumber = Annotated[int, Path(ge=1, lt=2**63, description="From 1, in the book.")]
PLAYLIST_TYPE: Final = "audio/mpegurl"
PLAYLIST: Answers = {
    200: {
        "content": {PLAYLIST_TYPE: {"schema": {"type": "string"}}},
        "description": "M3U in UTF-8.",
    }
}


def _parts(*media_types: str) -> Answers:
    answers = audio_answers(*media_types)
    return {
        **answers,
        206: {**answers[200], "description": "The part that `Range` names."},
        304: {"description": "The client has it, as `If-None-Match` or `If-Modified-Since` tells."},
        416: {"model": NativeError, "description": "The `Range` begins behind the end."},
    }


@router.get(
    "/{id}/chapters/{number}", response_class=Response, responses=_parts(MEDIA_TYPES["flac"])
)
async def chapter(
    http: Request, server: ServerDep, viewer: ViewerDep, id: str, number: ChapterNumber
) -> Response:
    """Return the audio of a chapter, as soon as it is made, also in parts (`Range`)."""
    job = await server.jobs.get(id, viewer)
    path = await server.jobs.chapter_audio(id, number, viewer)
    return await _answer(http, path, MEDIA_TYPES["flac"], _marks(server, job))


@router.get("/{id}/playlist.m3u8", response_class=Response, responses=PLAYLIST)
async def playlist(server: ServerDep, viewer: ViewerDep, id: str) -> Response:
    """Return a playlist of the chapters that can be listened to."""
    job = await server.jobs.get(id, viewer)
    text = _playlist(job.title, await server.jobs.chapters(id, viewer))
    return Response(text, media_type=PLAYLIST_TYPE, headers=_marks(server, job))


@router.get(
    "/{id}/files/{file}", response_class=Response, responses=_parts(*BOOK_MEDIA_TYPES.values())
)
async def file(http: Request, server: ServerDep, viewer: ViewerDep, id: str, file: str) -> Response:
    """Return a finished file, by its format or its name, also in parts (`Range`)."""
    job = await server.jobs.get(id, viewer)
    found = await sendable(server, id, viewer)
    output = next((one for one in found if file in (one.format, one.name)), None)
    if output is None:
        made = ", ".join(one.format for one in found) or "none yet"
        raise WrongState(
            f"job {id!r}, which is {job.state}, has no file {file[:80]!r}: there is {made}",
            field="file",
        )
    name = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(output.name, safe='')}"}
    headers = {**name, **_marks(server, job)}
    return await _answer(http, output.path, BOOK_MEDIA_TYPES[output.format], headers)


async def sendable(server: Server, id: str, viewer: Viewer) -> list[Output]:
    """Return the finished files of a job, without a folder that `vivavoce book` has made."""
    return [one for one in await server.jobs.outputs(id, viewer) if one.format in BOOK_MEDIA_TYPES]


async def _answer(
    http: Request, path: File, media_type: str, headers: Mapping[str, str]
) -> Response:
    """Return a file, which a client asks for again if it is made anew."""
    try:
        kept = await kept_file(
            path, {**headers, "Content-Type": media_type, "Cache-Control": "no-cache"}
        )
    except FileNotFoundError as error:
        problem = "what was asked for is being made anew, or was removed: ask again later"
        raise UnknownJob(problem, field="id") from error
    return kept.response(http)


def _marks(server: Server, job: Job) -> dict[str, str]:
    return made_headers(server.synthesizer.provenance, job.options.model)


def _playlist(title: str, chapters: Sequence[JobChapter]) -> str:
    lines = ["#EXTM3U", f"#PLAYLIST:{_line(title)}"]
    for one in chapters:
        if one.ready:
            lines += [f"#EXTINF:{one.audio_s:.3f},{_line(one.title)}", f"chapters/{one.number}"]
    return "\n".join((*lines, ""))


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
