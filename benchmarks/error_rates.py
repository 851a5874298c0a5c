"""Count what a listener heard otherwise than it was meant: by words, by characters, and by
readings.

Both sides are put into the same form first, so that "20:30" and "las veinte y treinta" are the
same. Knows neither voices nor recognisers.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from vivavoce.errors import MissingDependency, Unsupported
from vivavoce.models.kokoro.g2p import Phonemizer
from vivavoce.text.numbers.verbalize import verbalize

if TYPE_CHECKING:
    from opencc import OpenCC

WITHOUT_SPACES = (
    "ja",
    "zh",
)  # these are compared by characters and by readings, the others by words

_ENGLISH_CLOCK = re.compile(r"(?<=\bat )(\d{1,2})\.(\d{2})\b")  # Whisper's way to write 9:15
_CHINESE_CLOCK = re.compile(r"(\d{1,2})\.(\d{2})分")  # and 8:30
_ALL_TA = str.maketrans(
    "她它牠", "他他他"
)  # he, she and it sound the same, and no sentence of ours tells which


def units(text: str, language: str) -> list[str]:
    """Return the units of `text` that errors are counted in.

    These are words in lower case without punctuation, or characters in Japanese and Chinese.

    Chinese is counted in simplified characters, 他, 她 and 它 as one.
    """
    spoken = _spoken(text, language)
    if language not in WITHOUT_SPACES:
        return re.sub(r"[^\w\s]|_", " ", spoken.replace("'", "")).split()
    return list(_characters(spoken, language))


def readings(text: str, language: str) -> list[str]:
    """Return the readings of `text`: kana, pinyin syllables with tones, or words in phonemes.

    The phonemes are those of each word alone, without stress, so that *leur* equals *leurs*.
    """
    if language not in WITHOUT_SPACES:
        words = re.sub(r"[^\w\s']|_", " ", _spoken(text, language)).split()
        return [_phonemes(word, language) for word in words]
    characters = _characters(_spoken(text, language), language)
    if language == "ja":
        import pyopenjtalk

        return [kana for kana in pyopenjtalk.g2p(characters, kana=True) if "ァ" <= kana <= "ー"]
    from pypinyin import Style, lazy_pinyin

    return lazy_pinyin(characters, style=Style.TONE3, neutral_tone_with_five=True)


@cache
def _phonemes(word: str, language: str) -> str:
    try:
        return re.sub("[ˈˌ]", "", _phonemizer().phonemize(word, language))
    except Unsupported:  # Whisper wrote another script
        return word


@cache
def _phonemizer() -> Phonemizer:
    return Phonemizer()


def edits(meant: Sequence[str], heard: Sequence[str]) -> int:
    """Return the Levenshtein distance: insertions, deletions and substitutions of units."""
    row = list(range(len(heard) + 1))
    for i, unit in enumerate(meant, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (unit != other))
    return row[-1]


def _spoken(text: str, language: str) -> str:
    """Return `text` in lower case with its numbers in words."""
    if language == "en":
        text = _ENGLISH_CLOCK.sub(r"\1:\2", text)
    if language == "zh":
        text = _CHINESE_CLOCK.sub(r"\1:\2", _simplifier().convert(text))
    return unicodedata.normalize("NFKC", verbalize(text, language)).casefold()


def _characters(spoken: str, language: str) -> str:
    bare = re.sub(r"[\W_]", "", spoken)
    return bare.translate(_ALL_TA) if language == "zh" else bare


@cache
def _simplifier() -> "OpenCC":
    """Return a converter from traditional to simplified Chinese characters.

    Raises `MissingDependency` without opencc.
    """
    try:
        from opencc import OpenCC
    except ImportError as missing:
        raise MissingDependency(
            "Chinese is compared with opencc: pip install 'vivavoce[bench]'"
        ) from missing
    return OpenCC("t2s")
