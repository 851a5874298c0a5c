"""Hold what a text asks for, once its markup is understood: runs of text, each read in one way.

Plain text, Markdown, HTML, SSML and inline tags all become a `Document`. The readers of languages
and the splitter see nothing else.
"""

from dataclasses import dataclass, field

from vivavoce.text.tracked import Tracked


@dataclass(frozen=True, slots=True)
class Style:
    """The manner of a run. None and the neutral values leave the request's own."""

    voice: str | None = None
    language: str | None = None  # ISO 639-1
    speed: float = 1.0  # times the request's
    volume_db: float = 0.0
    pitch: float = 1.0  # times the request's


PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Run:
    """Text that is read in one way, and the pause after it.

    - With `phonemes` (IPA), these are said, and `text` is for models that take none.
    - With `read_as`, `text` is of that kind, such as "characters", "date" or "telephone", and
      `format` is its detail, such as "dmy".
    - With `is_spoken`, `text` is in words already.
    """

    text: Tracked
    style: Style = PLAIN
    phonemes: str | None = None
    read_as: str | None = None
    format: str | None = None
    is_spoken: bool = False
    pause_s: float | None = None  # None: none but that of its punctuation
    mark: str | None = None  # named by the author, at the end of the run


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the author's text, in code points, that the author has named."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Document:
    """One text in runs, in the author's order."""

    runs: tuple[Run, ...]
    ignored: tuple[str, ...] = field(default=())  # names of markup that means nothing here

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The named places, in order."""
        found, at = [], 0
        for run in self.runs:
            if run.text.text:
                at = run.text.span()[1]
            if run.mark is not None:
                found.append(Mark(run.mark, at))
        return tuple(found)
