"""Divide a book into the lines to be spoken, each in one voice, and say what is left out.

- A line is a sentence, or short ones together, which voices say better so.
- What has neither letter nor digit is no line: the pause before it is longer.
- Markup inside of a line is listed as unspoken too.
- A pause of the author's at the edge of a line, or alone, makes the pause there as long.
"""

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vivavoce.books.book import Block, Book
from vivavoce.books.plan import MAX_SENTENCE_CHARS, language_of
from vivavoce.errors import BadRequest
from vivavoce.jobs.job import Cast, JobOptions, Pauses, Unspoken
from vivavoce.jobs.speakers import speakers
from vivavoce.names import is_name
from vivavoce.text.markup import is_ssml
from vivavoce.text.markup.values import MAX_PAUSE_S
from vivavoce.text.pipeline import parsed, prepared
from vivavoce.text.split import sentence_spans

_TAG = re.compile(r"\[/?voice(?:\s?[:=]\s?([^\[\]\n]{0,200}))?\]", re.IGNORECASE)
MARKUP: Final = "markup, or part of an address"
PAUSE: Final = "a pause"
_MARKUP: Final = frozenset("<>[](){}*_`~|&")
_GAP = re.compile(r"\S+(?:\s\S+)*")
_RETURNS: Final = frozenset({"", "default", "reset"})


@dataclass(frozen=True, slots=True)
class Line:
    """A stretch of a block that is spoken in one go. Numbers begin at 1, blocks at 0."""

    chapter: int
    number: int
    block: int
    start: int
    end: int
    text: str
    voice: str | None  # None: the narrator's
    language: str | None  # that the book names for it
    pause_s: float  # after it


@dataclass(frozen=True, slots=True)
class Script:
    """All lines of a book, and what is not spoken, both in order."""

    lines: tuple[Line, ...]
    unspoken: tuple[Unspoken, ...]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a block in one voice. With a reason it is not spoken."""

    start: int
    end: int
    voice: str | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What of a line is unread, and the pauses that its author asks for at its edges."""

    unread: tuple[tuple[int, int], ...] = ()
    before_s: float = 0.0
    after_s: float = 0.0
    is_silent: bool = False  # it has no words


def write_script(book: Book, options: JobOptions) -> Script:
    """Return what is said of the chapters that `options` choose."""
    lines: list[Line] = []
    unspoken: list[Unspoken] = []
    asked_s = defaultdict[int, float](float)  # by the author, after so many lines
    language = options.language or language_of(book)
    for number, chapter in enumerate(book.chapters, 1):
        if options.chapters is not None and number not in options.chapters:
            continue
        voice: str | None = None  # of the latest tag
        first = len(lines)
        for index, block in enumerate(chapter.blocks):

            def leave(start: int, end: int, reason: str, block: Block = block, index: int = index,
                      number: int = number) -> None:  # fmt: skip
                text = block.text[start:end]
                if text.strip():
                    unspoken.append(Unspoken(number, index, start, end, text, reason))

            if block.skipped:
                leave(0, len(block.text), block.skipped)
                continue
            stretches, voice = _stretches(block.text, options.cast, voice)
            before, silent_s = len(lines), 0.0
            for stretch in stretches:
                if stretch.reason:
                    leave(stretch.start, stretch.end, stretch.reason)
                    continue
                for start, end in _spans(block, stretch, language):
                    text = block.text[start:end]
                    if not any(map(str.isalnum, text)):
                        leave(start, end, "no words")
                        continue
                    reading = _read(text)
                    asked_s[len(lines)] += reading.before_s
                    if reading.is_silent:
                        silent_s += reading.before_s
                        leave(start, end, PAUSE if reading.before_s else MARKUP)
                        continue
                    for gap_start, gap_end in reading.unread:
                        leave(start + gap_start, start + gap_end, MARKUP)
                    asked_s[len(lines) + 1] += reading.after_s
                    at = len(lines) - first + 1
                    voice_ = stretch.voice
                    pause_s = options.pauses.sentence_s
                    lines.append(
                        Line(number, at, index, start, end, text, voice_, block.language, pause_s)
                    )
            is_scene = len(lines) == before and not silent_s  # a row of stars
            _pause_around(lines, first, before, is_scene or block.kind == "heading", options.pauses)
        if len(lines) > first:
            lines[-1] = replace(lines[-1], pause_s=options.pauses.chapter_s)
    for count, pause_s in asked_s.items():
        if count:  # there is no line before the first
            line = lines[count - 1]
            lines[count - 1] = replace(line, pause_s=max(line.pause_s, min(pause_s, MAX_PAUSE_S)))
    return Script(tuple(lines), tuple(unspoken))


def _read(text: str) -> _Reading:
    """Return how a line is read. Markup, such as `[laughs]` or `<div>`, is no speech."""
    if _MARKUP.isdisjoint(text):
        return _Reading()
    try:
        runs = list(prepared(parsed(text, "auto")))
    except BadRequest:  # SSML that is wrong is not spoken at all, as its failure tells
        return _Reading()
    speaking = [
        index
        for index, run in enumerate(runs)
        if run.phonemes or any(map(str.isalnum, run.text.text))
    ]
    heard = bytearray(len(text))
    for run in runs:
        for start, end in zip(run.text.starts, run.text.ends, strict=True):
            heard[start:end] = b"\1" * (end - start)
    rest = "".join(" " if is_heard else char for char, is_heard in zip(text, heard, strict=True))
    gaps = (gap.span() for gap in _GAP.finditer(rest) if any(map(str.isalnum, gap[0])))
    first, last = (speaking[0], speaking[-1]) if speaking else (len(runs), len(runs))
    before_s, after_s = (
        sum(run.pause_s or 0 for run in part) for part in (runs[:first], runs[last:])
    )
    return _Reading(tuple(gaps), before_s, after_s, is_silent=not speaking)


