"""Split text lazily into segments that a model can say in one go.

Knows no models, voices or audio.

Sentences come from `sentencex`, which knows each language's abbreviations. Its time grows faster
than its input on some texts (unclosed quotes), so it sees a window of a paragraph at a time. The
last sentence of a window, maybe unfinished, is carried over to the next.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, chain, takewhile
from typing import Final

CHARS_PER_S: Final = 15.0  # of speech, as `weighted_length` counts them
PARAGRAPH_PAUSE_S: Final = 0.6
SENTENCE_PAUSE_S: Final = 0.25
CLAUSE_PAUSE_S: Final = 0.12
# Inside a clause nothing is wanted: each piece already ends in a little silence.
WORD_PAUSE_S: Final = 0.0

_WIDE = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)
_WIDE_WEIGHT = 3
_SHORT = 24  # narrower pieces are joined to a neighbour: models say single words badly
_COMFORTABLE = 110  # neighbours are joined up to here, about seven seconds of speech
_LONGEST_FIRST = 120  # letters said in a first piece without a break, which is cut above this
_SPELLED = re.compile(r"\d|[$€£¥%&@#+=]|\b[^\W\d_]\b|[A-Z](?=[A-Z])")  # each is said as a word
_SPELLED_WEIGHT = 5
_WINDOW_CHARS = 1000  # what sentencex sees at once: about 5 ms for the worst text of this length

_CLOSERS = r"[\"'”’»)\]」』）》]*+"
_PARAGRAPH_BREAK = re.compile(r"\n[^\S\n]*+\n\s*+")
_WHITESPACE = re.compile(r"\s+")
# Inside what sentencex takes for one sentence: a full stop after a short word is most likely an
# abbreviation's.
_SENTENCE_END = re.compile(
    rf"(?:(?<=\w\w\w\w\w)\.|\.\.\.|[!?…]){_CLOSERS}(?=\s)|[。！？।]{_CLOSERS}"
)
_CLAUSE_END = re.compile(rf"[,;:]{_CLOSERS}(?=\s)|[、，；：…]{_CLOSERS}|—+|\s[–-](?=\s)")
# What sentencex takes for sentences and is none: a list's "1." or "a)" alone, and some
# abbreviations.
_LIST_NUMBER = re.compile(r"\A\W*+(?:\d{1,3}|\w)[.)]\s*")
_ABBREVIATED = {
    "de": re.compile(r"\A(?:.*\s)?\d{1,3}\.\s*", re.DOTALL),  # ordinals: "die 2. Bundesliga"
    "fr": re.compile(r"\A(?:.*\s)?MM?\.\s*", re.DOTALL),  # "M. Dupont"
    "ru": re.compile(r"\A(?:.*\s)?[ТтИи]\.\s?[екдп]\.\s*", re.DOTALL),  # "т.е."
}


# Digits in groups, as telephone numbers are read. Nothing is cut inside.
_NUMBER_CHARS = 120
_DIGIT = (
    "zero|oh|one|two|three|four|five|six|seven|eight|nine|hundred|plus"
    "|cero|uno|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|más|um|dois|três|quatro|sete|oito|nove|mais"
    "|due|tre|quattro|cinque|sei|sette|otto|nove|più"
    "|zéro|un|deux|trois|cinq|sept|huit|neuf|dix|onze|douze|treize|quatorze|quinze|seize|vingt|trente"
    "|quarante|cinquante|soixante|vingts|et"
)
_SPOKEN_DIGIT = re.compile(
    rf"(?<![^\W\d_])(?:{_DIGIT})[\s,-]{{1,2}}|[ゼロ零〇一二三四五六七八九、]", re.IGNORECASE
)
_DIGITS_GO_ON = re.compile(
    rf"\s?(?:{_DIGIT})(?![^\W\d_])|[ゼ零〇一二三四五六七八九]", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class TextSegment:
    """Text to be spoken in one go, and the pause after it."""

    text: str
    pause_s: float


def weighted_length(text: str) -> int:
    """Return the length of `text` in Latin letters. CJK characters count three.

    Each of those is a syllable or a whole word and takes about as long to say as three Latin
    letters, so one limit serves every script. All other characters count one.
    """
    return len(text) + (_WIDE_WEIGHT - 1) * len(_WIDE.findall(text))


def split(
    text: str, language: str, *, max_chars: int, first_chars: int | None = 80
) -> Iterator[TextSegment]:
    """Yield `text` as segments of at most `max_chars`, by `weighted_length`.

    The first one is short for an early start, unless `first_chars` is None. Paragraphs end at blank
    lines. Whitespace becomes single spaces. Apart from whitespace nothing is lost, doubled or
    moved. Memory beyond `text` is bounded by a window of a thousand characters. The last piece has
    no pause after it. `language` is an ISO 639-1 code. Raises
    `ValueError` when `max_chars` cannot hold a character.
    """
    if max_chars < _WIDE_WEIGHT:
        raise ValueError(f"max_chars must be at least {_WIDE_WEIGHT}, got {max_chars!r}")
    waiting: TextSegment | None = None
    for start, end in _paragraphs(text):
        sentences = _sentences(text, start, end, language)
        pieces = (
            _joined(sentences, max_chars)
            if waiting or first_chars is None
            else _opened(sentences, max_chars, first_chars)
        )
        if waiting:
            waiting = replace(waiting, pause_s=PARAGRAPH_PAUSE_S)
        for piece in pieces:
            if waiting:
                yield waiting
            waiting = TextSegment(" ".join(piece.text.split()), piece.pause_s)
    if waiting:
        yield replace(waiting, pause_s=0.0)


def sentence_ends(text: str, language: str) -> list[int]:
    """Return where the sentences of a short `text` end, with the space that follows them."""
    ends = accumulate(map(len, _segment(_WHITESPACE.sub(" ", text), language)))
    return list(dict.fromkeys(ends))


def sentence_spans(text: str, language: str, *, max_chars: int) -> list[tuple[int, int]]:
    """Return the start and end of each sentence of a paragraph, without the space around it.

    Every character but space is in one span. A sentence wider than `max_chars` is cut, best at a
    clause. A short one is joined to a neighbour, since models say single words badly.
    """
    places = [at for at, character in enumerate(text) if not character.isspace()]
    spans: list[tuple[int, int]] = []
    done = 0
    sentences = _sentences(text, 0, len(text), language)
    for piece in chain.from_iterable(_fitted(each, max_chars) for each in sentences):
        first, done = done, done + len("".join(piece.text.split()))
        start, end = places[first], places[done - 1] + 1
        is_short = weighted_length(text[start:end]) < _SHORT
        if spans and (is_short or weighted_length(text[slice(*spans[-1])]) < _SHORT):
            before = spans[-1][0]
            if weighted_length(text[before:end]) <= max_chars:
                start = before
                spans.pop()
        spans.append((start, end))
    return spans


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for gap in _PARAGRAPH_BREAK.finditer(text):
        yield start, gap.start()
        start = gap.end()
    yield start, len(text)


def _sentences(text: str, start: int, end: int, language: str) -> Iterator[TextSegment]:
    """Yield the sentences of `text[start:end]` that are not blank.

    A sentence longer than the window comes in several parts.
    """
    window = ""
    while start < end:
        if window.endswith(" ") and (gap := _WHITESPACE.match(text, start, end)):
            start = gap.end()  # or a long gap would be read a few spaces at a time
        stop = min(end, start + _WINDOW_CHARS - len(window))
        window = _WHITESPACE.sub(" ", window + text[start:stop])
        start = stop
        sentences = _segment(window, language)
        window = "" if start == end else sentences.pop()
        yield from (
            TextSegment(sentence, SENTENCE_PAUSE_S)
            for sentence in sentences
            if not sentence.isspace()
        )
        if len(window) == _WINDOW_CHARS:
            piece, window = _cut(window, weighted_length(window) - 1)
            yield piece


def _segment(window: str, language: str) -> list[str]:
    """Return `window` as sentences with their trailing space.

    The list is never empty. Joined again it is `window`.
    """
    clean = window.encode(
        "utf-8", "replace"
    ).decode()  # a lone surrogate becomes one "?"; lengths stay
    sentences = [""]
    start = 0
    import sentencex  # type: ignore[import-untyped]  # a compiled module without stubs, for whoever cuts text alone

    for length in map(len, sentencex.segment(language, clean)):
        sentence = window[start : start + length]
        if _goes_on(sentences[-1], sentence, language):
            sentences[-1] += sentence
        else:
            sentences.append(sentence)
        start += length
    sentences[-1] += window[start:]
    return sentences


def _goes_on(last: str, sentence: str, language: str) -> bool:
    """True if `sentence` belongs to `last`, although sentencex cut there."""
    abbreviated = _ABBREVIATED.get(language)
    return (
        not last.strip()
        or bool(_LIST_NUMBER.fullmatch(last))
        or bool(abbreviated and abbreviated.fullmatch(last))
        or (
            last.endswith("」") and sentence.startswith(("と", "って", "、"))
        )  # Japanese: "…", he said
    )


def _opened(
    sentences: Iterator[TextSegment], max_chars: int, first_chars: int
) -> Iterator[TextSegment]:
    """Yield the segments of the first paragraph, the first one short for an early start."""
    first = next(sentences, None)
    if first is None:
        return
    second = next(sentences, None) if weighted_length(first.text) < _SHORT else None
    whole = TextSegment(first.text + second.text, second.pause_s) if second else first
    limit = min(first_chars, max_chars)
    at = _boundary(whole.text, _SHORT, limit)
    rest: list[TextSegment] = []
    if weighted_length(whole.text.strip()) <= limit:
        opening = whole
    elif at:
        opening, tail = at
        rest = [TextSegment(tail, whole.pause_s)]
    else:
        opening = first
        rest = [second] if second else []
    head, *tails = _shortened(opening, max_chars, limit)
    yield head
    yield from _joined(chain(tails, rest, sentences), max_chars)


def _shortened(piece: TextSegment, max_chars: int, limit: int) -> list[TextSegment]:
    """Cut a first piece in two where it takes long to say: at a break, else at `limit`."""
    text = piece.text.lstrip()
    longest = _sayable(text, min(max(_LONGEST_FIRST, limit), max_chars))
    if weighted_length(text.rstrip()) <= longest:
        return [piece]
    head, tail = _boundary(text, _SHORT, longest) or _cut(text, _sayable(text, limit))
    return [head, TextSegment(tail, piece.pause_s)]


def _sayable(text: str, limit: int) -> int:
    """Return the weighted length of the start of `text` that takes `limit` letters.

    Digits count as words.
    """
    said = 0
    for at, character in enumerate(text):
        said += _SPELLED_WEIGHT if _SPELLED.match(text, at) else weighted_length(character)
        if said > limit:
            return max(_WIDE_WEIGHT, weighted_length(text[:at]))
    return limit


def _joined(pieces: Iterator[TextSegment], max_chars: int) -> Iterator[TextSegment]:
    """Yield the same text in pieces of a comfortable length, none above `max_chars`."""
    current: TextSegment | None = None
    for piece in chain.from_iterable(_fitted(piece, max_chars) for piece in pieces):
        if current is None:
            current = piece
            continue
        both = TextSegment(current.text + piece.text, piece.pause_s)
        wide = weighted_length(both.text.strip())
        short = (
            min(weighted_length(current.text.strip()), weighted_length(piece.text.strip())) < _SHORT
        )
        if (wide <= _COMFORTABLE or short) and wide <= max_chars:
            current = both
        else:
            yield current
            current = piece
    if current:
        yield current


def _fitted(piece: TextSegment, max_chars: int) -> Iterator[TextSegment]:
    """Yield `piece`, cut into parts if it does not fit."""
    while weighted_length(piece.text.strip()) > max_chars:
        part, tail = _cut(piece.text.lstrip(), max_chars)
        yield part
        piece = TextSegment(tail, piece.pause_s)
    yield piece


def _cut(text: str, limit: int) -> tuple[TextSegment, str]:
    """Return the longest good start of `text` within `limit`, and the rest. Neither is blank.

    At best it ends with a sentence or clause, else with a word, else anywhere but inside a
    character that is written with several code points. `text` must be wider than `limit` and not
    begin with a space.
    """
    found = _boundary(text, limit // 3, limit)
    if found:
        return found
    fit = _fitting(text, limit)
    at = text.rfind(" ", 1, fit + 1)
    if at < 1:
        at = next((i for i in range(fit, 0, -1) if not _inside_character(text, i)), fit)
    return TextSegment(text[:at], WORD_PAUSE_S), text[at:]


def _boundary(text: str, low: int, limit: int) -> tuple[TextSegment, str] | None:
    """Return `text` cut after its last sentence, else clause, that ends in `low` to `limit`."""
    fit = _fitting(text, limit)
    for end, pause_s in ((_SENTENCE_END, SENTENCE_PAUSE_S), (_CLAUSE_END, CLAUSE_PAUSE_S)):
        ends = (
            match.end() for match in end.finditer(text, 0, fit + 1)
        )  # one more: space may have to follow
        at = max((at for at in ends if at <= fit), default=0)
        start = _number_start(text, at)
        if start < at and weighted_length(text[:start]) >= low // 2:
            return TextSegment(text[:start], WORD_PAUSE_S), text[start:]
        if at and weighted_length(text[:at]) >= low and text[at:].strip():
            return TextSegment(text[:at], pause_s), text[at:]
    return None


def _number_start(text: str, at: int) -> int:
    """Return the start of the number in groups that a cut at `at` would tear, else `at`."""
    if not _DIGITS_GO_ON.match(text, at):
        return at
    start = end = at
    for digit in _SPOKEN_DIGIT.finditer(text, max(0, at - _NUMBER_CHARS), at):
        start = start if digit.start() == end else digit.start()
        end = digit.end()
    return start if end == at else at


def _fitting(text: str, limit: int) -> int:
    """Return the number of leading characters that fit into `limit`, at least one."""
    wide = 0
    for at, character in enumerate(text):
        wide += _WIDE_WEIGHT if _WIDE.match(character) else 1
        if wide > limit:
            return max(1, at)
    return len(text)


def _inside_character(text: str, at: int) -> bool:
    """True if a cut before `text[at]` would tear what readers see as one character apart."""
    before, after = text[at - 1], text[at]
    return (
        unicodedata.category(after).startswith("M")  # combining marks, variation selectors
        or "\u200d" in (before, after)  # joined emoji
        or unicodedata.combining(before) == 9  # a virama binds the next consonant
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\u1160" <= after <= "\u11ff"  # vowel and final of a Hangul syllable
        or (_is_flag_letter(after) and _flag_letters_before(text, at) % 2 == 1)
    )


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_letters_before(text: str, at: int) -> int:
    return sum(1 for _ in takewhile(_is_flag_letter, reversed(text[:at])))
