"""Letter-to-sound rules in order of priority, and where the stress falls. Knows no language by
itself.

A rule table is text, one rule a line: a regular expression over the spelling, then the phonemes it
gives (`-` for silence). At each letter the first rule that matches wins; `^`, `$`, look-behind and
look-ahead see the whole word.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vivavoce.models.kokoro.g2p.alphabet import plain_marks, tidy

VOWELS = frozenset("aeiouyøœɐɑɔəɛɨɪʊæAIOQWYʌ")

_WORD_OR_MARK = re.compile(r"[^\W\d_]+(?:['’\u0300-\u036f-][^\W\d_]+)*['’]?|[^\w\s]|\s+|\w")
_DASHES = str.maketrans({"’": "'", "‑": "-"})
_NASALS = str.maketrans(
    {c: unicodedata.normalize("NFD", c) for c in "ãẽĩõũ"}
)  # the vocabulary has the tilde alone
_LIGATURES = str.maketrans(
    {"ß": "ss", "æ": "ae", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ŋ": "ng"}
)  # letters that have no base letter in Unicode's decomposition


@dataclass(frozen=True, slots=True)
class Sound:
    """What one group of letters gives: `letters` of the word at `start`, read as `phonemes` ("" if silent)."""

    letters: str
    phonemes: str
    start: int

    @property
    def vowel(self) -> bool:
        return any(c in VOWELS for c in self.phonemes)


@dataclass(frozen=True, slots=True)
class RuleTable:
    """A compiled table; `sounds` applies it to one lower-case word."""

    pattern: re.Pattern[str]
    phonemes: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "RuleTable":
        """Return the table written in `text`; empty lines and lines that begin with `#` are skipped."""
        rows = [
            line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")
        ]
        pattern = "|".join(f"({letters})" for letters, _ in rows)
        return cls(
            re.compile(pattern), tuple("" if p == "-" else p.translate(_NASALS) for _, p in rows)
        )

    def sounds(self, word: str) -> list[Sound]:
        """Return the sounds of `word`; a letter without a rule stands for itself, so that the final check can name it."""
        found: list[Sound] = []
        at = 0
        while at < len(word):
            match = self.pattern.match(word, at)
            if match and match.lastindex and match.end() > at:
                found.append(Sound(match.group(), self.phonemes[match.lastindex - 1], at))
                at = match.end()
            else:
                found.append(Sound(word[at], word[at], at))
                at += 1
        return found


def word_set(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())


def word_pairs(text: str) -> dict[str, str]:
    """Return the `word=phonemes` entries of `text`."""
    return dict(entry.split("=") for entry in text.split())


def stressed(sounds: Sequence[Sound], index: int | None, *, secondary: bool = True) -> str:
    """Return the sounds as one string with ˈ before the vowel of `sounds[index]` (`None`: no
    stress).

    With `secondary`, ˌ marks the first vowel when two or more syllables come before the stressed
    one.
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
    """Return `word` in lower case with only a-z and the letters of `keep`; foreign accents are dropped, not the letter."""
    word = unicodedata.normalize("NFC", word.translate(_DASHES)).lower().translate(_LIGATURES)
    return "".join(c if c in keep else _base_letter(c) for c in word)


def _base_letter(char: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", char) if not unicodedata.combining(c))


def read_phrases(text: str, read: Callable[[Sequence[str]], str]) -> str:
    """Phonemes of `text`: `read` gets the words between two marks, the marks stay where they were."""
    out: list[str] = []
    words: list[str] = []
    for token in _WORD_OR_MARK.findall(plain_marks(text)):
        if token[0].isalnum():
            words.append(token)
        elif not token.isspace():
            out += [
                read(words) if words else "",
                " " * (token in "(“—"),
                token,
                " " * (token not in "(“"),
            ]
            words = []
    out.append(read(words) if words else "")
    return tidy("".join(out))
