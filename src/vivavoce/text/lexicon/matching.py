"""Find the words of a lexicon in runs of text, and put their pronunciations in their place.

- Only whole words match. In scripts without spaces any place is a word's beginning.
- The longest match counts, then the higher scope: request, voice, server.
- A replacement is not searched again.

Time is linear in the text: each place costs at most the length of the longest word.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from vivavoce.text.document import Run
from vivavoce.text.tracked import Tracked
from vivavoce.types import Pronunciation

# A character of a folded word → the nodes behind it. The rules of a word that ends are at `_ENDS`.
_Node: TypeAlias = "dict[str, _Node | list[Pronunciation]]"
_ENDS: Final = ""
_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff]"
)
_POSSESSIVE = re.compile(r"['’]s(?!\w)", re.IGNORECASE)


class Lexicon:
    """Rules that are ready to be found in texts."""

    def __init__(self, rules: Iterable[Pronunciation]) -> None:
        self.rules = tuple(rules)
        self._root: _Node = {}
        for rule in self.rules:
            node = self._root
            for character in _folded(rule.word):
                following = node.setdefault(character, {})
                assert isinstance(following, dict)
                node = following
            ends = node.setdefault(_ENDS, [])
            assert isinstance(ends, list)
            ends.append(rule)
        first = {form for c in self._root for form in (c, c.upper()) if len(form) == 1}
        self._first = re.compile(f"[{re.escape(''.join(sorted(first)))}]" if first else r"(?!)")

    def starts(self, text: str) -> Iterator[int]:
        """Yield the places of `text` where a rule may begin."""
        return (match.start() for match in self._first.finditer(text))

    def occurring(self, text: str) -> list[Pronunciation]:
        """Return the rules whose words are in `text`, of any language and voice."""
        found: dict[Pronunciation, None] = {}

        def note(rule: Pronunciation) -> bool:
            found[rule] = None
            return True

        folded = _folded(text)
        for start in self.starts(text):
            if _begins_word(text, start):
                self.longest(text, folded, start, note)
        return list(found)

    def longest(
        self, text: str, folded: str, start: int, applies: Callable[[Pronunciation], bool]
    ) -> tuple[int, Pronunciation] | None:
        """Return the end of the longest word at `start`, and its rule, or None."""
        node, end, found = self._root, start, None
        while end < len(text) and (following := node.get(folded[end])) is not None:
            assert isinstance(following, dict)
            node, end = following, end + 1
            rules = node.get(_ENDS)
            if isinstance(rules, list) and _ends_word(text, end):
                written = text[start:end].replace("’", "'")
                fitting = [r for r in rules if applies(r) and (not r.case or r.word == written)]
                if fitting:
                    found = end, max(fitting, key=_rank)
        return found


@dataclass(frozen=True, slots=True)
class _Match:
    start: int
    end: int
    rule: Pronunciation


def apply(
    runs: Iterable[Run],
    lexicons: Sequence[Lexicon],
    language_of: Callable[[Run], str],
    *,
    voices: Collection[str] = (),
    takes_phonemes: bool = True,
) -> Iterator[Run]:
    """Yield `runs` with the words of `lexicons` replaced. Later lexicons count more.

    An alias is text of its run, to be read like the rest. Sounds make a run of their own, if the
    model takes them. `voices` are the names of the voice that speaks, in lower case.
    """
    lexicons = [lexicon for lexicon in lexicons if lexicon.rules]
    for run in runs:
        said_already = run.is_spoken or run.phonemes is not None or run.read_as is not None
        if said_already or not lexicons:
            yield run
        else:
            language = language_of(run)

            def applies(rule: Pronunciation, language: str = language) -> bool:
                if not takes_phonemes and rule.alias is None:
                    return False
                of_voice = rule.voice is None or rule.voice.lower() in voices
                return of_voice and rule.language in (None, language)

            matches = list(_matches(run.text.text, lexicons, applies))
            yield from _replaced(run, matches, takes_phonemes=takes_phonemes)


def _matches(
    text: str, lexicons: Sequence[Lexicon], applies: Callable[[Pronunciation], bool]
) -> Iterator[_Match]:
    """Yield what is to be replaced, in order, without overlaps."""
    folded = _folded(text)
    done = 0
    for start in sorted({start for lexicon in lexicons for start in lexicon.starts(text)}):
        if start < done or not _begins_word(text, start):
            continue
        found = [lexicon.longest(text, folded, start, applies) for lexicon in lexicons]
        # Of equally long words the last counts, which is of the highest scope.
        best = max((f for f in reversed(found) if f), key=lambda each: each[0], default=None)
        if best is not None:
            done, rule = best
            yield _Match(start, done, rule)


def _replaced(run: Run, matches: Sequence[_Match], *, takes_phonemes: bool) -> Iterator[Run]:
    if not matches:
        yield run
        return
    inner = replace(run, pause_s=None, mark=None)
    parts: list[Tracked] = []
    done = 0
    for match in matches:
        parts.append(run.text[done : match.start])
        done = match.end
        if match.rule.ipa is None or not takes_phonemes:
            place = run.text.span(match.start, match.end)
            parts.append(Tracked.spanning(match.rule.alias or "", *place))
            continue
        if any(part.text for part in parts):
            yield replace(inner, text=Tracked.join(parts))
        parts = []
        word = run.text[match.start : match.end]
        yield replace(inner, text=word, phonemes=match.rule.ipa)
    yield replace(run, text=Tracked.join([*parts, run.text[done:]]))


def _rank(rule: Pronunciation) -> tuple[bool, bool, bool]:
    return rule.voice is not None, rule.language is not None, rule.case


def _folded(text: str) -> str:
    """Return `text` in lower case, of the same length."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return lower.replace("’", "'")


def _begins_word(text: str, at: int) -> bool:
    return at == 0 or not _is_joined(text[at - 1], text[at])


def _ends_word(text: str, at: int) -> bool:
    """True if a word may end at `at`: "can't" does not hold "can", but "Kim's" holds "Kim"."""
    if at == len(text):
        return True
    if text[at] in "'’" and text[at + 1 : at + 2].isalpha():
        return _POSSESSIVE.match(text, at) is not None
    return not _is_joined(text[at - 1], text[at])


def _is_joined(before: str, after: str) -> bool:
    """True if two characters belong to one word."""
    if _SPACELESS.match(before) or _SPACELESS.match(after):
        return unicodedata.category(after) == "Mn"
    return _in_word(before) and _in_word(after)


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"
