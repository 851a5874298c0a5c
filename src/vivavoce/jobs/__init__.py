"""Narrate books as jobs that survive any stop. Knows no HTTP."""

from vivavoce.jobs.job import (
    ACTIONS,
    ENDED,
    Action,
    Cast,
    Drift,
    Job,
    JobChapter,
    JobLimits,
    JobOptions,
    JobSentence,
    JobState,
    Output,
    Pauses,
    Progress,
    Report,
    SentenceState,
    Stage,
    Unspoken,
)
from vivavoce.jobs.jobs import FOLDER, Jobs
from vivavoce.jobs.worker import last_speed

__all__ = [
    "ACTIONS",
    "ENDED",
    "FOLDER",
    "Action",
    "Cast",
    "Drift",
    "Job",
    "JobChapter",
    "JobLimits",
    "JobOptions",
    "JobSentence",
    "JobState",
    "Jobs",
    "Output",
    "Pauses",
    "Progress",
    "Report",
    "SentenceState",
    "Stage",
    "Unspoken",
    "last_speed",
]