def _pause_around(
    lines: list[Line], first: int, before: int, is_long: bool, pauses: Pauses
) -> None:
    """Set the pauses before and after the lines of a block, which begin at `before`."""
    around_s = pauses.heading_s if is_long else pauses.paragraph_s
    if len(lines) > before:
        lines[-1] = replace(lines[-1], pause_s=around_s)
    if before > first:
        pause_s = max(lines[before - 1].pause_s, around_s)
        lines[before - 1] = replace(lines[before - 1], pause_s=pause_s)


def _stretches(text: str, cast: Cast, voice: str | None) -> tuple[list[_Stretch], str | None]:
    """Cut a block where the voice changes. `voice` is that of the latest tag."""
    if is_ssml(text):
        return [_Stretch(0, len(text), voice)], voice
    found: list[_Stretch] = []
    at, speaker = _label(text, cast)
    if at:
        found.append(_Stretch(0, at, None, "the name of who speaks"))
    for tag in _TAG.finditer(text, at):
        found += _quoted(text, at, tag.start(), cast, speaker or voice)
        found.append(_Stretch(*tag.span(), None, "a tag"))
        name = (tag[1] or "").strip()
        voice = None if name.lower() in _RETURNS else _voice_of(name, cast)
        speaker, at = None, tag.end()
    return [*found, *_quoted(text, at, len(text), cast, speaker or voice)], voice


def _label(text: str, cast: Cast) -> tuple[int, str | None]:
    """Return the end of the name that a block begins with, and its voice."""
    name, colon, _ = text[:200].partition(":")
    voices = {key.casefold(): voice for key, voice in cast.voices.items()}
    voice = voices.get(name.strip().casefold())
    return (len(name) + 1, voice) if colon and voice else (0, None)


def _voice_of(name: str, cast: Cast) -> str:
    voices = {key.casefold(): voice for key, voice in cast.voices.items()}
    return voices.get(name.casefold(), name)


def _quoted(text: str, start: int, end: int, cast: Cast, voice: str | None) -> Iterator[_Stretch]:
    """Yield the narrator's words and the quoted ones, if they have a voice of their own."""
    names = tuple(cast.voices) if cast.named_quotes else ()
    if voice is None and (cast.quotes is not None or names):
        for first, last, speaker in speakers(text, start, end, names):
            quoted = cast.voices.get(speaker, cast.quotes)
            if quoted is None:
                continue
            if first > start:
                yield _Stretch(start, first, None)
            yield _Stretch(first, last, quoted)
            start = last
    if start < end:
        yield _Stretch(start, end, voice)


def _spans(block: Block, stretch: _Stretch, language: str) -> Iterator[tuple[int, int]]:
    """Yield the sentences of a stretch. SSML is said as a whole."""
    text = block.text[stretch.start : stretch.end]
    if is_ssml(text):
        yield stretch.start, stretch.end
        return
    spans = sentence_spans(text, block.language or language, max_chars=MAX_SENTENCE_CHARS)
    yield from ((stretch.start + start, stretch.start + end) for start, end in spans)


def read_cast(data: bytes, name: str) -> Cast:
    """Return the cast in a TOML or JSON file. Raises `BadRequest` if it is none.

    narrator = "af_heart"
    quotes = "am_adam"
    named_quotes = true

    [voices]
    Alice = "bf_emma"
    """
    try:
        text = data.decode("utf-8-sig")
        table: Any = json.loads(text) if name.lower().endswith(".json") else tomllib.loads(text)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadRequest(
            f"cast {name!r} is neither TOML nor JSON ({error})", field="cast"
        ) from error
    return cast_of(table)


def cast_of(table: object) -> Cast:
    """Return the cast in a table. Raises `BadRequest` for a part that means nothing."""
    if not isinstance(table, Mapping):
        raise BadRequest("cast must be a table of narrator, quotes and voices", field="cast")
    voices = table.get("voices", {})
    if unknown := set(table) - {"narrator", "quotes", "named_quotes", "voices"}:
        raise BadRequest(
            f"cast holds {min(map(str, unknown))!r}: it takes narrator, quotes, named_quotes and "
            "voices",
            field="cast",
        )
    if not isinstance(named := table.get("named_quotes", False), bool):
        raise BadRequest(f"named_quotes of the cast is {named!r}: true or false", field="cast")
    if not isinstance(voices, Mapping):
        raise BadRequest("voices of the cast must be a table: name = voice", field="cast")
    given: Iterable[tuple[str, object]] = [
        *((key, table[key]) for key in ("narrator", "quotes") if key in table),
        *((str(key), value) for key, value in voices.items()),
    ]
    for key, value in given:
        if not isinstance(value, str) or not is_name(value):
            raise BadRequest(f"cast has {value!r} for {key!r}: name a voice", field="cast")
    return Cast(table.get("narrator"), table.get("quotes"), dict(voices), named)
