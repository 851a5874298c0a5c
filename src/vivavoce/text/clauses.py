"""Find how much of a text that is still being written can be spoken already.

A cut never tears what is read as one: a number, a date, an abbreviation and what it belongs to, or
markup. The same words are said as if the whole text had been known. Knows no models and no time.
"""

import re
from functools import lru_cache
from typing import Final

from vivavoce.text.markup import is_ssml
from vivavoce.text.numbers.verbalize import LANGUAGES, read
from vivavoce.text.split import (
    CLAUSE_PAUSE_S,
    PARAGRAPH_PAUSE_S,
    SENTENCE_PAUSE_S,
    sentence_ends,
    weighted_length,
)
from vivavoce.text.tracked import Tracked

OPENING_CHARS: Final = 24  # of a first clause, by `weighted_length`: a listener waits for it
CLAUSE_CHARS: Final = 110  # of a later one, about seven seconds
OPENING_LONGEST: Final = 80  # without any punctuation
LONGEST: Final = 240
_APART: Final = 12
_MARKUP_CHARS: Final = 500  # markup that is open for longer is text
_MOST_CHARS: Final = 1_000  # of a text that is cut anywhere rather than not at all
_SEEN_CHARS: Final = 4_000  # looked at, from the first word: the time for a cut is bounded
_WINDOW_CHARS: Final = 300  # before a cut, to judge it by
_TRIED: Final = 16  # places for a cut, from the end

_CLOSERS = r"[\"'”’»)\]」』）》*_]*+"
_SENTENCE: Final = re.compile(rf"(?<![.!?…])[.!?…]++{_CLOSERS}(?=\s)|[。！？]++{_CLOSERS}|\n\s*?\n")
_CLAUSE: Final = re.compile(
    rf"(?<!\d)[,;:]{_CLOSERS}(?=\s)|[、，；：]{_CLOSERS}|(?<=\s)[–—](?=\s)|—"
)
_FULL_STOP: Final = re.compile(rf"\.{_CLOSERS}\Z")
# After what an author may go on with a number or a name that changes how it is read.
_PROBES: Final = ("The", "5", "the")
# A cut at a space is not made beside these.
_NUMERIC: Final = re.compile(r"\d|[$€£¥₹#№%+=/]")
_MARKUP: Final = re.compile(
    r"```(?:(?!```)[\s\S])*+(?:```|(?P<fence>\Z))"
    r"|<(?=[a-zA-Z/])[^<>\n]*+(?:>|(?P<tag>\Z))"
    r"|\[[^\[\]\n]*+(?:\]\([^()\n]*+(?:\)|(?P<link>\Z))|\](?=[\s\S])|(?P<bracket>\]?\Z))"
)
_WORD: Final = re.compile(r"\S+")
_LETTER: Final = re.compile(r"[^\W_]")
_ENDED: Final = re.compile(rf"(?<!\d)[.!?…]{_CLOSERS}\Z|[。！？、，]{_CLOSERS}\Z")


def clause_end(text: str, language: str, *, opening: bool) -> int:
    """Return the end of the part of the unfinished `text` that can be spoken now, 0 if none can.

    `opening` is for a listener who hears nothing yet, who gets a shorter part. `language` is an ISO
    639-1 code.
    """
    if is_ssml(text):
        end = text.find("</speak>")
        return 0 if end < 0 else end + len("</speak>")
    if (word := _LETTER.search(text)) is None:
        return 0
    first = word.end()
    text = text[: first + _SEEN_CHARS]
    markup, limit = _markup(text)
    # 1. A sentence.
    for end in _ends(_SENTENCE, text, first, limit, markup)[: -_TRIED - 1 : -1]:
        if _is_sentence(text, end, language):
            return end
    # 2. A clause that is long enough.
    least = OPENING_CHARS if opening else CLAUSE_CHARS
    clauses = _ends(_CLAUSE, text, first, limit, markup)
    for end in clauses if opening else reversed(clauses):
        if weighted_length(text[:end].strip()) >= least:
            return end
    # 3. Enough words.
    longest = OPENING_LONGEST if opening else LONGEST
    if weighted_length(text[:limit].strip()) > longest:
        end = _word_end(text, limit, language)
        return end or (first + LONGEST if len(text) > first + _MOST_CHARS else 0)
    return 0


