"""Narrate a book through a server, for `vivavoce book --server`."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vivavoce.errors import BadRequest, VivavoceError

if TYPE_CHECKING:
    from vivavoce.books.write import BookFormat
    from vivavoce.client import JobEntry, JobProgress
    from vivavoce.jobs import JobOptions


def narrate(
    server: str,
    api_key: str | None,
    file: Path,
    options: "JobOptions",
    targets: "dict[BookFormat, Path]",
    tell: "Callable[[JobProgress], None]",
) -> "JobEntry":
    """Return the job of a book when its files are here. The same call goes on with the same job."""
    from vivavoce.client import Client

    if "folder" in targets:
        raise BadRequest("a server sends no folder: ask for zip", field="format")
    with Client(server, api_key=api_key) as client:
        wanted = _fields(options)
        key = hashlib.sha256(repr((wanted, file.name)).encode() + file.read_bytes()).hexdigest()
        job = client.jobs.create(file, idempotency_key=key, **wanted)
        if job.state in ("failed", "cancelled"):
            client.jobs.retry(job.id)
        elif job.state == "paused":
            client.jobs.resume(job.id)
        for progress in client.jobs.events(job.id):
            tell(progress)
        job = client.jobs.get(job.id)
        if job.state != "done":
            problem = job.problem or "it was stopped from elsewhere"
            raise VivavoceError(f"job {job.id} is {job.state}: {problem}")
        for format, target in targets.items():
            client.jobs.download(job.id, format, target)
    return job


def _fields(options: "JobOptions") -> dict[str, Any]:
    """Return the options as fields of the API, without those that are as they always are."""
    from vivavoce.jobs import JobOptions

    usual, given = asdict(JobOptions()), asdict(options)
    fields = {name: value for name, value in given.items() if value != usual[name]}
    fields.pop("attempts", None)
    if "voice" in fields:
        fields["speaker"] = fields.pop("voice")
    return {**fields, "formats": list(options.formats)}
