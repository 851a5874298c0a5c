"""Apply letter-to-sound rules in order of priority, and write the stress.

- A rule table is text with one rule a line: a regular expression over the spelling, then its
  phonemes (`-` for silence).
- At each letter the first rule that matches wins.
- `^`, `$`, look-behind and look-ahead see the whole word.
- The rules of a language are in that language's module.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vivavoce.models.kokoro.g2p.alphabet import plain_marks, tidy

VOWELS = frozenset("aeiouyøœɐɑɔəɛɨɪʊæAIOQWYʌ")

_WORD_OR_MARK = re.compile(r"[^\W\d_]+(?:['’\u0300-\u036f-][^\W\d_]+)*['’]?|[^\w\s]|\s+|\w")
_DASHES = str.maketrans({"’": "'", "‑": "-"})
# The vocabulary has the tilde only as a combining character.
_NASALS = str.maketrans({c: unicodedata.normalize("NFD", c) for c in "ãẽĩõũ"})
# Letters without a base letter in Unicode's decomposition.
_LIGATURES = str.maketrans(
    {"ß": "ss", "æ": "ae", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ŋ": "ng"}
)


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """A group of letters at `start` in a word, with its phonemes ("" if silent)."""

    letters: str
    phonemes: str
    start: int

    @property
    def vowel(self) -> bool:
        return any(c in VOWELS for c in self.phonemes)


@dataclass(frozen=True, slots=True)
class RuleTable:
    """A compiled table of rules for lower-case words."""

    pattern: re.Pattern[str]
    phonemes: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "RuleTable":
        """Compile the table in `text`, without empty lines and those that begin with `#`."""
        rows = [
            line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")
        ]
        pattern = re.compile("|".join(f"({letters})" for letters, _ in rows))
        return cls(pattern, tuple("" if p == "-" else p.translate(_NASALS) for _, p in rows))

    def sounds(self, word: str) -> list[LetterGroup]:
        """Return `word` as letter groups with their phonemes.

        A letter without a rule stands for itself, so that the final check can name it.
        """
        found: list[LetterGroup] = []
        at = 0
        while at < len(word):
            match = self.pattern.match(word, at)
            if match and match.lastindex and match.end() > at:
                found.append(LetterGroup(match.group(), self.phonemes[match.lastindex - 1], at))
                at = match.end()
            else:
                found.append(LetterGroup(word[at], word[at], at))
                at += 1
        return found


def word_set(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())


def word_pairs(text: str) -> dict[str, str]:
    """Return the `word=phonemes` entries of `text`."""
    return dict(entry.split("=") for entry in text.split())


def stressed(sounds: Sequence[LetterGroup], index: int | None, *, secondary: bool = True) -> str:
    """Join the phonemes of `sounds`, with ˈ before the vowel of `sounds[index]` (None: no ˈ).

    With `secondary`, ˌ marks the first vowel if two or more syllables precede the stressed one.
    """
    marks: dict[int, str] = {}
    if index is not None:
        before = [i for i, sound in enumerate(sounds[:index]) if sound.vowel]
        if secondary and len(before) >= 2:
            marks[before[0]] = "ˌ"
        marks[index] = "ˈ"
    return "".join(_mark_vowel(sound.phonemes, marks.get(i, "")) for i, sound in enumerate(sounds))


def _mark_vowel(phonemes: str, mark: str) -> str:
    at = next((i for i, c in enumerate(phonemes) if c in VOWELS), 0)
    return phonemes[:at] + mark + phonemes[at:]


def fold(word: str, keep: str) -> str:
    """Return `word` in lower case, with only a-z and the letters of `keep`.

    Foreign accents are dropped. Their letters stay.
    """
    word = unicodedata.normalize("NFC", word.translate(_DASHES)).lower().translate(_LIGATURES)
    return "".join(c if c in keep else _base_letter(c) for c in word)


def _base_letter(char: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", char) if not unicodedata.combining(c))


def read_phrases(text: str, read: Callable[[Sequence[str]], str]) -> str:
    """Return the phonemes of `text`, reading the words between two marks with `read`.

    The marks keep their places.
    """
    out: list[str] = []
    words: list[str] = []
    for token in _WORD_OR_MARK.findall(plain_marks(text)):
        if token[0].isalnum():
            words.append(token)
        elif not token.isspace():
            spaces = " " * (token in "(“—"), " " * (token not in "(“")
            out += [read(words) if words else "", spaces[0], token, spaces[1]]
            words = []
    out.append(read(words) if words else "")
    return tidy("".join(out))