def pause_end(text: str, language: str) -> int:
    """Return the end of what can be spoken of `text` when its author pauses, 0 if nothing can.

    A word that may be incomplete stays, and so does a number that may go on.
    """
    if is_ssml(text):
        return 0
    _, limit = _markup(text)
    if _ENDED.search(text, 0, limit) and _is_sentence(text[:limit] + " ", limit, language):
        return limit
    end = _word_end(text, limit, language)
    # A word or two sound wrong apart from what follows them.
    return end if not text[end:].strip() or weighted_length(text[:end].strip()) >= _APART else 0


def word_end(text: str, *, complete: bool = False) -> int:
    """Return the end of the last word of `text` that is whole, 0 if none is.

    Words behind a tag come later: it may ask for a pause.
    """
    seen = text[:_SEEN_CHARS]
    complete, text = complete and len(seen) == len(text), seen
    spans, limit = _markup(text)
    if tags := [end for _, end in spans if text[end - 1] in ">]"]:
        return tags[0]
    if complete:
        return len(text)
    if limit and weighted_length(text[limit - 1]) > 1:  # scripts without spaces
        return limit
    words = _WORD.finditer(text, max(0, limit - _WINDOW_CHARS), limit)
    end = max((word.end() for word in words if word.end() < limit), default=0)
    return end or (limit if len(text) == _SEEN_CHARS else 0)


def pause_s(text: str) -> float:
    """Return the pause between `text`, a part of a text, and what follows it."""
    stripped = text.rstrip()
    if text.count("\n", len(stripped)) > 1:
        return PARAGRAPH_PAUSE_S
    if re.search(rf"[.!?…。！？]{_CLOSERS}\Z", stripped):
        return SENTENCE_PAUSE_S
    return CLAUSE_PAUSE_S if re.search(rf"[,;:—、，；：]{_CLOSERS}\Z", stripped) else 0.0


def _markup(text: str) -> tuple[list[tuple[int, int]], int]:
    """Return the spans of markup in `text`, and where markup begins that is not complete yet."""
    spans, limit = [], len(text)
    for found in _MARKUP.finditer(text):
        if found.lastgroup is None:
            spans.append(found.span())
        elif found.end() - found.start() <= _MARKUP_CHARS:
            limit = found.start()
    return spans, limit


def _ends(
    pattern: re.Pattern[str], text: str, first: int, limit: int, markup: list[tuple[int, int]]
) -> list[int]:
    """Return where `pattern` ends from `first` to `limit` and outside of `markup`."""
    found = (match.end() for match in pattern.finditer(text, first, limit))
    inside = set[int]()
    for start, end in markup:
        inside.update(range(start + 1, end))
    return [at for at in found if at not in inside]


def _is_sentence(text: str, end: int, language: str) -> bool:
    """True if a sentence ends at `end`, whatever follows."""
    start = max(0, end - _WINDOW_CHARS)
    if not _FULL_STOP.search(text, start, end):
        return True
    following = text[end : end + _WINDOW_CHARS].split(maxsplit=1)[:1]
    known = following and (len(following[0]) > 1 or text[-1].isspace())
    probes = following if known else (*following, *_PROBES)
    return all(_ends_before(text[start:end], probe, language) for probe in probes)


@lru_cache(maxsize=2_048)  # a text that comes in letters is judged again with each of them
def _ends_before(text: str, following: str, language: str) -> bool:
    """True if a reader hears the end of a sentence between `text` and the word `following`."""
    tracked = Tracked.of(f"{text} {following}")
    said = read(tracked, language) if language in LANGUAGES else tracked
    return any(
        said.span(end - 1, end)[1] >= len(text) and said.span(end, end + 1)[0] >= len(text)
        for end in sentence_ends(said.text, language)
        if 0 < end < len(said.text)
    )


def _word_end(text: str, limit: int, language: str) -> int:
    """Return the end of the last word before `limit` where a cut tears no number, 0 if none.

    A word is whole if a space follows it.
    """
    words = list(_WORD.finditer(text, max(0, limit - _WINDOW_CHARS), limit))
    following = ""  # word
    for word in words[: -_TRIED - 1 : -1]:
        numeric = _NUMERIC.search(word[0] + following)
        whole = word.end() < limit
        if whole and not numeric and not _is_abbreviated(text, word.end(), language):
            return word.end()
        following = word[0]
    return 0


def _is_abbreviated(text: str, end: int, language: str) -> bool:
    return text[end - 1] == "." and not _is_sentence(text[:end] + " ", end, language)
