"""Narrate books through a server with asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar, Unpack

import httpx

from vivavoce.client import wire
from vivavoce.client.jobs import calls
from vivavoce.client.jobs.calls import ENDED, QUIET_S, RECONNECT_S, Call
from vivavoce.client.jobs.wire import (
    ChapterEntry,
    EventReader,
    FileEntry,
    JobEntry,
    JobOptions,
    JobProgress,
    SentenceEntry,
    cannot_write,
    job_path,
    new_job,
    opened,
    partial,
    target_of,
)
from vivavoce.errors import EngineFault, NotReady

T = TypeVar("T")


class AsyncJobs:
    """The jobs of a server, `AsyncClient.jobs`. Arguments and results are those of `Jobs`."""

    def __init__(self, http: httpx.AsyncClient, base_url: str) -> None:
        self._http = http
        self._base_url = base_url

    async def create(
        self,
        source: Path | str | bytes,
        *,
        name: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobEntry:
        """Make a job for a book, as `Jobs.create` does."""
        if isinstance(source, Path):
            name = name or source.name
            with opened(source) as file:
                source = await asyncio.to_thread(file.read)
        with new_job(source, name, idempotency_key, options) as request:
            return await self._do(calls.create(request))

    async def list(self, state: str | None = None) -> tuple[JobEntry, ...]:
        """Return the jobs of the key, the newest first."""
        found: list[JobEntry] = []
        after: str | None = None
        while True:
            page, after = await self._do(calls.page(state, after))
            found += page
            if after is None:
                return tuple(found)

    async def get(self, id: str) -> JobEntry:
        """Return one job."""
        return await self._do(calls.get(id))

    async def plan(self, id: str) -> dict[str, Any]:
        """Return what a job is going to say, as `Jobs.plan` does."""
        return await self._do(calls.facts(id, "plan"))

    async def skipped(self, id: str) -> dict[str, Any]:
        """Return every part of the book that is not spoken, and why."""
        return await self._do(calls.facts(id, "skipped"))

    async def pause(self, id: str) -> JobEntry:
        """Stop a job until `resume`. What is being spoken now is spoken again then."""
        return await self._do(calls.act(id, "pause"))

    async def resume(self, id: str) -> JobEntry:
        """Go on with a job that pauses."""
        return await self._do(calls.act(id, "resume"))

    async def cancel(self, id: str) -> JobEntry:
        """End a job. What it has made is kept."""
        return await self._do(calls.act(id, "cancel"))

    async def retry(self, id: str) -> JobEntry:
        """Try again what failed, or go on with a job that was cancelled."""
        return await self._do(calls.act(id, "retry"))

    async def redo(self, id: str, chapter: int, sentence: int | None = None) -> JobEntry:
        """Make a chapter or one sentence of it anew, as `Jobs.redo` does."""
        return await self._do(calls.redo(id, chapter, sentence))

    async def pronounce(self, id: str, pronunciations: Sequence[Mapping[str, Any]]) -> JobEntry:
        """Replace the rules of a job, and make anew what they touch, as `Jobs.pronounce` does."""
        return await self._do(calls.pronounce(id, pronunciations))

    async def remove(self, id: str) -> None:
        """Remove a job that does not run, with its files."""
        await self._do(calls.remove(id))

    async def chapters(self, id: str) -> tuple[ChapterEntry, ...]:
        """Return the chapters of a job."""
        return await self._do(calls.chapters(id))

    async def sentences(self, id: str, chapter: int) -> tuple[SentenceEntry, ...]:
        """Return the sentences of a chapter, for `redo`."""
        return await self._do(calls.sentences(id, chapter))

    async def files(self, id: str) -> tuple[FileEntry, ...]:
        """Return the finished files of a job."""
        return await self._do(calls.files(id))

    async def events(self, id: str) -> AsyncGenerator[JobProgress]:
        """Yield where a job stands, as `Jobs.events` does."""
        reader = EventReader()
        while True:
            try:
                async with aclosing(self._lines(id, reader)) as lines:
                    async for line in lines:
                        if (progress := reader.read(line)) is not None:
                            yield progress
                            if progress.state in ENDED:
                                return
                if (await self.get(id)).state in ENDED:
                    return
            except (NotReady, EngineFault) as error:
                reader.broken(error)
            await asyncio.sleep(RECONNECT_S)

    async def wait(self, id: str) -> JobEntry:
        """Return a job when it has ended: done, failed or cancelled."""
        async for _ in self.events(id):
            pass
        return await self.get(id)

    async def download(self, id: str, format: str, path: str | Path = ".") -> Path:
        """Write a finished file to `path`, as `Jobs.download` does."""
        names = {name: one.name for one in await self.files(id) for name in (one.format, one.name)}
        target = target_of(path, names.get(format, ""))
        return await self._download(job_path(id, "files", format), target)

    async def download_chapter(self, id: str, number: int, path: str | Path) -> Path:
        """Write the audio of a chapter, FLAC, to `path`, as `Jobs.download_chapter` does."""
        target = target_of(path, f"{number:03}.flac")
        return await self._download(job_path(id, "chapters", number), target)

    async def _do(self, call: Call[T]) -> T:
        with wire.network_errors(self._base_url):
            response = await self._http.request(call.method, call.path, **call.arguments)
        return call.read(response)

    async def _lines(self, id: str, reader: EventReader) -> AsyncGenerator[str]:
        with wire.network_errors(self._base_url):
            stream = self._http.stream(
                "GET", job_path(id, "events"), headers=reader.headers, timeout=QUIET_S
            )
            async with stream as response:
                if response.is_error:
                    await response.aread()
                wire.successful(response)
                async for line in response.aiter_lines():
                    yield line

    async def _download(self, path: str, target: Path) -> Path:
        with wire.network_errors(self._base_url):
            async with self._http.stream("GET", path) as response:
                if response.is_error:
                    await response.aread()
                wire.successful(response)
                part = partial(target)
                try:
                    with await asyncio.to_thread(part.open, "wb") as file:
                        async for chunk in response.aiter_bytes():
                            await asyncio.to_thread(file.write, chunk)
                    part.replace(target)
                except OSError as error:
                    cannot_write(target, error)
                finally:
                    part.unlink(missing_ok=True)
        return target
