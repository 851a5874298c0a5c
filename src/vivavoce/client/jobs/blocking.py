"""Narrate books through a server with blocking calls."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
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
    partial,
    target_of,
)
from vivavoce.errors import EngineFault, NotReady

T = TypeVar("T")


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
            return self._do(calls.create(request))

    def list(self, state: str | None = None) -> tuple[JobEntry, ...]:
        """Return the jobs of the key, the newest first."""
        found: list[JobEntry] = []
        after: str | None = None
        while True:
            page, after = self._do(calls.page(state, after))
            found += page
            if after is None:
                return tuple(found)

    def get(self, id: str) -> JobEntry:
        """Return one job."""
        return self._do(calls.get(id))

    def plan(self, id: str) -> dict[str, Any]:
        """Return what a job is going to say: chapters, time, voices, and what is left out."""
        return self._do(calls.facts(id, "plan"))

    def skipped(self, id: str) -> dict[str, Any]:
        """Return every part of the book that is not spoken, and why."""
        return self._do(calls.facts(id, "skipped"))

    def pause(self, id: str) -> JobEntry:
        """Stop a job until `resume`. What is being spoken now is spoken again then."""
        return self._do(calls.act(id, "pause"))

    def resume(self, id: str) -> JobEntry:
        """Go on with a job that pauses."""
        return self._do(calls.act(id, "resume"))

    def cancel(self, id: str) -> JobEntry:
        """End a job. What it has made is kept."""
        return self._do(calls.act(id, "cancel"))

    def retry(self, id: str) -> JobEntry:
        """Try again what failed, or go on with a job that was cancelled."""
        return self._do(calls.act(id, "retry"))

    def redo(self, id: str, chapter: int, sentence: int | None = None) -> JobEntry:
        """Make a chapter or one sentence of it anew, with another seed. Numbers begin at 1."""
        return self._do(calls.redo(id, chapter, sentence))

    def pronounce(self, id: str, pronunciations: Sequence[Mapping[str, Any]]) -> JobEntry:
        """Replace the rules of a job, and make anew what they touch."""
        return self._do(calls.pronounce(id, pronunciations))

    def remove(self, id: str) -> None:
        """Remove a job that does not run, with its files."""
        self._do(calls.remove(id))

    def chapters(self, id: str) -> tuple[ChapterEntry, ...]:
        """Return the chapters of a job."""
        return self._do(calls.chapters(id))

    def sentences(self, id: str, chapter: int) -> tuple[SentenceEntry, ...]:
        """Return the sentences of a chapter, for `redo`."""
        return self._do(calls.sentences(id, chapter))

    def files(self, id: str) -> tuple[FileEntry, ...]:
        """Return the finished files of a job."""
        return self._do(calls.files(id))

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

    def _do(self, call: Call[T]) -> T:
        with wire.network_errors(self._base_url):
            response = self._http.request(call.method, call.path, **call.arguments)
        return call.read(response)

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
