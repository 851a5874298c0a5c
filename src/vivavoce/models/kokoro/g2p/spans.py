"""Find the place in a text of what a front end read.

A front end tells what it read in pieces, each with its phonemes. The pieces are nearly the words of
the text: the same in another spelling, or divided in another way ("A.M" for "A M"). They are
aligned by their letters.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

from vivavoce.text.words import word_spans

Span: TypeAlias = tuple[int, int]

MAX_CELLS: Final = 200_000  # of an alignment, some 0.1 s; stretches beyond are divided evenly


def place(read: Sequence[str], text: str, language: str) -> list[Span]:
    """Return for each piece in `read` the span of its word or words in `text`.

    Words are those of `word_spans`, and each has a piece. Spans never go backwards, and those of
    two pieces are the same or do not overlap. A piece without a letter has the word before it.
    """
    spans = list(word_spans(text, language)) or [(0, len(text))]
    words = [_letters(text[start:end]) for start, end in spans]
    keys = [_letters(piece) for piece in read]
    places = _places([key for key in keys if key], words)
    out: list[Span] = []
    for key in keys:
        if key:
            first, last = next(places)
            out.append((spans[first][0], spans[last][1]))
        else:
            out.append(out[-1] if out else spans[0])
    return out


def owners(phonemes: str, text: str, language: str, read: Callable[[str], str]) -> list[Span]:
    """Return for each symbol of `phonemes`, a reading of `text`, the span of its word.

    Each word is read by itself too, with `read`, and the two readings are aligned. A word that
    cannot be read alone owns nothing. Spans never go backwards.
    """
    spans = list(word_spans(text, language)) or [(0, len(text))]
    alone = [_alone(text[start:end], read) for start, end in spans]
    sounds = _letters(phonemes)
    position = _positions(sounds, "".join(alone))
    ends = list(accumulate(map(len, alone)))
    middles = [(one + two) / 2 for one, two in pairwise(position)]
    words = iter([min(bisect_right(ends, middle), len(spans) - 1) for middle in middles])
    out: list[Span] = []
    for symbol in phonemes:
        if symbol.casefold().isalnum():
            out.append(spans[next(words)])
        else:
            out.append(out[-1] if out else spans[0])
    return out


def _alone(word: str, read: Callable[[str], str]) -> str:
    try:
        return _letters(read(word))
    except MemoryError:
        raise
    except Exception:  # front ends document none, and the text as a whole was read
        return ""


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _places(read: Sequence[str], words: Sequence[str]) -> Iterator[Span]:
    """Yield for each of `read` the index of its first and of its last word.

    Each word goes to the piece at its middle. A piece that gets none shares those of the piece that
    has the word at its own middle.
    """
    position = _positions("".join(read), "".join(words))
    word_ends = list(accumulate(map(len, words)))
    read_ends = [position[end] for end in accumulate(map(len, read))]
    last = len(read_ends) - 1
    owners = [min(bisect_right(read_ends, middle), last) for middle in _middles(word_ends)]
    for piece, middle in enumerate(_middles(read_ends)):
        owner = piece
        if piece not in owners:
            owner = owners[min(bisect_right(word_ends, middle), len(words) - 1)]
        yield bisect_left(owners, owner), bisect_right(owners, owner) - 1


def _middles(ends: Sequence[float]) -> Iterator[float]:
    return ((start + end) / 2 for start, end in pairwise([0.0, *ends]))


def _positions(read: str, written: str) -> Sequence[float]:
    """Return for each boundary of a letter in `read` its place in `written`."""
    if read == written:
        return range(len(read) + 1)
    head = _agree(read, written)
    tail = _agree(read[head:][::-1], written[head:][::-1])
    i_end, j_end = len(read) - tail, len(written) - tail
    inner = _matches(read[head:i_end], written[head:j_end])
    positions: list[float] = list(range(head))
    i = j = head
    for until, at in [*((head + i, head + j) for i, j in inner), (i_end, j_end)]:
        positions += [j + (at - j) * k / (until - i) for k in range(until - i)]
        if until < i_end:
            positions.append(at)
        i, j = until + 1, at + 1
    return [*positions, *range(j_end, len(written) + 1)]


def _agree(one: str, two: str) -> int:
    """Return how many letters both begin with."""
    pairs = enumerate(zip(one, two, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(two)))


def _matches(read: str, written: str) -> list[tuple[int, int]]:
    """Return the indices of equal letters in the alignment that changes the fewest."""
    if len(read) * len(written) > MAX_CELLS:
        return []
    cost = [list(range(len(written) + 1))]
    for i, letter in enumerate(read):
        above, row = cost[-1], [i + 1]
        for j, other in enumerate(written):
            row.append(min(above[j] + (letter != other), above[j + 1] + 1, row[j] + 1))
        cost.append(row)
    found = []
    i, j = len(read), len(written)
    while i and j:
        same = read[i - 1] == written[j - 1]
        if cost[i][j] == cost[i - 1][j - 1] + (not same):
            i, j = i - 1, j - 1
            if same:
                found.append((i, j))
        elif cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return found[::-1]
