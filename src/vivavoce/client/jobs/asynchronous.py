"""Narrate books through a server with asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Unpack

import httpx

from vivavoce.client import wire
from vivavoce.client.jobs.wire import (
    ENDED,
    JOBS,
    QUIET_S,
    RECONNECT_S,
    ChapterEntry,
    EventReader,
    FileEntry,
    JobAction,
    JobEntry,
    JobOptions,
    JobProgress,
    cannot_write,
    job_path,
    new_job,
    next_page,
    opened,
    partial,
    read_job,
    read_list,
    read_object,
    target_of,
)
from vivavoce.errors import EngineFault, NotReady


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
            return read_job(await self._send("POST", JOBS, **request))

    async def list(self, state: str | None = None) -> tuple[JobEntry, ...]:
        """Return the jobs of the key, the newest first."""
        found: list[JobEntry] = []
        query = {"state": state} if state else {}
        while True:
            response = await self._send("GET", JOBS, params=query)
            found += read_list(response, "jobs", JobEntry)
            if (after := next_page(response)) is None:
                return tuple(found)
            query["after"] = after

    async def get(self, id: str) -> JobEntry:
        """Return one job."""
        return read_job(await self._send("GET", job_path(id)))

    async def plan(self, id: str) -> dict[str, Any]:
        """Return what a job is going to say, as `Jobs.plan` does."""
        return read_object(await self._send("GET", job_path(id, "plan")))

    async def skipped(self, id: str) -> dict[str, Any]:
        """Return every part of the book that is not spoken, and why."""
        return read_object(await self._send("GET", job_path(id, "skipped")))

    async def pause(self, id: str) -> JobEntry:
        """Stop a job until `resume`. What is being spoken now is spoken again then."""
        return await self._act(id, "pause")

    async def resume(self, id: str) -> JobEntry:
        """Go on with a job that pauses."""
        return await self._act(id, "resume")

    async def cancel(self, id: str) -> JobEntry:
        """End a job. What it has made is kept."""
        return await self._act(id, "cancel")

    async def retry(self, id: str) -> JobEntry:
        """Try again what failed, or go on with a job that was cancelled."""
        return await self._act(id, "retry")

    async def redo(self, id: str, chapter: int, sentence: int | None = None) -> JobEntry:
        """Make a chapter or one sentence of it anew, as `Jobs.redo` does."""
        body = {"chapter": chapter, "sentence": sentence}
        return read_job(await self._send("POST", job_path(id, "redo"), json=body))

    async def remove(self, id: str) -> None:
        """Remove a job that does not run, with its files."""
        wire.successful(await self._send("DELETE", job_path(id)))

    async def chapters(self, id: str) -> tuple[ChapterEntry, ...]:
        """Return the chapters of a job."""
        response = await self._send("GET", job_path(id, "chapters"))
        return read_list(response, "chapters", ChapterEntry)

    async def files(self, id: str) -> tuple[FileEntry, ...]:
        """Return the finished files of a job."""
        return read_list(await self._send("GET", job_path(id, "files")), "files", FileEntry)

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

    async def _act(self, id: str, action: JobAction) -> JobEntry:
        return read_job(await self._send("POST", job_path(id, action)))

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with wire.network_errors(self._base_url):
            return await self._http.request(method, path, **arguments)

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
