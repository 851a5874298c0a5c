"""Make subtitles, SRT or WebVTT, from an author's text and the times of its words.

- A cue has one or two lines of at most 42 columns. A wide character takes two columns.
- Cues end with sentences, else with clauses, else between words.
- A cue stays long enough to be read, 17 columns a second, as far as the next one allows.
- The text is the author's, with its punctuation and without its markup.
"""

import html
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Literal

from vivavoce.types import TimedWord

SubtitleFormat = Literal["srt", "vtt"]
Ending = Literal["word", "clause", "sentence"]

LINES: Final = 2
LINE_COLUMNS: Final = 42
COLUMNS_PER_S: Final = 17.0
MIN_CUE_S: Final = 1.0
TICK_S: Final = 0.001  # no cue ends when it begins
LONG_PAUSE_S: Final = 1.0  # no cue spans a longer one

# Costs of a division into cues: the cheapest is chosen.
_CUE: Final = 1.0
_CUTS: Final[Mapping[Ending, float]] = {"word": 3.0, "clause": 1.0, "sentence": 0.0}
_SENTENCE_INSIDE: Final = 1.2  # two sentences in one cue
_HURRY: Final = 0.2  # for each column a second above the limit
_FLASH: Final = 2.0  # for a cue that is shown for no time at all
CLAUSE_COLUMNS: Final = 16  # lines may differ by this much more if the first ends with a clause

_MARKUP = re.compile(r"<[^<>]*+>|\[[^\[\]]*+\]|\]?\(\S{0,9}?://[^\s()]*+\)|[*_`#~|\\]")
_EMPHASIS = re.compile(r"\*++|`++|~~|<[^<>]*+>")  # inside a word
# Punctuation that belongs to the word before it or behind it. In French a space is between.
_AFTER = re.compile(
    r"(?:[.,;:!?…%\"'”’»)}。、！？，；：」』）》・—]|[^\S\n][;:!?»%€])*+"
    r"(?:[ \t]{1,4}+[—–&+=/×-]++(?!\S))?"
)
_BEFORE = re.compile(r"(?:[\"'“‘(¿¡「『（《$€£#@+−-]|«[^\S\n]?){0,20}+\Z")
_TAG = re.compile(r"<[^<>]*+>")
_NEW_BLOCK = re.compile(r"\n[^\S\n]*+[\n*+#>•–-]")  # a paragraph or an item of a list
_BREAKS = re.compile(r"[\s—…/]")  # between two words: a line may end there
_SENTENCE_END = re.compile(r"[.!?…。！？]")
_CLAUSE_END = re.compile(r"[,;:—–、，；：]")


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines of text, and when they are shown."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Token:
    """Text that stays on one line: a word with its punctuation, and a space before it or none."""

    text: str
    columns: int
    spaced: bool
    start_s: float
    end_s: float
    ends: Ending


def subtitles(words: Sequence[TimedWord], texts: Sequence[str], form: SubtitleFormat) -> str:
    """Return the subtitles of `words`, which are those of `texts`: one text, or a dialogue's."""
    shown = cues(words, texts)
    return vtt(shown) if form == "vtt" else srt(shown)


def srt(cues: Sequence[Cue]) -> str:
    """Return `cues` in the SubRip format."""
    return "".join(
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n"
        + "\n".join(cue.lines)
        + "\n\n"
        for number, cue in enumerate(cues, 1)
    )


