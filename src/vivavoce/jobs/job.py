"""Define a job, its parts and its states, as everyone sees them.

queued → running → done
queued, running ⇄ paused
queued, running, paused → cancelled · running → failed
paused, failed, cancelled, done → queued
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from vivavoce.books.book import Choices
from vivavoce.books.write import BookFormat, ChapterFormat
from vivavoce.types import Pronunciation

JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
Stage = Literal["speaking", "joining", "writing"]  # of a running job
SentenceState = Literal["waiting", "made", "failed"]
Action = Literal["pause", "resume", "cancel", "retry"]

# The states in which each action is allowed, and the state that follows.
ACTIONS: Final[Mapping[Action, tuple[frozenset[JobState], JobState]]] = {
    "pause": (frozenset({"queued", "running"}), "paused"),
    "resume": (frozenset({"paused"}), "queued"),
    "cancel": (frozenset({"queued", "running", "paused"}), "cancelled"),
    "retry": (frozenset({"failed", "cancelled", "done"}), "queued"),
}
ENDED: Final[frozenset[JobState]] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Cast:
    """Voices by character. `quotes` says what is in quotation marks, `narrator` all the rest.

    A paragraph that begins with a name of `voices` and a colon is said by that voice, without the
    name. `[voice:…]` in the text takes a name of `voices`, or any voice. With `named_quotes`, so
    does a quote whose speaker the text names beside it.
    """

    narrator: str | None = None
    quotes: str | None = None
    voices: Mapping[str, str] = field(default_factory=dict)
    named_quotes: bool = False


@dataclass(frozen=True, slots=True)
class Pauses:
    """Silence in seconds, between the last sound of one sentence and the first of the next."""

    sentence_s: float = 0.4
    paragraph_s: float = 0.8
    heading_s: float = 1.4  # before and after a heading
    chapter_s: float = 2.0  # at the end of a chapter


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How a book is spoken and written. `None`: the server chooses, once for the whole job."""

    model: str = "auto"
    voice: str | None = None
    language: str | None = None  # ISO 639-1 code
    instruct: str | None = None
    speed: float = 1.0
    seed: int = 0
    attempts: int = 3  # at each sentence, with another seed each time
    cast: Cast = Cast()
    pauses: Pauses = Pauses()
    choices: Choices = field(default_factory=Choices)
    chapters: tuple[int, ...] | None = None  # numbers from 1, None: all
    formats: tuple[BookFormat, ...] = ("m4b",)
    chapter_format: ChapterFormat = "mp3"  # of the files in a zip or a folder
    m4b_opus: bool = False
    epub_audio: Literal["mp3", "m4a"] = "mp3"
    epub_unit: Literal["sentence", "word"] = "sentence"
    pronunciations: tuple[Pronunciation, ...] = ()


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Limits of one server. Those of jobs and disk are for each key."""

    max_book_bytes: int = 64 * 2**20
    max_book_chars: int = 10_000_000
    max_jobs: int = 100
    max_bytes: int = 20 * 10**9
    sentences_at_once: int = 4
    writers: int = 1  # processes that encode a file


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is now. `problem` says why it failed, or why it paused by itself.

    Times are seconds of the epoch. Characters and sentences are those to be spoken.
    """

    id: str
    owner: str  # the name of a key, or none
    state: JobState
    source: str  # the name of the file
    title: str
    options: JobOptions
    created_s: float
    updated_s: float
    chapters: int
    sentences: int
    characters: int
    sentences_made: int
    sentences_failed: int
    audio_s: float  # of the sentences made
    problem: str = ""
    authors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobChapter:
    """A chapter of a job. `ready` ones can be listened to."""

    number: int  # from 1, in the book
    title: str
    sentences: int
    sentences_made: int
    sentences_failed: int
    ready: bool
    audio_s: float
    drift: "Drift | None" = None


@dataclass(frozen=True, slots=True)
class JobSentence:
    """A sentence of a chapter, with its span in the text of its block."""

    number: int  # from 1, in the chapter
    block: int
    start: int
    end: int
    text: str
    voice: str
    state: SentenceState
    take: int  # how often it was asked to be made anew
    audio_s: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """How a chapter differs from the whole book, and its loudness."""

    pace: float  # characters a second, relative to the book's median
    pitch: float  # likewise
    loudness_lufs: float
    true_peak_db: float


@dataclass(frozen=True, slots=True)
class Output:
    """A finished file of a job."""

    format: BookFormat
    name: str
    path: Path
    bytes: int


@dataclass(frozen=True, slots=True)
class Unspoken:
    """A part of the book that is not in its audio, and why."""

    chapter: int  # from 1
    block: int
    start: int
    end: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a book: what is not spoken, and what sounds unlike the rest."""

    job: str
    skipped: Sequence[Unspoken]  # by the choices
    failed: Sequence[Unspoken]  # although it was tried
    outliers: Sequence[Unspoken]  # made, and still unlike the rest
    chapters: Sequence[JobChapter]


@dataclass(frozen=True, slots=True)
class Progress:
    """An event of a job: where it stands."""

    job: str
    state: JobState
    stage: Stage | None  # None unless it runs
    percent: float
    chapter: int  # number of the one that is made, 0 for none
    chapters: int
    chapters_ready: tuple[int, ...]
    sentences: int
    sentences_made: int
    sentences_failed: int
    audio_s: float
    real_time: float  # seconds of speech made in a second, by this run
    left_s: float | None  # None: unknown
    problem: str = ""
