"""Rewrite text and keep the place of every character in the author's text.

Readers replace `$5` by `five dollars`. Word times, subtitles and explanations need the way back:
which characters of the author a spoken word came from. `Tracked` is a string whose characters carry
that span, and `sub` is `re.sub` that maintains it.

Knows no language and no markup. Time and memory are linear in the text.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat

# A piece of a replacement: text, or text with the group of the match whose span it takes.
Piece = str | tuple[str, int | str]
Replacement = str | Callable[[re.Match[str]], str | Sequence[Piece]]


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word and the span of the author's text that it stands for, in code points."""

    spoken: str
    start: int
    end: int


@dataclass(slots=True)  # not frozen, which would take twice as long to make; nobody changes one
class Tracked:
    """A string, and for each character the span (`starts[i]`, `ends[i]`) of its origin.

    The spans never go backwards.
    """

    text: str
    starts: Sequence[int]  # a range where nothing was rewritten, else an array
    ends: Sequence[int]

    @classmethod
    def of(cls, text: str, start: int = 0) -> "Tracked":
        """Return the author's own `text`, which begins at offset `start`."""
        end = start + len(text)
        return cls(text, range(start, end), range(start + 1, end + 1))

    @classmethod
    def spanning(cls, text: str, start: int, end: int) -> "Tracked":
        """Return `text` that stands for the author's characters from `start` to `end`."""
        return cls(text, array("i", [start]) * len(text), array("i", [end]) * len(text))

    @classmethod
    def join(cls, parts: Iterable["Tracked"]) -> "Tracked":
        parts = [part for part in parts if part.text]
        if len(parts) == 1:
            return parts[0]
        if _follow_each_other(parts):
            return cls.of("".join(part.text for part in parts), parts[0].starts[0])
        texts: list[str] = []
        starts, ends = array("i"), array("i")
        for part in parts:
            texts.append(part.text)
            starts.extend(part.starts)
            ends.extend(part.ends)
        return cls("".join(texts), starts, ends)

    @classmethod
    def joined(cls, separator: str, parts: Sequence["Tracked"]) -> "Tracked":
        """Return the parts with `separator` between them, as `str.join`."""
        if len(parts) == 1:
            return parts[0]
        starts, ends = array("i"), array("i")
        for number, part in enumerate(parts):
            if number:
                at = part.starts[0] if part.text else ends[-1] if ends else 0
                starts.extend([at] * len(separator))
                ends.extend([at] * len(separator))
            starts.extend(part.starts)
            ends.extend(part.ends)
        return cls(separator.join(part.text for part in parts), starts, ends)

    def __len__(self) -> int:
        return len(self.text)

    def __str__(self) -> str:
        return self.text

    def __getitem__(self, part: slice) -> "Tracked":
        text = self.text[part]
        if len(text) == len(self.text):
            return self  # it never changes
        return Tracked(text, self.starts[part], self.ends[part])

    def __add__(self, other: "Tracked") -> "Tracked":
        return Tracked.join((self, other))

    def strip(self) -> "Tracked":
        if len(self.text.strip()) == len(self.text):
            return self
        left = len(self.text) - len(self.text.lstrip())
        return self[left : max(left, len(self.text.rstrip()))]

    def split(self, separator: str) -> list["Tracked"]:
        """Return the parts between the separators, as `str.split`."""
        parts = []
        at = 0
        for text in self.text.split(separator):
            parts.append(self[at : at + len(text)])
            at += len(text) + len(separator)
        return parts

    def before(self, text: str) -> "Tracked":
        """Return `text` with the empty span at the start of this one."""
        at = self.span(0, 0)[0]
        return Tracked.spanning(text, at, at)

    def after(self, text: str) -> "Tracked":
        """Return this text with `text` behind it, which has the empty span at its end."""
        at = self.ends[-1] if self.ends else 0
        return self + Tracked.spanning(text, at, at)

    def span(self, start: int = 0, end: int | None = None) -> tuple[int, int]:
        """Return the author's span of the characters `start` to `end`.

        An empty range has an empty span, at the place where it stands. Inside a replacement it
        has that of the replacement.
        """
        end = len(self.text) if end is None else end
        if start < end:
            return self.starts[start], self.ends[end - 1]
        if 0 < start < len(self.text) and self.ends[start - 1] > self.starts[start]:
            return self.starts[start], self.ends[start - 1]
        at = self.ends[start - 1] if start else (self.starts[0] if self.starts else 0)
        return at, at

    def sub(self, pattern: re.Pattern[str], replacement: Replacement) -> "Tracked":
        """Return the text with every match replaced, as `pattern.sub` does.

        A function may return pieces, each with the number or name of the group whose span it
        takes: `[("five", 1), " ", ("minutes", 2)]`. Any other replacement stands for the whole
        match, but for characters that it has in common with the start and end of the match.
        """
        text = self.text
        if pattern.search(text) is None:
            return self
        function = _function(replacement)
        texts: list[str] = []
        starts, ends = array("i"), array("i")
        done = 0
        for match in pattern.finditer(text):
            start, end = match.span()
            new = function(match)
            if new == text[start:end]:
                continue
            texts.append(text[done:start])
            starts.extend(self.starts[done:start])
            ends.extend(self.ends[done:start])
            done = end
            if not new:
                continue
            part = (
                self._replaced(start, end, new)
                if isinstance(new, str)
                else self._pieces(match, new)
            )
            texts.append(part.text)
            starts.extend(part.starts)
            ends.extend(part.ends)
        if not texts:
            return self
        texts.append(text[done:])
        starts.extend(self.starts[done:])
        ends.extend(self.ends[done:])
        return Tracked("".join(texts), starts, ends)

    def replace(self, old: str, new: str) -> "Tracked":
        return self.sub(re.compile(re.escape(old)), lambda _: new) if old in self.text else self

    def map(self, character: Callable[[str], str]) -> "Tracked":
        """Return the text with each character replaced by `character(it)`, of any length."""
        new = [character(each) for each in self.text]
        if all(len(each) == 1 for each in new):
            return Tracked("".join(new), self.starts, self.ends)
        starts, ends = array("i"), array("i")
        for each, start, end in zip(new, self.starts, self.ends, strict=True):
            starts.extend(repeat(start, len(each)))
            ends.extend(repeat(end, len(each)))
        return Tracked("".join(new), starts, ends)

    def _pieces(self, match: re.Match[str], pieces: Sequence[Piece]) -> "Tracked":
        """Return the pieces. Text without a group lies between its neighbours.

        Pieces in another order than their groups stand for all that lies between.
        """
        first, last = self.span(*match.span())
        groups = [piece[1] for piece in pieces if not isinstance(piece, str)]
        spans = [self.span(*match.span(group)) for group in groups]
        if any(one[1] > two[0] for one, two in pairwise(spans)) or not spans:
            texts = (piece if isinstance(piece, str) else piece[0] for piece in pieces)
            return Tracked.spanning("".join(texts), first, last)
        parts, at = [], first
        for piece in pieces:
            if isinstance(piece, str):
                parts.append(Tracked.spanning(piece, at, spans[0][0] if spans else last))
                continue
            text, group = piece
            start, at = spans.pop(0)
            kept = text == match[group]
            parts.append(
                self[slice(*match.span(group))] if kept else Tracked.spanning(text, start, at)
            )
        return Tracked.join(parts)

    def _replaced(self, start: int, end: int, new: str) -> "Tracked":
        """Return `new` in place of the characters `start` to `end`, which it differs from."""
        old = self.text[start:end]
        if (at := old.find(new)) >= 0:
            return self[start + at : start + at + len(new)]
        most = min(len(old), len(new))
        head = next((i for i in range(most) if old[i] != new[i]), most)
        most -= head
        tail = next((i for i in range(most) if old[-1 - i] != new[-1 - i]), most)
        span = self.span(start + head, end - tail)
        if not head and not tail:
            return Tracked.spanning(new, *span)
        middle = Tracked.spanning(new[head : len(new) - tail], *span)
        return Tracked.join((self[start : start + head], middle, self[end - tail : end]))


def _follow_each_other(parts: Sequence[Tracked]) -> bool:
    """True if together the parts are the author's own text, unchanged."""
    return (
        bool(parts)
        and all(isinstance(part.starts, range) for part in parts)
        and all(one.ends[-1] == two.starts[0] for one, two in pairwise(parts))
    )


def _function(replacement: Replacement) -> Callable[[re.Match[str]], str | Sequence[Piece]]:
    if not isinstance(replacement, str):
        return replacement
    if "\\" in replacement:
        return lambda match: match.expand(replacement)
    return lambda _: replacement
