"""Find the words of a spoken text, each with its span in the author's text.

Latin words are divided by spaces, and keep apostrophes and hyphens. A Chinese character is a word.
In Japanese a word begins with each run of kanji or katakana and takes the hiragana behind it.
"""

import re
from collections.abc import Iterator

from vivavoce.text.tracked import Tracked, Word

_LETTERS = r"[^\W_\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f]"
_APART = rf"{_LETTERS}[^\s\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f—…]*+"
_HIRAGANA = "[\u3041-\u309f]"
_KATAKANA = "[\u30a0-\u30ff\uff66-\uff9f]"
_HAN = "[\u3005\u3007\u3400-\u9fff\U00020000-\U0003ffff]"
_WORDS = re.compile(rf"{_HAN}|{_KATAKANA}++|{_HIRAGANA}++|{_APART}")
_JAPANESE_WORDS = re.compile(rf"(?:{_HAN}++|{_KATAKANA}++){_HIRAGANA}*+|{_HIRAGANA}++|{_APART}")
_ENDS = ".,;:!?…\"'”’»)]}。、！？"


def word_spans(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each word of a spoken `text`, without the punctuation around it."""
    for match in (_JAPANESE_WORDS if language == "ja" else _WORDS).finditer(text):
        yield match.start(), match.start() + len(match[0].rstrip(_ENDS))


def words(text: Tracked, language: str) -> tuple[Word, ...]:
    """Return the words of `text` in order."""
    return tuple(
        Word(text.text[start:end], *text.span(start, end))
        for start, end in word_spans(text.text, language)
    )