def vtt(cues: Sequence[Cue]) -> str:
    """Return `cues` in the WebVTT format (https://www.w3.org/TR/webvtt1/)."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n"
        + "\n".join(html.escape(line, quote=False) for line in cue.lines)
        + "\n\n"
        for cue in cues
    )


def cues(words: Sequence[TimedWord], texts: Sequence[str]) -> list[Cue]:
    """Return the cues of `words` in order. They do not overlap."""
    found: list[Cue] = []
    for passage in _passages(words, texts):
        for tokens in _divided(passage):
            lines = tuple(map(_text, _lines(tokens)))
            found.append(Cue(tokens[0].start_s, tokens[-1].end_s, lines))
    next_starts = [*(cue.start_s for cue in found[1:]), math.inf]
    return [
        Cue(cue.start_s, max(min(_end_s(cue), next_s), cue.start_s + TICK_S), cue.lines)
        for cue, next_s in zip(found, next_starts, strict=False)
    ]


def _end_s(cue: Cue) -> float:
    """Return when `cue` has been heard and can have been read."""
    reading_s = max(MIN_CUE_S, sum(map(_columns, cue.lines)) / COLUMNS_PER_S)
    return max(cue.end_s, cue.start_s + reading_s)


def _passages(words: Sequence[TimedWord], texts: Sequence[str]) -> Iterator[list[_Token]]:
    """Yield the tokens between long pauses, for each text on its own."""
    own: list[list[TimedWord]] = [[] for _ in texts]
    for word in words:
        own[word.input].append(word)
    for spoken, text in zip(own, texts, strict=True):
        tokens = list(_tokens(spoken, text))
        start = 0
        for at, (one, two) in enumerate(pairwise(tokens), 1):
            if two.start_s - one.end_s > LONG_PAUSE_S:
                yield tokens[start:at]
                start = at
        if tokens:
            yield tokens[start:]


def _tokens(words: Sequence[TimedWord], text: str) -> Iterator[_Token]:
    """Yield the words with the punctuation around them. Other text between them is dropped."""
    clean = _unescaped if text.lstrip().startswith("<speak") else _unchanged
    spoken = list(_joined(words, text))
    edges = [0, *(at for word in spoken for at in (word.start, word.end)), len(text)]
    gaps = [clean(text[start:end]) for start, end in zip(edges[::2], edges[1::2], strict=True)]
    for word, before, after in zip(spoken, gaps, gaps[1:], strict=False):
        opening = _BEFORE.search(_MARKUP.sub("", before))
        closing = _AFTER.match(_MARKUP.sub("", after))
        said = _EMPHASIS.sub("", clean(text[word.start : word.end]))
        shown = " ".join(
            f"{opening[0] if opening else ''}{said}{closing[0] if closing else ''}".split()
        )
        ends = "sentence" if _NEW_BLOCK.search(after) else _ends(closing[0] if closing else "")
        yield from _fitted(shown, word, ends, spaced=any(map(str.isspace, before)))


def _unescaped(ssml: str) -> str:
    return html.unescape(_TAG.sub("", ssml))


def _unchanged(text: str) -> str:
    return text


def _joined(words: Sequence[TimedWord], text: str) -> Iterator[TimedWord]:
    """Yield `words`, those as one whose spans overlap or have nothing between them to break at."""
    current: TimedWord | None = None
    for word in words:
        if current is not None and _is_one(current, word, text):
            end = max(current.end, word.end)
            current = replace(current, end=end, end_s=max(current.end_s, word.end_s))
            continue
        if current is not None:
            yield current
        current = word
    if current is not None:
        yield current


def _is_one(one: TimedWord, two: TimedWord, text: str) -> bool:
    if two.start < one.end:
        return True
    sides = text[max(one.end - 1, 0) : one.end] + text[two.start : two.start + 1]
    return not _BREAKS.search(text, one.end, two.start) and not any(map(_is_wide, sides))


def _fitted(shown: str, word: TimedWord, ends: Ending, *, spaced: bool) -> Iterator[_Token]:
    """Yield `shown` as a token, or as several that fill a line each."""
    pieces = list(_wrapped(shown))
    step_s = (word.end_s - word.start_s) / max(len(pieces), 1)
    for number, piece in enumerate(pieces):
        is_last = number == len(pieces) - 1
        start_s = word.start_s + number * step_s
        end_s = word.end_s if is_last else start_s + step_s
        own = ends if is_last else "word"
        yield _Token(piece, _columns(piece), spaced and not number, start_s, end_s, own)


def _ends(closing: str) -> Ending:
    if _SENTENCE_END.search(closing):
        return "sentence"
    return "clause" if _CLAUSE_END.search(closing) else "word"


def _wrapped(text: str) -> Iterator[str]:
    """Yield `text` in pieces that fit into a line."""
    start, columns = 0, 0
    for at, character in enumerate(text):
        width = _columns(character)
        if columns + width > LINE_COLUMNS:
            yield text[start:at]
            start, columns = at, 0
        columns += width
    if text[start:]:
        yield text[start:]


def _divided(tokens: Sequence[_Token]) -> Iterator[Sequence[_Token]]:
    """Yield the cheapest division of `tokens` into cues, by dynamic programming."""
    costs = [0.0, *([math.inf] * len(tokens))]
    starts = [0] * (len(tokens) + 1)  # of the last cue, by its end
    for start in range(len(tokens)):
        for end, cost in _cues_from(tokens, start):
            if costs[start] + cost < costs[end]:
                costs[end], starts[end] = costs[start] + cost, start
    cuts = [len(tokens)]
    while cuts[-1]:
        cuts.append(starts[cuts[-1]])
    for end, start in reversed(list(pairwise(cuts))):
        yield tokens[start:end]


def _cues_from(tokens: Sequence[_Token], start: int) -> Iterator[tuple[int, float]]:
    """Yield the end and the cost of each cue that begins with token `start`."""
    lines, columns, total, inside = 1, 0, 0, 0
    for at in range(start, len(tokens)):
        token = tokens[at]
        width = token.columns + (token.spaced and columns > 0)
        if columns + width > LINE_COLUMNS:
            lines, columns, width = lines + 1, 0, token.columns
        if lines > LINES or inside > 2:
            return
        columns += width
        total += width
        is_last = at == len(tokens) - 1
        shown_s = math.inf if is_last else tokens[at + 1].start_s - tokens[start].start_s
        cost = _CUE + inside * _SENTENCE_INSIDE + (0.0 if is_last else _CUTS[token.ends])
        cost += _FLASH * max(0.0, 1 - shown_s / MIN_CUE_S)
        cost += _HURRY * max(0.0, total / max(shown_s, 0.01) - COLUMNS_PER_S)
        yield at + 1, cost
        inside += token.ends == "sentence"


def _lines(tokens: Sequence[_Token]) -> Iterator[Sequence[_Token]]:
    """Yield the tokens of each line, the lines of similar length."""
    if _width(tokens) <= LINE_COLUMNS:
        yield tokens
        return
    at = min(range(1, len(tokens)), key=lambda at: _unevenness(tokens[:at], tokens[at:]))
    yield tokens[:at]
    yield tokens[at:]


def _unevenness(one: Sequence[_Token], two: Sequence[_Token]) -> tuple[bool, float]:
    widths = _width(one), _width(two)
    good = 0 if one[-1].ends == "word" else CLAUSE_COLUMNS
    return max(widths) > LINE_COLUMNS, abs(widths[0] - widths[1]) - good


def _width(tokens: Sequence[_Token]) -> int:
    return sum(token.columns + token.spaced for token in tokens) - tokens[0].spaced


def _text(tokens: Sequence[_Token]) -> str:
    return "".join(" " * token.spaced + token.text for token in tokens).strip()


def _columns(text: str) -> int:
    return len(text) + sum(map(_is_wide, text))


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _clock(seconds: float, point: str) -> str:
    """Return hours, minutes, seconds and milliseconds."""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
