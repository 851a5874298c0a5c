"""Build the requests of jobs and read their answers, without sending anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NoReturn, TypedDict, TypeVar
from urllib.parse import quote

import httpx

from vivavoce.client import wire
from vivavoce.errors import BadRequest, DiskFull

T = TypeVar("T")

JOBS: Final = "v1/jobs"  # relative, as in `wire`
ENDED: Final = frozenset({"done", "failed", "cancelled"})
RECONNECTS: Final = 30  # in a row, so a server may take a minute to start again
RECONNECT_S: Final = 2.0
QUIET_S: Final = 60.0  # the server says something four times in it

JobAction = Literal["pause", "resume", "cancel", "retry"]


class JobOptions(TypedDict, total=False):
    """Options of `create`, named as the fields of the HTTP API. The server chooses the rest."""

    model: str | None
    speaker: str | None
    language: str | None
    instruct: str | None
    speed: float | None
    seed: int | None
    formats: Sequence[str] | None
    chapter_format: str | None
    m4b_opus: bool | None
    epub_audio: str | None
    epub_unit: str | None
    chapters: Sequence[int] | None
    choices: Mapping[str, bool] | None
    cast: Mapping[str, Any] | None  # narrator, quotes, named_quotes, and voices by name
    pauses: Mapping[str, float] | None
    pronunciations: Sequence[Mapping[str, Any]] | None
    paused: bool | None
    webhook_url: str | None
    webhook_secret: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEntry:
    """A job as it was when the server answered. Times are ISO 8601 in UTC."""

    id: str
    state: Literal["queued", "running", "paused", "done", "failed", "cancelled"]
    title: str
    authors: tuple[str, ...]
    source: str
    created: str
    updated: str
    owner: str
    model: str
    speaker: str | None
    language: str | None
    formats: tuple[str, ...]
    chapters: int
    sentences: int
    characters: int
    sentences_made: int
    sentences_failed: int
    audio_s: float
    percent: float
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """An event of a job: where it stands."""

    job: str
    state: str
    stage: str | None
    percent: float
    chapter: int
    chapters: int
    chapters_ready: tuple[int, ...]
    sentences: int
    sentences_made: int
    sentences_failed: int
    audio_s: float
    real_time: float
    left_s: float | None
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChapterEntry:
    """A chapter of a job. A `ready` one can be downloaded."""

    number: int
    title: str
    sentences: int
    sentences_made: int
    sentences_failed: int
    ready: bool
    audio_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A finished file of a job."""

    format: str
    name: str
    bytes: int


def job_path(id: str, *parts: str | int) -> str:
    """Return the path of a job or of something of it, escaped."""
    return "/".join((JOBS, *(quote(str(part), safe="") for part in (id, *parts))))


@contextmanager
def new_job(
    source: Path | str | bytes, name: str | None, idempotency_key: str | None, options: JobOptions
) -> Iterator[dict[str, Any]]:
    """Yield the arguments of the request that makes a job.

    Raises `BadRequest` for a file that cannot be read, and `TypeError` for an unknown option.
    """
    if unknown := options.keys() - JobOptions.__annotations__:
        choices = ", ".join(JobOptions.__annotations__)
        raise TypeError(f"unknown option {min(unknown)!r}: choose from {choices}")
    given = {key: value for key, value in options.items() if value is not None}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    if isinstance(source, str):
        text = {"text": source, **({"name": name} if name else {})}
        yield {"json": {**text, **given}, "headers": headers}
        return
    form = {key: _form_value(key, value) for key, value in given.items()}
    if isinstance(source, bytes):
        yield {"files": {"file": (name or "book", source)}, "data": form, "headers": headers}
        return
    with opened(source) as file:
        yield {"files": {"file": (name or source.name, file)}, "data": form, "headers": headers}


def _form_value(name: str, value: object) -> str:
    if name in ("formats", "chapters") and not isinstance(value, str):
        return ",".join(map(str, value))  # type: ignore[call-overload]  # a sequence
    return value if isinstance(value, str) else json.dumps(value)


def opened(path: Path) -> BinaryIO:
    """Return a book to send. Raises `BadRequest`."""
    try:
        return path.open("rb")
    except OSError as error:
        raise BadRequest(
            f"book {str(path)!r} cannot be read ({error.strerror}): name a file", field="file"
        ) from error


def read_job(response: httpx.Response) -> JobEntry:
    """Parse a job."""
    with wire.expected_shape(wire.successful(response)):
        return _read(JobEntry, response.json())


def read_list(response: httpx.Response, name: str, kind: type[T]) -> tuple[T, ...]:
    """Parse a list of jobs, chapters or files."""
    with wire.expected_shape(wire.successful(response)):
        return tuple(_read(kind, one) for one in response.json()[name])


def read_object(response: httpx.Response) -> dict[str, Any]:
    """Return the object of an answer. Any: its values are described in /docs."""
    with wire.expected_shape(wire.successful(response)):
        return dict(response.json())


def _read(kind: type[T], values: Mapping[str, Any]) -> T:
    found = {field.name: values[field.name] for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    return kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in found.items()})


def next_page(response: httpx.Response) -> str | None:
    """Return the `after` of the next page, or None."""
    with wire.expected_shape(response):
        following = response.json().get("next")
        return None if following is None else str(following)


class EventReader:
    """Reads the lines of one event stream, and keeps the id of the last event for the next one."""

    def __init__(self) -> None:
        self.last = ""
        self.failures = 0

    @property
    def headers(self) -> dict[str, str]:
        return {**wire.EVENTS, **({"Last-Event-ID": self.last} if self.last else {})}

    def read(self, line: str) -> JobProgress | None:
        name, _, value = line.partition(": ")
        if name == "id":
            self.last = value
        if name != "data":
            return None
        self.failures = 0
        return _read(JobProgress, json.loads(value))

    def broken(self, error: Exception) -> None:
        """Count a broken connection. Raises `error` if there were too many in a row."""
        self.failures += 1
        if self.failures > RECONNECTS:
            raise error


def target_of(path: str | Path, name: str) -> Path:
    """Return the file to write: `path`, or `name` in it if it is a folder."""
    target = Path(path)
    return target / name if target.is_dir() else target


def partial(target: Path) -> Path:
    """Return the place of a file that is not complete yet."""
    return target.with_name(f"{target.name}.part")


def cannot_write(path: Path, error: OSError) -> NoReturn:
    raise DiskFull(f"cannot write {str(path)!r} ({error.strerror}): make room there") from error
