"""Narrate books through a server: `Client.jobs` and `AsyncClient.jobs`."""

from vivavoce.client.jobs.asynchronous import AsyncJobs
from vivavoce.client.jobs.blocking import Jobs
from vivavoce.client.jobs.wire import (
    ChapterEntry,
    FileEntry,
    JobEntry,
    JobOptions,
    JobProgress,
    SentenceEntry,
)

__all__ = [
    "AsyncJobs", "ChapterEntry", "FileEntry", "JobEntry", "JobOptions", "JobProgress", "Jobs",
    "SentenceEntry",
]  # fmt: skip
