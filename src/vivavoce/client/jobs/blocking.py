"""Narrate books through a server with blocking calls."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
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
    partial,
    read_job,
    read_list,
    read_object,
    target_of,
)
from vivavoce.errors import EngineFault, NotReady


class Jobs:
    """The jobs of a server, `Client.jobs`. Every method raises as those of `Client` do."""

    def __init__(self, http: httpx.Client, base_url: str) -> None:
        self._http = http
        self._base_url = base_url

    def create(
        self,
        source: Path | str | bytes,
        *,
        name: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[JobOptions],
    ) -> JobEntry:
        """Make a job for a book: a file, its bytes with a `name`, or a text.

        Example: `client.jobs.create(Path("novel.epub"), speaker="heart", formats=["m4b"])`. The
        same `idempotency_key` makes one job, however often it is sent.
        """
        with new_job(source, name, idempotency_key, options) as request:
            return read_job(self._send("POST", JOBS, **request))

    def list(self, state: str | None = None) -> tuple[JobEntry, ...]:
        """Return the jobs of the key, the newest first."""
        found: list[JobEntry] = []
        query = {"state": state} if state else {}
        while True:
            response = self._send("GET", JOBS, params=query)
            found += read_list(response, "jobs", JobEntry)
            if (after := next_page(response)) is None:
                return tuple(found)
            query["after"] = after

    def get(self, id: str) -> JobEntry:
        """Return one job."""
        return read_job(self._send("GET", job_path(id)))

    def plan(self, id: str) -> dict[str, Any]:
        """Return what a job is going to say: chapters, time, voices, and what is left out."""
        return read_object(self._send("GET", job_path(id, "plan")))

    def skipped(self, id: str) -> dict[str, Any]:
        """Return every part of the book that is not spoken, and why."""
        return read_object(self._send("GET", job_path(id, "skipped")))

    def pause(self, id: str) -> JobEntry:
        """Stop a job until `resume`. What is being spoken now is spoken again then."""
        return self._act(id, "pause")

    def resume(self, id: str) -> JobEntry:
        """Go on with a job that pauses."""
        return self._act(id, "resume")

    def cancel(self, id: str) -> JobEntry:
        """End a job. What it has made is kept."""
        return self._act(id, "cancel")

    def retry(self, id: str) -> JobEntry:
        """Try again what failed, or go on with a job that was cancelled."""
        return self._act(id, "retry")

    def redo(self, id: str, chapter: int, sentence: int | None = None) -> JobEntry:
        """Make a chapter or one sentence of it anew, with another seed. Numbers begin at 1."""
        body = {"chapter": chapter, "sentence": sentence}
        return read_job(self._send("POST", job_path(id, "redo"), json=body))

    def remove(self, id: str) -> None:
        """Remove a job that does not run, with its files."""
        wire.successful(self._send("DELETE", job_path(id)))

    def chapters(self, id: str) -> tuple[ChapterEntry, ...]:
        """Return the chapters of a job."""
        return read_list(self._send("GET", job_path(id, "chapters")), "chapters", ChapterEntry)

    def files(self, id: str) -> tuple[FileEntry, ...]:
        """Return the finished files of a job."""
        return read_list(self._send("GET", job_path(id, "files")), "files", FileEntry)

    def events(self, id: str) -> Generator[JobProgress]:
        """Yield where a job stands, now and at each change, until it ends.

        A connection that breaks is made again, so a server may be restarted meanwhile.
        """
        reader = EventReader()
        while True:
            try:
                with closing(self._lines(id, reader)) as lines:
                    for line in lines:
                        if (progress := reader.read(line)) is not None:
                            yield progress
                            if progress.state in ENDED:
                                return
                if self.get(id).state in ENDED:
                    return
            except (NotReady, EngineFault) as error:
                reader.broken(error)
            time.sleep(RECONNECT_S)

    def wait(self, id: str) -> JobEntry:
        """Return a job when it has ended: done, failed or cancelled."""
        for _ in self.events(id):
            pass
        return self.get(id)

    def download(self, id: str, format: str, path: str | Path = ".") -> Path:
        """Write a finished file to `path`, a file or a folder, and return where it is."""
        names = {name: one.name for one in self.files(id) for name in (one.format, one.name)}
        return self._download(job_path(id, "files", format), target_of(path, names.get(format, "")))

    def download_chapter(self, id: str, number: int, path: str | Path) -> Path:
        """Write the audio of a chapter, FLAC, to `path` as soon as it is made."""
        target = target_of(path, f"{number:03}.flac")
        return self._download(job_path(id, "chapters", number), target)

    def _act(self, id: str, action: JobAction) -> JobEntry:
        return read_job(self._send("POST", job_path(id, action)))

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with wire.network_errors(self._base_url):
            return self._http.request(method, path, **arguments)

    def _lines(self, id: str, reader: EventReader) -> Generator[str]:
        with (
            wire.network_errors(self._base_url),
            self._http.stream(
                "GET", job_path(id, "events"), headers=reader.headers, timeout=QUIET_S
            ) as response,
        ):
            if response.is_error:
                response.read()
            wire.successful(response)
            yield from response.iter_lines()

    def _download(self, path: str, target: Path) -> Path:
        with (
            wire.network_errors(self._base_url),
            self._http.stream("GET", path) as response,
        ):
            if response.is_error:
                response.read()
            wire.successful(response)
            part = partial(target)
            try:
                with part.open("wb") as file:
                    for chunk in response.iter_bytes():
                        file.write(chunk)
                part.replace(target)
            except OSError as error:
                cannot_write(target, error)
            finally:
                part.unlink(missing_ok=True)
        return target
