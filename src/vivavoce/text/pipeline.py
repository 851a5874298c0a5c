"""Turn a text into the segments that a model says. Every request of every surface goes this way.

    parse → normalise → detect → read → letters → split

`prepared` ends before the language is known, `spoken` begins when it is. Nothing else decides what
is said: an explanation shows the segments of `spoken`, and speech says them. Both are lazy, so that
a long text costs little time before its first segment.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from vivavoce.text.document import PLAIN, Document, Run, Style
from vivavoce.text.language.scripts import speakable
from vivavoce.text.markup import is_ssml, parse_ssml, split_tags
from vivavoce.text.normalize import normalize_part, parts
from vivavoce.text.numbers.say_as import say_as
from vivavoce.text.numbers.verbalize import LANGUAGES, read
from vivavoce.text.split import (
    CLAUSE_PAUSE_S,
    PARAGRAPH_PAUSE_S,
    SENTENCE_PAUSE_S,
    TextSegment,
    split,
)
from vivavoce.text.tracked import Tracked, Word
from vivavoce.text.windows import windows
from vivavoce.text.words import words
from vivavoce.types import InputType

READ_CHARS: Final = 1_000  # the most that is read in one go: some 5 ms
FIRST_CHARS: Final = 80  # of the first segment, for an early start
_PARAGRAPH: Final = "\n\n"
_SPACES = re.compile(r"\s{2,}+|[^\S ]")
_SOUND = re.compile(r"[^\W_]")
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]」』）》]*\s*$")
_CLAUSE_END = re.compile(r"[,;:—、，；：][\"'”’»)\]」』）》]*\s*$")

Phonemes = tuple[int, int, str]  # start and end in a text, and its sounds in IPA


@dataclass(frozen=True, slots=True)
class SpokenSegment:
    """Text that a model says in one go, and the pause after it. Without text it is a pause only."""

    spoken: Tracked
    pause_s: float = 0.0
    phonemes: tuple[Phonemes, ...] = ()
    language: str = ""  # ISO 639-1
    style: Style = PLAIN
    unspoken: tuple[str, ...] = ()  # what the author wrote here that cannot be said

    @property
    def text(self) -> str:
        return self.spoken.text

    @property
    def words(self) -> tuple[Word, ...]:
        """The words, with their spans in the author's text."""
        return words(self.spoken, self.language)

    @property
    def written(self) -> tuple[int, int]:
        """The span of the whole in the author's text."""
        return self.spoken.span()


@dataclass(frozen=True, slots=True)
class Voicing:
    """The way in which a model and its voice take text.

    Attributes:
        language: ISO 639-1 code of runs that name none.
        languages: The codes that the voice speaks.
        in_words: True if numbers, symbols and abbreviations are to be written out.
        takes_phonemes: True if the model says IPA.
        max_chars: Limit of a segment, by `weighted_length`.
        unsplit: True if nothing is split. The limit is for others to check.
    """

    language: str
    languages: tuple[str, ...]
    in_words: bool
    takes_phonemes: bool
    max_chars: int
    unsplit: bool = False

    def language_of(self, run: Run) -> str:
        named = run.style.language
        return named if named in self.languages else self.language


@dataclass(slots=True)
class _Passage:
    """A paragraph or a part of one, in one style and without a pause inside."""

    style: Style
    language: str
    text: list[Tracked] = field(default_factory=list)
    phonemes: list[Phonemes] = field(default_factory=list)
    unspoken: list[str] = field(default_factory=list)
    ends_paragraph: bool = False
    pause_s: float | None = None  # after it, if the author names one
    chars: int = 0


def parsed(text: str, input_type: InputType) -> Document:
    """Parse the markup of `text`. Raises `BadRequest` for SSML that is wrong."""
    if input_type == "ssml" or (input_type == "auto" and is_ssml(text)):
        return parse_ssml(text)
    return Document(tuple(split_tags(Tracked.of(text))))


def has_sound(run: Run) -> bool:
    """True if the run has a letter or digit, or sounds of its own."""
    return run.phonemes is not None or _SOUND.search(run.text.text) is not None


def prepared(document: Document) -> Iterator[Run]:
    """Yield the runs of `document` with their text normalised, in parts of limited length."""
    for run in document.runs:
        if run.is_spoken or run.phonemes is not None or run.read_as is not None:
            yield run
            continue
        *before, last = parts(run.text)
        for part, gap in before:
            text = _edged(part, normalize_part(part), gap)
            yield replace(run, text=text, pause_s=None, mark=None)
        yield replace(run, text=_edged(last[0], normalize_part(last[0])))


def spoken(runs: Iterable[Run], voicing: Voicing) -> Iterator[SpokenSegment]:
    """Yield the segments of prepared `runs`. The first one is short. Never raises for any text."""
    waiting: SpokenSegment | None = None
    lost: tuple[str, ...] = ()
    named = False  # the last pause is the author's
    for passage in _passages(runs, voicing):
        lost += tuple(passage.unspoken)
        opened = False
        for segment in _segments(passage, voicing, opening=waiting is None):
            if waiting is not None:
                yield waiting
            waiting, lost, opened = replace(segment, unspoken=lost), (), True
        if not opened and passage.pause_s is not None:  # a pause alone
            waiting = waiting or SpokenSegment(Tracked.of(""), style=passage.style)
            waiting = replace(waiting, pause_s=waiting.pause_s + passage.pause_s)
        named = passage.pause_s is not None
    if waiting is not None:
        pause_s = waiting.pause_s if named else 0.0
        yield replace(waiting, pause_s=pause_s, unspoken=waiting.unspoken + lost)


