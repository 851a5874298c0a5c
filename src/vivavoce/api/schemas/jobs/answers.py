"""Describe jobs, and what they make."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Self

from pydantic import BaseModel, Field

from vivavoce.api.schemas.answers import Rounded
from vivavoce.api.schemas.values import optional
from vivavoce.books.plan import BookPlan
from vivavoce.books.write import BookFormat
from vivavoce.jobs import (
    Drift,
    Job,
    JobChapter,
    JobOptions,
    JobSentence,
    JobState,
    Output,
    Progress,
    Report,
    SentenceState,
    Stage,
)


class JobInfo(BaseModel):
    """A job. Characters and sentences are those to be spoken."""

    id: str
    state: JobState
    title: str
    authors: list[str]
    source: str = Field(description="The name of the file.")
    created: datetime
    updated: datetime
    owner: str = Field(description="The name of a key, empty without keys.")
    model: str
    speaker: str | None
    language: str | None
    formats: list[BookFormat]
    chapters: int
    sentences: int
    characters: int
    sentences_made: int
    sentences_failed: int
    audio_s: Rounded = Field(description="Seconds of speech that are made.")
    percent: Rounded
    problem: str = Field(description="Why it failed, or paused by itself.")

    @classmethod
    def of(cls, job: Job) -> Self:
        names = (
            "id", "state", "title", "source", "owner", "chapters", "sentences", "characters",
            "sentences_made", "sentences_failed", "audio_s", "problem",
        )  # fmt: skip
        return cls(
            **{name: getattr(job, name) for name in names},
            authors=list(job.authors),
            created=_time(job.created_s),
            updated=_time(job.updated_s),
            model=job.options.model,
            speaker=job.options.voice,
            language=job.options.language,
            formats=list(job.options.formats),
            percent=percent_of(job),
        )


def percent_of(job: Job) -> float:
    """Return how much of a job is made. Its files are the last of it."""
    if job.state == "done":
        return 100.0
    tried = job.sentences_made + job.sentences_failed
    return min(round(100 * tried / job.sentences, 2), 99.0) if job.sentences else 0.0


class JobInfos(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobInfo]
    total: int
    next: str | None = optional("The `after` of the next page, if there is one.")


class DriftInfo(BaseModel):
    """How a chapter differs from the whole book, and its loudness."""

    pace: Rounded
    pitch: Rounded
    loudness_lufs: Rounded
    true_peak_db: Rounded

    @classmethod
    def of(cls, drift: Drift) -> Self:
        return cls(**asdict(drift))


class ChapterInfo(BaseModel):
    """A chapter of a job."""

    number: int = Field(description="Its number in the book, from 1.")
    title: str
    sentences: int
    sentences_made: int
    sentences_failed: int
    ready: bool = Field(description="It can be listened to, at `/v1/jobs/{id}/chapters/{number}`.")
    audio_s: Rounded
    drift: DriftInfo | None = None

    @classmethod
    def of(cls, chapter: JobChapter) -> Self:
        names = cls.model_fields.keys() - {"drift"}
        drift = None if chapter.drift is None else DriftInfo.of(chapter.drift)
        return cls(**{name: getattr(chapter, name) for name in names}, drift=drift)


class ChapterInfos(BaseModel):
    chapters: list[ChapterInfo]


class SentenceInfo(BaseModel):
    """A sentence of a chapter, with its span in the text of its block."""

    number: int = Field(description="Its number in the chapter, from 1.")
    block: int
    start: int
    end: int
    text: str
    voice: str
    state: SentenceState
    take: int = Field(description="How often it was asked to be made anew.")
    audio_s: Rounded
    problem: str

    @classmethod
    def of(cls, sentence: JobSentence) -> Self:
        return cls(**asdict(sentence))


class SentenceInfos(BaseModel):
    sentences: list[SentenceInfo]


class FileInfo(BaseModel):
    """A finished file, at `/v1/jobs/{id}/files/{name}`."""

    format: BookFormat
    name: str
    bytes: int

    @classmethod
    def of(cls, output: Output) -> Self:
        return cls(format=output.format, name=output.name, bytes=output.bytes)


class FileInfos(BaseModel):
    files: list[FileInfo]


class PlannedChapter(BaseModel):
    """A chapter as it is going to be."""

    number: int = Field(description="Its number in the book, from 1.")
    title: str
    blocks: int = Field(description="Paragraphs and the like that are spoken.")
    characters: int
    audio_s: Rounded
    skipped_blocks: int
    skipped_characters: int


class PlannedGap(BaseModel):
    """What is left out for one reason. `/v1/jobs/{id}/skipped` has the texts."""

    reason: str
    blocks: int
    characters: int


class PlanInfo(BaseModel):
    """What a job is going to say. Times are predictions."""

    title: str
    authors: list[str]
    language: str
    languages: dict[str, int] = Field(description="Characters to be spoken in each.")
    voices: list[str] = Field(description="As they were asked for, `auto` if the server chooses.")
    chapters: list[PlannedChapter]
    characters: int
    audio_s: Rounded
    make_s: Rounded | None = Field(
        description="At the speed of the last job that this server ran, unknown before it."
    )
    skipped: list[PlannedGap]

    @classmethod
    def of(cls, plan: BookPlan, options: JobOptions, times_real_time: float | None) -> Self:
        cast = options.cast
        voices = (cast.narrator or options.voice or "auto", cast.quotes, *cast.voices.values())
        blocks = Counter(each.reason for each in plan.skipped)
        return cls(
            title=plan.title,
            authors=list(plan.authors),
            language=plan.language,
            languages=plan.languages,
            voices=list(dict.fromkeys(filter(None, voices))),
            chapters=[
                PlannedChapter(
                    number=chapter.number,
                    title=chapter.title,
                    blocks=chapter.blocks,
                    characters=chapter.chars,
                    audio_s=chapter.audio_s,
                    skipped_blocks=chapter.skipped_blocks,
                    skipped_characters=chapter.skipped_chars,
                )
                for chapter in plan.chapters
            ],
            characters=plan.chars,
            audio_s=plan.audio_s,
            make_s=None if times_real_time is None else plan.making_s(times_real_time),
            skipped=[
                PlannedGap(reason=reason, blocks=blocks[reason], characters=characters)
                for reason, characters in plan.reasons().items()
            ],
        )


class UnspokenInfo(BaseModel):
    """A part of the book, and why it is listed."""

    chapter: int
    block: int
    start: int
    end: int
    text: str
    reason: str


class SkippedInfo(BaseModel):
    """What of a book is not spoken, and why."""

    skipped: list[UnspokenInfo] = Field(description="By the choices.")
    failed: list[UnspokenInfo] = Field(description="Although it was tried.")
    outliers: list[UnspokenInfo] = Field(description="Spoken, and still unlike the rest.")

    @classmethod
    def of(cls, report: Report) -> Self:
        lists = {name: getattr(report, name) for name in cls.model_fields}
        return cls(**{name: [asdict(one) for one in parts] for name, parts in lists.items()})  # type: ignore[arg-type]  # pydantic reads dictionaries


class ProgressInfo(BaseModel):
    """An event: where a job stands."""

    job: str
    state: JobState
    stage: Stage | None
    percent: Rounded
    chapter: int = Field(description="Number of the one that is made, 0 for none.")
    chapters: int
    chapters_ready: list[int]
    sentences: int
    sentences_made: int
    sentences_failed: int
    audio_s: Rounded
    real_time: Rounded = Field(description="Seconds of speech made in a second.")
    left_s: Rounded | None
    problem: str

    @classmethod
    def of(cls, progress: Progress) -> Self:
        return cls(**asdict(progress))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
