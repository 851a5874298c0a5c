"""Turn rows of the database into what callers see."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

from pydantic import TypeAdapter

from vivavoce.jobs.job import (
    Drift,
    Job,
    JobChapter,
    JobOptions,
    JobSentence,
    Progress,
    Report,
    SentenceState,
    Unspoken,
)
from vivavoce.jobs.script import Script
from vivavoce.jobs.store import Row

OPTIONS = TypeAdapter(JobOptions)
_AUTHORS = TypeAdapter(tuple[str, ...])


def job_of(row: Row) -> Job:
    return Job(
        id=row["id"],
        owner=row["owner"],
        state=row["state"],
        source=row["source"],
        title=row["title"],
        options=OPTIONS.validate_json(row["options"]),
        created_s=row["created_s"],
        updated_s=row["updated_s"],
        chapters=row["chapters"],
        sentences=row["sentences"],
        characters=int(row["characters"]),
        sentences_made=int(row["made"]),
        sentences_failed=int(row["failed"]),
        audio_s=row["audio_s"],
        problem=row["problem"],
        authors=_AUTHORS.validate_json(row["authors"]),
    )


def chapters_of(rows: Iterable[Row], sentences: Iterable[Row]) -> list[JobChapter]:
    """Return chapters, with what their sentences have in common."""
    own = defaultdict[int, list[Row]](list)
    for sentence in sentences:
        if sentence["samples"]:
            own[sentence["chapter"]].append(sentence)
    made = [row for group in own.values() for row in group]
    return [
        JobChapter(
            number=row["number"],
            title=row["title"],
            sentences=row["sentences"],
            sentences_made=int(row["made"]),
            sentences_failed=int(row["failed"]),
            ready=bool(row["key"]),
            audio_s=_length_s(row, own[row["number"]]),
            drift=_drift(row, own[row["number"]], made) if row["key"] else None,
        )
        for row in rows
    ]


def _length_s(chapter: Row, own: Sequence[Row]) -> float:
    """Return the length of a chapter's file, or of its sentences while there is none."""
    is_joined = chapter["key"] and own
    return float(chapter["samples"] / own[0]["rate_hz"] if is_joined else chapter["audio_s"])


def _drift(chapter: Row, own: Sequence[Row], made: Sequence[Row]) -> Drift | None:
    if chapter["loudness_lufs"] is None:
        return None
    pace, pitch = (
        _median(own, name) / (_median(made, name) or 1.0) if own else 1.0
        for name in ("pace", "pitch_hz")
    )
    return Drift(round(pace, 3), round(pitch, 3), chapter["loudness_lufs"], chapter["true_peak_db"])


def _median(rows: Iterable[Row], name: str) -> float:
    return float(median([row[name] for row in rows if row[name]] or [0.0]))


def sentence_of(row: Row) -> JobSentence:
    state: SentenceState = "made" if row["samples"] else "failed" if row["problem"] else "waiting"
    return JobSentence(
        number=row["number"],
        block=row["block"],
        start=row["start"],
        end=row["end"],
        text=row["text"],
        voice=row["voice"] or "",
        state=state,
        take=row["take"],
        audio_s=row["samples"] / row["rate_hz"] if row["samples"] else 0.0,
        problem=row["problem"] or row["outlier"],
    )


def progress_of(job: Job, chapters: Iterable[Row]) -> Progress:
    """Return where a job stands that this process does not run."""
    done = job.sentences_made + job.sentences_failed
    share = 1.0 if job.state == "done" else 0.97 * done / max(job.sentences, 1)
    return Progress(
        job=job.id,
        state=job.state,
        stage=None,
        percent=round(100 * min(share, 1.0), 1),
        chapter=0,
        chapters=job.chapters,
        chapters_ready=tuple(row["number"] for row in chapters if row["key"]),
        sentences=job.sentences,
        sentences_made=job.sentences_made,
        sentences_failed=job.sentences_failed,
        audio_s=round(job.audio_s, 1),
        real_time=0.0,
        left_s=None,
        problem=job.problem,
    )


def report_of(
    id: str, script: Script, sentences: Sequence[Row], chapters: Sequence[JobChapter]
) -> Report:
    """Return what became of a book."""
    return Report(
        id,
        script.unspoken,
        [_unspoken(row, row["problem"]) for row in sentences if row["problem"]],
        [_unspoken(row, row["outlier"]) for row in sentences if row["outlier"]],
        chapters,
    )


def _unspoken(row: Row, reason: str) -> Unspoken:
    place = row["chapter"], row["block"], row["start"], row["end"]
    return Unspoken(*place, row["text"], reason)
