"""Name the requests about jobs, each with the reader of its answer, for both clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

import httpx

from vivavoce.client import wire
from vivavoce.client.jobs.wire import (
    JOBS,
    ChapterEntry,
    FileEntry,
    JobAction,
    JobEntry,
    SentenceEntry,
    job_path,
    read_job,
    read_list,
    read_object,
    read_page,
)

T = TypeVar("T")

ENDED: Final = frozenset({"done", "failed", "cancelled"})
RECONNECT_S: Final = 2.0
QUIET_S: Final = 60.0  # the server says something four times in it


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and what reads its answer. Any: as httpx takes them."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    arguments: Mapping[str, Any] = field(default_factory=dict)


def create(request: Mapping[str, Any]) -> Call[JobEntry]:
    return Call("POST", JOBS, read_job, request)


def page(state: str | None, after: str | None) -> Call[tuple[tuple[JobEntry, ...], str | None]]:
    given = {"state": state, "after": after}
    query = {name: value for name, value in given.items() if value is not None}
    return Call("GET", JOBS, read_page, {"params": query})


def get(id: str) -> Call[JobEntry]:
    return Call("GET", job_path(id), read_job)


def facts(id: str, what: str) -> Call[dict[str, Any]]:
    return Call("GET", job_path(id, what), read_object)


def act(id: str, action: JobAction) -> Call[JobEntry]:
    return Call("POST", job_path(id, action), read_job)


def redo(id: str, chapter: int, sentence: int | None) -> Call[JobEntry]:
    body = {"chapter": chapter, "sentence": sentence}
    return Call("POST", job_path(id, "redo"), read_job, {"json": body})


def pronounce(id: str, rules: Sequence[Mapping[str, Any]]) -> Call[JobEntry]:
    body = {"pronunciations": [dict(rule) for rule in rules]}
    return Call("POST", job_path(id, "pronunciations"), read_job, {"json": body})


def remove(id: str) -> Call[object]:
    return Call("DELETE", job_path(id), wire.successful)


def chapters(id: str) -> Call[tuple[ChapterEntry, ...]]:
    return Call("GET", job_path(id, "chapters"), _list("chapters", ChapterEntry))


def sentences(id: str, chapter: int) -> Call[tuple[SentenceEntry, ...]]:
    path = job_path(id, "chapters", chapter, "sentences")
    return Call("GET", path, _list("sentences", SentenceEntry))


def files(id: str) -> Call[tuple[FileEntry, ...]]:
    return Call("GET", job_path(id, "files"), _list("files", FileEntry))


def _list(name: str, kind: type[T]) -> Callable[[httpx.Response], tuple[T, ...]]:
    return partial(read_list, name=name, kind=kind)