def _edged(raw: Tracked, text: Tracked, gap: str = "") -> Tracked:
    """Return normalised `text` with the space or blank line that `raw` has at its edges."""
    left = raw[: len(raw.text) - len(raw.text.lstrip())]
    right = raw[len(raw.text.rstrip()) :]
    if not text.text:
        return _edge(left) if left.text else raw.before(gap)
    ended = _edge(right, gap) if right.text else text.after(gap)[len(text) :]
    return Tracked.join((_edge(left), text, ended))


def _edge(spaces: Tracked, gap: str = "") -> Tracked:
    """Return `spaces` as one space, or as a blank line if they have one."""
    if spaces.text.count("\n") > 1 or gap == _PARAGRAPH:
        return Tracked.spanning(_PARAGRAPH, *spaces.span())
    if spaces.text[:1] in ("", " "):
        return spaces[:1]
    return Tracked.spanning(" ", *spaces.span())


def _passages(runs: Iterable[Run], voicing: Voicing) -> Iterator[_Passage]:
    current: _Passage | None = None
    for run in runs:
        language = voicing.language_of(run)
        for window, gap in windows(run.text, READ_CHARS):
            if current is not None and (current.style, current.language) != (run.style, language):
                yield current
                current = None
            current = current or _Passage(run.style, language)
            _append(current, run, window, voicing)
            if gap == _PARAGRAPH or current.chars >= READ_CHARS:
                current.ends_paragraph = gap == _PARAGRAPH
                yield current
                current = None
        if run.pause_s is not None:
            current = current or _Passage(run.style, language)
            current.pause_s = run.pause_s
            yield current
            current = None
    if current is not None:
        yield current


def _append(passage: _Passage, run: Run, window: Tracked, voicing: Voicing) -> None:
    """Read `window`, a part of `run`, and add it to the passage."""
    text, unsaid = _in_words(run, window.strip(), passage.language, voicing)
    passage.unspoken += unsaid
    text = text.sub(_SPACES, " ").strip()
    ends_with_space = not passage.text or passage.text[-1].text[-1:] == " "
    if window.text[:1].isspace() and not ends_with_space:
        text = text.before(" ") + text
    start = passage.chars + (text.text[:1] == " ")
    if run.phonemes is not None and voicing.takes_phonemes and text.text:
        passage.phonemes.append((start, passage.chars + len(text), run.phonemes))
    if window.text.strip() and window.text[-1:].isspace():
        text = text + window[-1:]
    if text.text:
        passage.text.append(text)
        passage.chars += len(text)


def _in_words(
    run: Run, text: Tracked, language: str, voicing: Voicing
) -> tuple[Tracked, list[str]]:
    """Return `text` as it is said in `language`, and what of it cannot be said."""
    if run.read_as is not None and language in LANGUAGES:
        said = say_as(text.text, run.read_as, run.format, language)
        if said is not None:
            return speakable(Tracked.spanning(said, *text.span()), language)
    has_sounds = run.phonemes is not None and voicing.takes_phonemes
    if run.phonemes is not None and not has_sounds:
        text = normalize_part(text)  # the model says this instead of the sounds
    if run.is_spoken or has_sounds or not voicing.in_words or language not in LANGUAGES:
        return text, []
    return speakable(read(text, language), language)


def _segments(passage: _Passage, voicing: Voicing, *, opening: bool) -> Iterator[SpokenSegment]:
    whole = Tracked.join(passage.text)
    if not _SOUND.search(whole.text):
        return
    pieces = (
        [TextSegment(whole.text.strip(), 0.0)]
        if voicing.unsplit
        else list(
            split(
                whole.text,
                passage.language,
                max_chars=voicing.max_chars,
                first_chars=FIRST_CHARS if opening else None,
            )
        )
    )
    at = 0
    for piece in pieces:
        at += len(whole.text[at:]) - len(whole.text[at:].lstrip())
        last = piece is pieces[-1]
        yield SpokenSegment(
            whole[at : at + len(piece.text)],
            _pause_s(piece.text, passage) if last else piece.pause_s,
            tuple(_within(passage.phonemes, at, at + len(piece.text))),
            passage.language,
            passage.style,
        )
        at += len(piece.text)


def _within(phonemes: Sequence[Phonemes], start: int, end: int) -> Iterator[Phonemes]:
    return ((a - start, b - start, ipa) for a, b, ipa in phonemes if start <= a and b <= end)


def _pause_s(text: str, passage: _Passage) -> float:
    if passage.pause_s is not None:
        return passage.pause_s
    if passage.ends_paragraph:
        return PARAGRAPH_PAUSE_S
    if _SENTENCE_END.search(text):
        return SENTENCE_PAUSE_S
    return CLAUSE_PAUSE_S if _CLAUSE_END.search(text) else 0.0
