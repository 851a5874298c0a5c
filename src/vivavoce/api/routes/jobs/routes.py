"""Make, show and steer jobs."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response

from vivavoce.api.dependencies import ServerDep, ViewerDep
from vivavoce.api.routes.bodies import BoundedRoute
from vivavoce.api.routes.jobs.listening import ChapterNumber, sendable
from vivavoce.api.routes.jobs.uploads import described, read_upload
from vivavoce.api.schemas.answers import NATIVE_ERRORS, Answers
from vivavoce.api.schemas.jobs.answers import (
    ChapterInfo,
    ChapterInfos,
    FileInfo,
    FileInfos,
    JobInfo,
    JobInfos,
    PlanInfo,
    SentenceInfo,
    SentenceInfos,
    SkippedInfo,
)
from vivavoce.api.schemas.jobs.new import ChangedRules, Redo
from vivavoce.books.plan import plan_book
from vivavoce.errors import BadRequest
from vivavoce.jobs import JobState

PATH: Final = "/v1/jobs"
router = APIRouter(prefix=PATH, tags=["jobs"], responses=NATIVE_ERRORS, route_class=BoundedRoute)

PAGE: Final = 100  # jobs in one answer
CREATED: Answers = {
    200: {"model": JobInfo, "description": "The job that this idempotency key has made already."},
    201: {"model": JobInfo, "description": "The new job."},
}
IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=255,
        description="Any words of yours. The same key makes one job, however often it is sent.",
    ),
]


@router.post("", status_code=201, responses=CREATED, openapi_extra=described())
async def create(
    http: Request, server: ServerDep, viewer: ViewerDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Narrate a book: a file as a form with its options, or a text as JSON."""
    upload = await read_upload(http)
    try:
        async with server.jobs_reading:  # a book in memory takes many times its size
            job, is_new = await server.jobs.create(
                await upload.file.read(),
                upload.name,
                upload.fields.to_options(),
                viewer,
                idempotency_key=idempotency_key or None,
                paused=bool(upload.fields.paused),
                webhook=upload.fields.to_webhook(server.webhook_hosts),
            )
    finally:
        await upload.file.close()
    return JSONResponse(
        JobInfo.of(job).model_dump(mode="json"),
        201 if is_new else 200,
        {"Location": f"{http.url.path}/{job.id}"},
    )


@router.get("")
async def jobs(
    server: ServerDep,
    viewer: ViewerDep,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    after: Annotated[str | None, Query(max_length=64)] = None,
) -> JobInfos:
    """Return the key's jobs, the newest first. `after` is the id of the last one seen."""
    found = [job for job in await server.jobs.all(viewer) if state in (None, job.state)]
    start = (
        0 if after is None else 1 + next((i for i, one in enumerate(found) if one.id == after), -1)
    )
    if after is not None and not start:
        problem = f"after {after!r} is none of these jobs, or no longer: begin at the first page"
        raise BadRequest(problem, field="after")
    page = found[start : start + limit]
    more = start + limit < len(found)
    infos = [JobInfo.of(job) for job in page]
    return JobInfos(jobs=infos, total=len(found), next=page[-1].id if more else None)


@router.get("/{id}")
async def job(server: ServerDep, viewer: ViewerDep, id: str) -> JobInfo:
    """Return one job."""
    return JobInfo.of(await server.jobs.get(id, viewer))


@router.delete("/{id}", status_code=204, response_class=Response)
async def remove(server: ServerDep, viewer: ViewerDep, id: str) -> None:
    """Remove a job that does not run, with its files."""
    await server.jobs.remove(id, viewer)


@router.post("/{id}/pause")
async def pause(server: ServerDep, viewer: ViewerDep, id: str) -> JobInfo:
    """Stop until `resume`. What is being spoken now is spoken again then."""
    return JobInfo.of(await server.jobs.act(id, "pause", viewer))


@router.post("/{id}/resume")
async def resume(server: ServerDep, viewer: ViewerDep, id: str) -> JobInfo:
    """Go on with a job that pauses."""
    return JobInfo.of(await server.jobs.act(id, "resume", viewer))


@router.post("/{id}/cancel")
async def cancel(server: ServerDep, viewer: ViewerDep, id: str) -> JobInfo:
    """End a job. What it has made is kept until it is removed, and `retry` goes on."""
    return JobInfo.of(await server.jobs.act(id, "cancel", viewer))


@router.post("/{id}/retry")
async def retry(server: ServerDep, viewer: ViewerDep, id: str) -> JobInfo:
    """Try again what failed, or go on with a job that was cancelled."""
    return JobInfo.of(await server.jobs.act(id, "retry", viewer))


@router.post("/{id}/redo")
async def redo(server: ServerDep, viewer: ViewerDep, id: str, body: Redo) -> JobInfo:
    """Make a chapter or one sentence anew, with another seed."""
    again = server.jobs.redo(id, viewer, chapter=body.chapter, sentence=body.sentence)
    return JobInfo.of(await again)


@router.post("/{id}/pronunciations")
async def pronounce(server: ServerDep, viewer: ViewerDep, id: str, body: ChangedRules) -> JobInfo:
    """Replace the job's own rules of pronunciation, and make anew what they touch."""
    return JobInfo.of(await server.jobs.pronounce(id, body.rules(), viewer))


@router.get("/{id}/plan")
async def plan(server: ServerDep, viewer: ViewerDep, id: str) -> PlanInfo:
    """Return what a job is going to say: chapters, time, voices, and what is left out."""
    job = await server.jobs.get(id, viewer)
    book = await server.jobs.book(id, viewer)
    options = job.options
    made = await asyncio.to_thread(plan_book, book, speed=options.speed, numbers=options.chapters)
    return PlanInfo.of(made, options, server.jobs.real_time)


@router.get("/{id}/skipped")
async def skipped(server: ServerDep, viewer: ViewerDep, id: str) -> SkippedInfo:
    """Return every part of the book that is not spoken, and why."""
    return SkippedInfo.of(await server.jobs.report(id, viewer))


@router.get("/{id}/chapters")
async def chapters(server: ServerDep, viewer: ViewerDep, id: str) -> ChapterInfos:
    """Return the chapters of a job."""
    found = await server.jobs.chapters(id, viewer)
    return ChapterInfos(chapters=[ChapterInfo.of(chapter) for chapter in found])


@router.get("/{id}/chapters/{number}/sentences")
async def sentences(
    server: ServerDep, viewer: ViewerDep, id: str, number: ChapterNumber
) -> SentenceInfos:
    """Return the sentences of a chapter, for `redo`."""
    found = await server.jobs.sentences(id, number, viewer)
    return SentenceInfos(sentences=[SentenceInfo.of(sentence) for sentence in found])


@router.get("/{id}/files")
async def files(server: ServerDep, viewer: ViewerDep, id: str) -> FileInfos:
    """Return the files of a job that are finished."""
    found = await sendable(server, id, viewer)
    return FileInfos(files=[FileInfo.of(output) for output in found])
